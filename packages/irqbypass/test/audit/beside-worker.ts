/** A thread that takes steps at random until it is told to stop, while another thread audits the host. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle } from "irqbypass";
import { random } from "../death/random.js";
import { ACTIONS, Things, take } from "./steps.js";

export interface BesideWork {
  readonly host: HostHandle;
  readonly seed: number;
  /** 1 once it is to stop. */
  readonly stop: Int32Array;
}

/** So many steps with the same things, and then with new ones. */
const STEPS = 400;

const { host: handle, seed, stop } = workerData as BesideWork;
const host = Host.attach(handle);
const pick = random(seed);
const names = Object.keys(ACTIONS);
const taken: Record<string, number> = {};
parentPort!.postMessage("ready");
while (Atomics.load(stop, 0) === 0) {
  const things = new Things(host);
  for (let step = 0; step < STEPS && Atomics.load(stop, 0) === 0; step++) {
    const name = names[pick(names.length)]!;
    take(things, { name, a: pick(64), b: pick(64), c: pick(64) });
    taken[name] = (taken[name] ?? 0) + 1;
  }
  things.dispose();
}
parentPort!.postMessage(taken);
host.dispose();
