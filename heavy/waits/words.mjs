// Bare words between the two ends, and how long anything takes.
export const [PING, PONG, ACK, WORDS] = [0, 32, 64, 96];

/** Tells the sender, which spins. */
export const answer = (words) => void Atomics.add(words, ACK, 1);

export function pause(ms) {
  for (const end = performance.now() + ms; performance.now() < end; );
}

export const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

/**
 * Nanoseconds of one call: the median over batches, each of which is long beside the clock of a page, which counts in steps of 5 us.
 */
export function timeOf(call, { batches, batch }) {
  const times = [];
  for (let left = batches; left > 0; left--) {
    const start = performance.now();
    for (let i = 0; i < batch; i++) call();
    times.push(((performance.now() - start) * 1e6) / batch);
  }
  return median(times);
}
