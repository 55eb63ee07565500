import { scatter } from "../world/memory.js";
import { Status } from "../world/stage.js";
import type { Place } from "./place.js";
import type { Players } from "./players.js";

/** What makes what may follow depend on how a state was reached. */
export interface Bounds {
  readonly preemptions?: number;
  readonly timeouts?: "never" | "stuck" | number;
  readonly maxDepth?: number;
}

/** Half of the fingerprint of how things stand at a place. */
export function fingerprint(
  half: 0 | 1,
  place: Place,
  players: Players,
  bounds: Bounds,
  depth: number,
): number {
  const seed = half === 0 ? 0x1f83d9ab : 0x5be0cd19;
  let hash = half === 0 ? place.low : place.high;
  for (const thread of players.threads) {
    const { status } = thread;
    let told: number;
    if (status === Status.dead) told = 0;
    else if (status === Status.done) told = textPrint(thread.result, seed);
    else told = half === 0 ? thread.low : thread.high;
    if (status === Status.blocked) told = scatter(told, thread.waitWord, seed);
    if (status === Status.asleep)
      told = scatter(told, thread.waitWord * 16 + players.rank(thread) * 2 + thread.waitTimed, seed);
    hash = scatter(hash, told ^ status, seed);
  }
  // A bound on preemptions and timeouts makes what may follow depend on what was used, and on who ran.
  if (bounds.preemptions !== undefined) hash = scatter(hash, place.preemptions * 16 + place.last, seed);
  if (typeof bounds.timeouts === "number") hash = scatter(hash, place.timeouts, seed);
  if (bounds.maxDepth !== undefined) hash = scatter(hash, depth, seed);
  return hash;
}

function textPrint(value: unknown, seed: number): number {
  if (value === undefined) return 0;
  const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}n` : part)) ?? "";
  let hash = seed;
  for (let at = 0; at < text.length; at++) hash = scatter(hash, text.charCodeAt(at), seed);
  return hash;
}
