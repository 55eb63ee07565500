import { broken } from "./errors.js";
import { Node, Root } from "./layout.js";
import {
  BITS,
  empty,
  entryAt,
  entryIn,
  fill,
  freeNode,
  hang,
  INDEX_BITS,
  MASK,
  nodeOf,
  tooHigh,
  unhang,
} from "./node.js";
import type { Pool } from "./pool.js";
import type { Words } from "./words.js";

/**
 * A radix tree in shared memory, from an unsigned 32-bit index to a record reference (not 0): 64 slots a node,
 * as high as its largest index needs, nodes given back as they empty. Guarded by the host mutex, so readers need
 * no RCU and erased slots no marker. It stands where the kernel's manager has an xarray (lib/xarray.c).
 */
export class XArray {
  constructor(
    private readonly words: Words,
    private readonly root: number,
    private readonly nodes: Pool,
  ) {}

  /** The entry at `index`, or 0 (xa_load). */
  load(index: number): number {
    return entryAt(this.words, this.root, index);
  }

  /**
   * Stores `entry` at `index` if nothing is there; returns what is there otherwise, and 0 on success (xa_insert).
   * Throws ENOMEM with the tree as it was.
   */
  insert(index: number, entry: number): number {
    const { words, root } = this;
    const found = nodeOf(words, root, index, 0);
    if (found === 0) this.checkRoom(index);
    const leaf = found || this.addLeaf(index);
    const present = entryIn(words, leaf, index);
    if (present === 0) fill(words, leaf, index, entry);
    return present;
  }

  /** Throws ENOMEM where there is no room for the nodes that an entry at `index` takes. */
  checkRoom(index: number): void {
    const needed = this.needed(index);
    if (needed > 0) this.nodes.checkRoom(needed);
  }

  /** Empties `index` and returns what was there, 0 if nothing (xa_erase). */
  erase(index: number): number {
    return this.remove(index, (node) => this.freeNode(node));
  }

  /** Takes an insert back, for a call that is refused after all: tree and nodes are as they were before it. */
  undo(index: number): number {
    return this.remove(index, (node) => this.nodes.undo(node));
  }

  private remove(index: number, give: (node: number) => void): number {
    const { words, root } = this;
    const leaf = nodeOf(words, root, index, 0);
    if (leaf === 0) return 0;
    const present = entryIn(words, leaf, index);
    if (present === 0) return 0;
    empty(words, leaf, index);
    if (words.get(leaf + Node.count) === 0) this.prune(leaf, give);
    return present;
  }

  /** How many nodes an entry at `index` takes that the tree does not have. */
  private needed(index: number): number {
    const { words, root } = this;
    const levels = words.get(root + Root.levels);
    let wanted = Math.max(levels, 1);
    while (tooHigh(index, wanted)) wanted += 1;
    // New ones on top, and below the topmost of those a new way down.
    if (wanted > levels) return levels === 0 ? wanted : wanted - levels + wanted - 1;
    let missing = levels;
    for (let node = words.get(root + Root.node); node !== 0 && missing > 0; missing--) {
      if (missing === 1) return 0;
      node = words.get(node + Node.slots + ((index >>> ((missing - 1) * BITS)) & MASK));
    }
    return missing;
  }

  /** Calls `visit` with each entry in ascending order of index (xa_for_each). `visit` may erase its own entry. */
  forEach(visit: (entry: number, index: number) => void): void {
    for (let index = this.next(0); index !== undefined; index = this.next(index + 1))
      visit(this.load(index), index);
  }

  /** The first index in use at or after `from`, or undefined (xa_find). */
  next(from: number): number | undefined {
    const { words, root } = this;
    const levels = words.get(root + Root.levels);
    let index = from;
    while (index < 2 ** INDEX_BITS && !tooHigh(index, levels)) {
      let node = words.get(root + Root.node);
      let shift = (levels - 1) * BITS;
      while (shift > 0) {
        const child = words.get(node + Node.slots + ((index >>> shift) & MASK));
        if (child === 0) break;
        node = child;
        shift -= BITS;
      }
      if (shift === 0 && words.get(node + Node.slots + (index & MASK)) !== 0) return index;
      const step = 2 ** shift; // nothing in this slot: on to the first index of the next one
      index = (Math.floor(index / step) + 1) * step;
    }
    return undefined;
  }

  /** Makes the node that has the slot of `index`, and those above it that are missing. There is room for them. */
  private addLeaf(index: number): number {
    const { words, root } = this;
    if (tooHigh(index, words.get(root + Root.levels))) this.grow(index);
    let node = words.get(root + Root.node);
    for (let shift = (words.get(root + Root.levels) - 1) * BITS; shift > 0; shift -= BITS) {
      const slot = (index >>> shift) & MASK;
      node = words.get(node + Node.slots + slot) || this.addChild(node, slot);
    }
    return node;
  }

  /** Adds levels on top until `index` fits. */
  private grow(index: number): void {
    const { words, root } = this;
    let wanted = 1;
    while (tooHigh(index, wanted)) wanted += 1;
    let levels = words.get(root + Root.levels);
    if (levels === 0) {
      words.set(root + Root.node, this.nodes.allocate());
      words.set(root + Root.levels, wanted);
      return;
    }
    for (; levels < wanted; levels++) {
      const top = words.get(root + Root.node);
      const above = this.nodes.allocate();
      words.set(above + Node.slots, top);
      words.set(above + Node.count, 1);
      words.set(top + Node.parent, above);
      words.set(root + Root.node, above);
      words.set(root + Root.levels, levels + 1);
    }
  }

  private addChild(parent: number, slot: number): number {
    const child = this.nodes.allocate();
    hang(this.words, parent, slot, child);
    return child;
  }

  /** Gives back empty nodes from `node` upwards, then top nodes that hold nothing but their slot 0. */
  private prune(node: number, give: (node: number) => void): void {
    const { words, root } = this;
    let unused = node;
    while (words.get(unused + Node.count) === 0) {
      const parent = words.get(unused + Node.parent);
      const offset = words.get(unused + Node.offset);
      give(unused);
      if (parent === 0) {
        words.set(root + Root.node, 0);
        words.set(root + Root.levels, 0);
        return;
      }
      if (words.get(parent + Node.slots + offset) !== unused)
        broken("an xarray node is not where its parent has it");
      unhang(words, parent, offset);
      unused = parent;
    }
    this.shrink(give);
  }

  private shrink(give: (node: number) => void): void {
    const { words, root } = this;
    for (let levels = words.get(root + Root.levels); levels > 1; levels--) {
      const top = words.get(root + Root.node);
      const below = words.get(top + Node.slots);
      if (below === 0 || words.get(top + Node.count) !== 1) return;
      words.set(below + Node.parent, 0);
      words.set(root + Root.node, below);
      words.set(root + Root.levels, levels - 1);
      words.set(top + Node.slots, 0);
      give(top);
    }
  }

  private freeNode(node: number): void {
    if (!this.nodes.lives(node)) broken(`node record ${node} was released twice`);
    freeNode(this.words, this.nodes.state, node);
  }
}
