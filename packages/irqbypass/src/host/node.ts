/**
 * The nodes of an xarray, step by step: what `xarray.ts` is made of. Of an insert or an erase that takes no more than the
 * leaf with its slot, `fits` and `put`, `comesOff` and `remove` are the whole; these are compiled to WebAssembly as well
 * (`scripts/compile.mjs`). Under the host mutex. `root` is where the tree's root is, `nodes` the state of the pool of nodes.
 */
import { Node, Root } from "./layout.js";
import { free, hasFree, takeFree } from "./pool.js";
import type { Words } from "./words.js";

export const BITS = 6;
export const MASK = 63;
export const INDEX_BITS = 32;

/** Does `index` need more than `levels` levels? */
export function tooHigh(index: number, levels: number): boolean {
  const bits = levels * BITS;
  return bits < INDEX_BITS && index >>> bits !== 0 ? true : levels === 0;
}

/**
 * The node on the way to `index` that has so many levels below it: 0 for the leaf, which has its slot. Returns 0 where the
 * tree has none there.
 */
export function nodeOf(words: Words, root: number, index: number, below: number): number {
  const levels = words.get(root + Root.levels);
  if (tooHigh(index, levels)) return 0;
  let node = words.get(root + Root.node);
  for (let level = levels - 1; node !== 0 && level > below; level--) {
    node = words.get(node + Node.slots + ((index >>> (level * BITS)) & MASK));
  }
  return node;
}

/** The entry at `index`, whose slot this leaf has; 0 for none. */
export function entryIn(words: Words, leaf: number, index: number): number {
  return words.get(leaf + Node.slots + (index & MASK));
}

/** Writes an entry into an empty slot. */
export function fill(words: Words, leaf: number, index: number, entry: number): void {
  words.set(leaf + Node.slots + (index & MASK), entry);
  words.set(leaf + Node.count, words.get(leaf + Node.count) + 1);
}

/** The mirror image of {@link fill}. */
export function empty(words: Words, leaf: number, index: number): void {
  words.set(leaf + Node.slots + (index & MASK), 0);
  words.set(leaf + Node.count, words.get(leaf + Node.count) - 1);
}

/** Puts a new node into an empty slot of its parent. */
export function hang(words: Words, parent: number, slot: number, child: number): void {
  words.set(child + Node.parent, parent);
  words.set(child + Node.offset, slot);
  words.set(parent + Node.slots + slot, child);
  words.set(parent + Node.count, words.get(parent + Node.count) + 1);
}

/** The mirror image of {@link hang}, of a node that is given back already. */
export function unhang(words: Words, parent: number, slot: number): void {
  words.set(parent + Node.slots + slot, 0);
  words.set(parent + Node.count, words.get(parent + Node.count) - 1);
}

/** Gives a node back. Its slots are all 0 by now; its links are not. */
export function freeNode(words: Words, nodes: number, node: number): void {
  words.set(node + Node.offset, 0);
  words.set(node + Node.count, 0);
  free(words, nodes, node);
}

/** The entry at `index`, or 0. */
export function entryAt(words: Words, root: number, index: number): number {
  const leaf = nodeOf(words, root, index, 0);
  return leaf === 0 ? 0 : entryIn(words, leaf, index);
}

/** Is there no entry at `index`, and would one take at most one more node, a leaf that has been in use before? */
export function fits(words: Words, root: number, nodes: number, index: number): boolean {
  const leaf = nodeOf(words, root, index, 0);
  if (leaf !== 0) return entryIn(words, leaf, index) === 0;
  return nodeOf(words, root, index, 1) !== 0 && hasFree(words, nodes);
}

/** Stores an entry that {@link fits}. */
export function put(words: Words, root: number, nodes: number, index: number, entry: number): void {
  let leaf = nodeOf(words, root, index, 0);
  if (leaf === 0) {
    const parent = nodeOf(words, root, index, 1);
    leaf = takeFree(words, nodes);
    hang(words, parent, (index >>> BITS) & MASK, leaf);
  }
  fill(words, leaf, index, entry);
}

/** Is this the entry at `index`, and can it go with no other node than its leaf? */
export function comesOff(words: Words, root: number, index: number, entry: number): boolean {
  const leaf = nodeOf(words, root, index, 0);
  if (leaf === 0 || entryIn(words, leaf, index) !== entry) return false;
  if (words.get(leaf + Node.count) > 1) return true;
  const parent = words.get(leaf + Node.parent);
  // A top node with one child less may have to go as well.
  return parent !== 0 && words.get(parent + Node.count) > 2;
}

/** Empties the slot of an entry that {@link comesOff}. */
export function remove(words: Words, root: number, nodes: number, index: number): void {
  const leaf = nodeOf(words, root, index, 0);
  empty(words, leaf, index);
  if (words.get(leaf + Node.count) !== 0) return;
  const parent = words.get(leaf + Node.parent);
  const slot = words.get(leaf + Node.offset);
  freeNode(words, nodes, leaf);
  unhang(words, parent, slot);
}
