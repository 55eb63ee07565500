// A bare word between the two ends, and how long anything takes.
export const [ACK, WORDS] = [0, 32];

/** Tells the sender, which sleeps. */
export function answer(words) {
  Atomics.add(words, ACK, 1);
  Atomics.notify(words, ACK);
}

export function pause(ms) {
  for (const end = performance.now() + ms; performance.now() < end; );
}

export const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

/**
 * Nanoseconds, of what `measure` gives in milliseconds: the median over batches, of each the mean, since the clock of a page counts
 * in steps of 5 us.
 */
export function typicalOf(measure, { batches, batch }) {
  const times = [];
  for (let left = batches; left > 0; left--) {
    let sum = 0;
    for (let i = 0; i < batch; i++) sum += measure();
    times.push((sum * 1e6) / batch);
  }
  return median(times);
}
