import type { Words } from "./words.js";

/** Code that uses `Atomics` and plain elements of typed arrays, and knows nothing of {@link Words}, can be explored as it is. */
interface View {
  readonly words: Words;
  readonly start: number;
  readonly length: number;
  readonly show: (value: number) => number;
}

/** Which arrays stand for words. By identity, because `Atomics` is one for all and has no other way to tell. */
const views = new WeakMap<object, View>();

/**
 * An array over the explored words from `start` on, for one thread: an element read or written plainly is a guarded
 * access, and `Atomics` on it is a step. It has elements, a length, `set` and `subarray`, and throws for every other
 * property. 32 bits only.
 */
export function sharedArray(
  words: Words,
  start: number,
  length: number,
  {
    unsigned = false,
  }: {
    /** The elements are unsigned, as a Uint32Array's are; signed by default. */
    readonly unsigned?: boolean;
  } = {},
): Int32Array {
  const show = unsigned ? (value: number) => value >>> 0 : (value: number) => value;
  const at = (property: string | symbol): number | undefined => {
    const index = typeof property === "string" && /^\d+$/.test(property) ? Number(property) : undefined;
    return index !== undefined && index < length ? start + index : undefined;
  };
  const array = new Proxy(new Int32Array(0), {
    get(_, property) {
      const word = at(property);
      if (word !== undefined) return show(words.get(word));
      if (property === "length") return length;
      if (property === "set") {
        return (from: ArrayLike<number>, offset = 0) => {
          if (offset + from.length > length) throw new RangeError("offset is out of bounds");
          for (let i = 0; i < from.length; i++) words.set(start + offset + i, from[i]! | 0);
        };
      }
      if (property === "subarray") {
        return (from = 0, to = length) =>
          sharedArray(words, start + from, Math.max(0, Math.min(to, length) - from), { unsigned });
      }
      if (typeof property === "string" && /^\d+$/.test(property)) return undefined;
      throw new TypeError(
        `a shared array under exploration has elements, length, set and subarray, not ${String(property)}`,
      );
    },
    set(_, property, value) {
      const word = at(property);
      if (word === undefined)
        throw new TypeError(`a shared array of ${length} elements has no ${String(property)}`);
      words.set(word, Number(value) | 0);
      return true;
    },
  });
  views.set(array, { words, start, length, show });
  return array;
}

type Replacement = (view: View, word: number, first: number, second: number) => number | string;

const REPLACEMENTS: Readonly<Record<string, Replacement>> = {
  load: ({ words, show }, word) => show(words.load(word)),
  store({ words }, word, value) {
    words.store(word, value);
    return value;
  },
  add: ({ words, show }, word, value) => show(words.add(word, value)),
  sub: ({ words, show }, word, value) => show(words.add(word, -value)),
  or: ({ words, show }, word, value) => show(words.or(word, value)),
  and: ({ words, show }, word, value) => show(words.and(word, value)),
  exchange: ({ words, show }, word, value) => show(words.exchange(word, value)),
  compareExchange: ({ words, show }, word, expected, value) =>
    show(words.compareExchange(word, expected | 0, value)),
  wait: ({ words }, word, expected, timeout = Infinity) => words.wait(word, expected | 0, timeout),
  notify: ({ words }, word, count = Infinity) => words.notify(word, count),
};

/** Marks a function of `Atomics` that is led to the words. */
const LED = Symbol("led to the words");
interface Led {
  readonly [LED]?: true;
}

/**
 * Runs `run` with `Atomics` led to the words where it is called with a {@link sharedArray}; `past` hears of every other
 * array that it is called with.
 */
export async function withAtomics<T>(past: (array: unknown) => void, run: () => Promise<T>): Promise<T> {
  const atomics = Atomics as unknown as Record<string, ((...parameters: unknown[]) => unknown) & Led>;
  if (atomics.load![LED])
    throw new Error("another exploration is under way in this thread: await it before the next one");
  const originals = new Map<string, (...parameters: unknown[]) => unknown>();
  for (const name of [...Object.keys(REPLACEMENTS), "xor"]) {
    const original = atomics[name]!;
    originals.set(name, original);
    const led = (array: unknown, index: unknown, ...operands: unknown[]) => {
      const view = views.get(array as object);
      if (view === undefined) {
        past(array);
        return original(array, index, ...operands);
      }
      const replacement = REPLACEMENTS[name];
      if (replacement === undefined) throw new TypeError(`Atomics.${name} cannot be explored`);
      const at = Number(index);
      if (!(at >= 0 && at < view.length))
        throw new RangeError(`Atomics.${name} at ${at} of ${view.length} elements`);
      return replacement(view, view.start + at, operands[0] as number, operands[1] as number);
    };
    atomics[name] = Object.assign(led, { [LED]: true as const });
  }
  try {
    return await run();
  } finally {
    for (const [name, original] of originals) atomics[name] = original;
  }
}
