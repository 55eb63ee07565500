import { Status } from "../world/stage.js";
import type { ThreadWords } from "../world/thread.js";
import { offer, type Place } from "./place.js";
import type { Players } from "./players.js";
import type { ScenarioOptions } from "./scenario.js";
import { killOf, stepOf, timeoutOf } from "./schedule.js";

/** Fills in what can happen at a place: the thread that ran goes first, so that schedules with few switches come first. */
export function choose(place: Place, { threads, daemons, mortal }: Players, settings: ScenarioOptions): void {
  const { last } = place;
  if (last >= 0 && isReady(threads[last]!)) offer(place, stepOf(last));
  const free = place.total === 0 || place.preemptions < (settings.preemptions ?? Infinity);
  if (free)
    for (const thread of threads)
      if (thread.index !== last && isReady(thread)) offer(place, stepOf(thread.index));
  const { timeouts = "never" } = settings;
  if (timeouts !== "never") chooseTimeouts(place, threads, daemons, timeouts);
  if (place.kills > 0) return;
  for (const { index, status } of threads) {
    if (mortal[index] && status !== Status.done) offer(place, killOf(index, 0));
  }
}

function chooseTimeouts(
  place: Place,
  threads: readonly ThreadWords[],
  daemons: readonly boolean[],
  timeouts: "stuck" | number,
): void {
  const stuck = place.total === 0 && threads.some((thread, index) => !daemons[index] && !hasEnded(thread));
  if (!stuck && (timeouts === "stuck" || place.timeouts >= timeouts)) return;
  for (const { index, status, waitTimed } of threads) {
    if (status === Status.asleep && waitTimed === 1) offer(place, timeoutOf(index));
  }
}

/** Will the thread do nothing more? */
export const hasEnded = ({ status }: ThreadWords): boolean =>
  status === Status.done || status === Status.dead;

const isReady = (thread: ThreadWords) =>
  thread.status === Status.ready ||
  (thread.status === Status.relaxing && thread.sawChange()) ||
  (thread.status === Status.blocked && thread.sawMutexFree());
