/** Threads that use and end each other's objects at random, some of them ended meanwhile, and what is left then. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Host, Vm } from "irqbypass";
import { random } from "../death/random.js";
import { PATIENCE_MS, TestThread } from "../support/worker.js";
import { Board } from "./board.js";
import type { LifetimesWork } from "./worker.js";

export interface Outcome {
  readonly calls: number;
  readonly interrupts: number;
  readonly deaths: number;
  readonly audits: number;
  /** How often a call met an end that was under way, by pair. */
  readonly overlaps: Readonly<Record<string, number>>;
}

/** Disposes the VMs that threads left that have ended, those too whose place another VM took. */
function disposeLeft(host: Host): void {
  const left: number[] = [];
  host.forEachLive(host.pools.vm, (record) => left.push(host.pools.vm.handle(record)));
  for (const handle of left) Vm.open(host, handle).dispose();
}

/** Few places for many, so that records change hands all the time. */
const CAPACITY = {
  thread: 16,
  vm: 4,
  vcpu: 4,
  eventfd: 12,
  producer: 16,
  consumer: 12,
  reference: 256,
  routing: 8,
  epoll: 4,
  watch: 12,
  ioeventfd: 4,
  device: 9,
};

/** Runs `threads` threads for so many seconds. Throws for a stranger's vector, a raw error, and memory that is not sound. */
export async function lifetimes(threads: number, seconds: number, seed: number): Promise<Outcome> {
  const host = Host.create({ capacity: CAPACITY });
  const board = new Board(threads);
  const pick = random(seed);
  const start = (seat: number) => {
    const work: LifetimesWork = { host: host.handle, board: board.buffer, seat, seed: 1 + pick(2 ** 30) };
    return new TestThread(new URL("./worker.js", import.meta.url), work);
  };
  const running = Array.from({ length: threads }, (_, seat) => start(seat));
  /** Those that have loaded their modules: Node leaves the descriptors of those open that a thread was loading as it was ended. */
  const begun = new Set<TestThread>();
  let deaths = 0;
  let audits = 0;
  let fault: unknown;
  const watched = (thread: TestThread) => {
    thread.done.catch((error: unknown) => {
      fault ??= error;
    });
    thread.next().then(
      () => begun.add(thread),
      () => {}, // it has ended, of which `done` tells
    );
  };
  running.forEach(watched);
  const end = Date.now() + seconds * 1000;
  try {
    // On a busy machine longer, until there has been some of each: a bound against hangs ends it.
    const isThin = () => deaths === 0 || board.interrupts === 0;
    const goesOn = () => Date.now() < end || (isThin() && Date.now() < end + PATIENCE_MS);
    while (fault === undefined && goesOn()) {
      await sleep(5 + pick(40));
      // What others are in the middle of may be reported, but nothing is thrown.
      board.during("audit", () => host.audit());
      audits += 1;
      if (pick(4) > 0) continue;
      const at = pick(threads);
      const victim = running[at]!;
      if (!begun.delete(victim)) continue;
      board.begin("repair");
      await host.terminate(victim.worker);
      board.finish("repair");
      board.reset(at);
      deaths += 1;
      running[at] = start(at);
      watched(running[at]);
    }
  } finally {
    board.stop();
    await Promise.allSettled(running.map(({ done }) => done));
  }
  if (fault !== undefined) throw fault;
  assert.deepEqual(host.audit().findings, []);
  disposeLeft(host);
  host.dispose();
  const { calls, interrupts } = board;
  return { calls, interrupts, deaths, audits, overlaps: board.overlaps() };
}
