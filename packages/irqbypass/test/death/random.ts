/** A number from 0 up to, not including, `limit`. */
export type Random = (limit: number) => number;

/** The same numbers for the same seed (xorshift). */
export function random(seed: number): Random {
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}
