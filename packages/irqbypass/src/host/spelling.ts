/**
 * The name that somebody meant.
 */

/** That of `names` which takes the fewest letters added, left out, replaced or swapped; of several the one as long as `name`. */
export function nearest(name: string, names: readonly string[]): string {
  const wanted = name.slice(0, LONGEST).toLowerCase();
  let best = "";
  let fewest = Infinity;
  for (const one of names) {
    const changes = distance(wanted, one.toLowerCase()) + (one.length === name.length ? 0 : 0.5);
    if (changes >= fewest) continue;
    best = one;
    fewest = changes;
  }
  return best;
}

/** No name is longer; what is passed may be. */
const LONGEST = 64;

function distance(from: string, to: string): number {
  // Rows of the table by which one word becomes the other: the last but one, the last, and the present one.
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const present = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let changes = Math.min(last[column]! + 1, present[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      const swapped = row > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) changes = Math.min(changes, beforeLast[column - 2]! + 1);
      present.push(changes);
    }
    beforeLast = last;
    last = present;
  }
  return last[to.length]!;
}
