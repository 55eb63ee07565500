/**
 * A process of its own: threads wait in each way and end in each way, at random moments, while others go on. Its arguments are
 * the seed, how many ends, and how many of them come between two looks at the memory. Prints what it has seen, and ends by
 * itself when everything is disposed.
 */
import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Eventfd, Host, Vm } from "irqbypass";
import { kvm, whyNoKvm } from "irqbypass/kvm";
import { linux } from "irqbypass/linux";
import { relayRuns } from "#src/eventfd/relay-state.js";
import { alarms } from "#src/linux/alarm.js";
import { type Random, random } from "../death/random.js";
import { Survivors } from "../death/survivors.js";
import { openDescriptors } from "../linux/descriptors.js";
import { liveThreadsAndRecords, SMALL } from "../support/host.js";
import { until } from "../support/worker.js";
import { Beside, RELAYED } from "./beside.js";
import { Scene } from "./scene.js";
import { GSI } from "./waits.js";
import {
  ENDINGS,
  type Ending,
  isEnded,
  WAITS,
  type Wait,
  type WaiterReady,
  type WaiterWork,
} from "./work.js";

const [seed, ends, each] = process.argv.slice(2).map(Number) as [number, number, number];
const pick = random(seed);
const withKvm = whyNoKvm() === undefined;
const waits = WAITS.filter((wait) => withKvm || wait !== "KVM_RUN");
const THREADS = 2;
/** A thread that is ended before it has told of the descriptor that is its own, and no host's, takes that along; these have none. */
const ANY_TIME: readonly Wait[] = waits.filter((wait) => wait !== "EventfdFile.read");

const host = Host.create({
  kinds: [linux(), kvm()],
  capacity: { ...SMALL, eventfd: 256, reference: 1024, thread: 32 },
});
const vm = new Vm(host, { vcpus: 5 });
const eventfd = Eventfd.create(host);
vm.setGsiRouting([
  { gsi: 10, msi: { vcpu: 2, vector: 0x41 } },
  RELAYED,
  { gsi: GSI, msi: { vcpu: 4, vector: 0x50 } },
]);
vm.irqfd(eventfd, 10);
const beside = new Beside(host, vm, withKvm);
const survivors = new Survivors(host, vm.vcpu(2).handle, eventfd.handle);
await until("both relays run", () => relayRuns(host.words, 0) && relayRuns(host.words, 1));

/** What is of the library among what the process has open. */
const ours = () => openDescriptors().filter((target) => /^anon_inode:.*(eventfd|eventpoll|kvm)/.test(target));
const state = () => ({ records: liveThreadsAndRecords(host), descriptors: ours(), alarms: alarms().length });

/** One thread waits and ends. */
async function endOne(slot: number, wait: Wait, ending: Ending, pickOne: Random): Promise<void> {
  const scene = new Scene(host, vm, slot, 20 + slot);
  const turns = isEnded(ending) ? Infinity : 1 + pickOne(20);
  const work: WaiterWork = { ...scene.work(), wait, ending, turns };
  const worker = new Worker(new URL("./waiter.js", import.meta.url), { workerData: work });
  const unwatch = host.watch(worker);
  let failure: Error | undefined;
  worker.on("error", (error) => {
    if (error.message !== "on purpose") failure = error;
  });
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  let descriptor = -1;
  const ready = new Promise<void>((resolve) =>
    worker.once("message", (message: WaiterReady) => {
      ({ descriptor } = message);
      resolve();
    }),
  );
  const poking = setInterval(() => scene.poke(wait), 1);
  if (isEnded(ending)) {
    const early = ending === "host.terminate" && ANY_TIME.includes(wait) && pickOne(2) === 0;
    if (!early) await Promise.race([ready, exited]);
    await sleep(early ? pickOne(250) : pickOne(8));
    await (ending === "host.terminate" ? host.terminate(worker) : worker.terminate());
  }
  await exited;
  clearInterval(poking);
  unwatch();
  if (descriptor >= 0 && !ending.endsWith("given back")) closeSync(descriptor);
  scene.end();
  if (failure !== undefined) throw failure;
}

const counts: Record<string, number> = {};
let before: ReturnType<typeof state> | undefined;
for (let done = 0; done < ends; done += each) {
  const turning = { goes: true };
  const turns = (async () => {
    while (turning.goes) {
      await beside.turn();
      await sleep(1);
    }
  })();
  const threads = Array.from({ length: THREADS }, async (_, slot) => {
    for (let end = slot; end < Math.min(each, ends - done); end += THREADS) {
      const wait = waits[pick(waits.length)]!;
      const ending = ENDINGS[pick(ENDINGS.length)]!;
      for (const name of [wait, ending]) counts[name] = (counts[name] ?? 0) + 1;
      process.stderr.write(`${slot}: ${wait}, ${ending}\n`);
      await endOne(slot, wait, ending, pick);
      process.stderr.write(`${slot}: ended\n`);
    }
  });
  await survivors.during(Promise.all(threads));
  turning.goes = false;
  await turns;
  await beside.settled();
  await survivors.rest();
  const { findings } = host.audit();
  assert.deepEqual(findings, [], `after ${done + each} ends`);
  const now = state();
  before ??= now;
  assert.deepEqual(now, before, `something is left after ${done + each} ends`);
  survivors.goOn();
}
const interrupts = await survivors.end();
await beside.end();
vm.dispose();
eventfd.close();
host.dispose();
console.log(JSON.stringify({ counts, interrupts, handled: beside.handled }));
