import type { Words } from "./words.js";

/**
 * The same words with some of their methods replaced: how a broken twin plays the shipped code false in one place.
 * The replacements may call the methods of `words`.
 */
export function override(words: Words, replaced: Partial<Words>): Words {
  return {
    load: (word) => words.load(word),
    store: (word, value) => words.store(word, value),
    or: (word, value) => words.or(word, value),
    and: (word, value) => words.and(word, value),
    add: (word, value) => words.add(word, value),
    exchange: (word, value) => words.exchange(word, value),
    compareExchange: (word, expected, value) => words.compareExchange(word, expected, value),
    load64: (word) => words.load64(word),
    store64: (word, value) => words.store64(word, value),
    compareExchange64: (word, expected, value) => words.compareExchange64(word, expected, value),
    wait: (word, expected, timeoutMs) => words.wait(word, expected, timeoutMs),
    waitAsync: (word, expected, timeoutMs) => words.waitAsync(word, expected, timeoutMs),
    notify: (word, count) => words.notify(word, count),
    relax: () => words.relax(),
    clock: () => words.clock(),
    get: (word) => words.get(word),
    set: (word, value) => words.set(word, value),
    ...replaced,
  };
}
