/** An xarray in memory of its own, with a pool of as many nodes as a test wants. */
import { Node, Root } from "#src/host/layout.js";
import { POOL_STATE_WORDS, Pool } from "#src/host/pool.js";
import { SharedWords } from "#src/host/words.js";
import { XArray } from "#src/host/xarray.js";

export interface Tree {
  readonly array: XArray;
  readonly nodes: Pool;
  readonly words: SharedWords;
  /** Levels of the tree, 0 while it is empty. */
  readonly levels: () => number;
}

export function newTree(nodeCapacity: number): Tree {
  const state = Root.words;
  const base = state + POOL_STATE_WORDS + 1;
  const length = base + nodeCapacity * Node.words;
  const words = new SharedWords(new SharedArrayBuffer(length * 4), 0, length);
  const nodes = new Pool(words, "node", state, base, Node.words, nodeCapacity, 0);
  return { array: new XArray(words, 0, nodes), nodes, words, levels: () => words.get(Root.levels) };
}

/** The whole memory, to see that nothing has changed. */
export function snapshot({ words, nodes }: Tree): number[] {
  const length = nodes.base + nodes.capacity * nodes.stride;
  return Array.from({ length }, (_, word) => words.get(word));
}
