/** Threads that are ended at random, while a device and a vCPU go on, and what is left in the memory. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Eventfd, Host, Vm } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { relayRuns } from "#src/eventfd/relay-state.js";
import { openDescriptors } from "../linux/descriptors.js";
import { liveThreadsAndRecords, SMALL } from "../support/host.js";
import { until } from "../support/worker.js";
import { random } from "./random.js";
import { Survivors } from "./survivors.js";
import type { VictimWork } from "./work.js";

export interface Stress {
  /** Rounds of deaths, each with an audit after it. */
  readonly rounds: number;
  /** Deaths of a round, two at a time. */
  readonly deaths: number;
  readonly seed: number;
  /** With Linux eventfds, too. */
  readonly real: boolean;
}

export interface Survived {
  readonly deaths: number;
  readonly interrupts: number;
}

const openEventfds = () => openDescriptors().filter((target) => target === "anon_inode:[eventfd]").length;

/** Ends threads as asked. Throws where an interrupt is lost, the memory is not sound, or something is left. */
export async function stress({ rounds, deaths, seed, real }: Stress): Promise<Survived> {
  const kinds = real ? [linux()] : [];
  const host = Host.create({ kinds, capacity: { ...SMALL, eventfd: 256, reference: 512 } });
  const vm = new Vm(host, { vcpus: 3 });
  const route = () => vm.setGsiRouting([{ gsi: 10, msi: { vcpu: 2, vector: 0x41 } }]);
  route();
  const eventfd = Eventfd.create(host);
  vm.irqfd(eventfd, 10);
  // The relays stay, with the descriptors of their event loops: they run before anything is compared.
  for (const [kind, first] of [
    Eventfd.create(host),
    ...(real ? [LinuxEventfd.create(host)] : []),
  ].entries()) {
    const irqfd = vm.irqfd(first, 20, { bypass: "off" });
    first.write();
    await until("the relay runs", () => relayRuns(host.words, kind));
    irqfd.dispose();
    first.close();
  }
  const others = [Eventfd.create(host), Eventfd.create(host, { semaphore: true })];
  const survivors = new Survivors(host, vm.vcpu(2).handle, eventfd.handle);
  const pick = random(seed);
  let before: unknown;
  try {
    for (let round = 0; round < rounds; round++) {
      const victims = [0, 1].map(async () => {
        for (let death = 0; death < deaths / 2; death++) {
          const work: VictimWork = {
            host: host.handle,
            vm: vm.handle,
            eventfds: others.map((other) => other.handle),
            seed: 1 + pick(2 ** 30),
            real,
            turns: pick(3) === 0 ? pick(50) : Infinity,
            end: pick(2) === 0 ? "exit" : "throw",
          };
          await dieOnce(host, work, pick(4) === 0 ? pick(40) : -1, pick(6));
        }
      });
      await survivors.during(Promise.all(victims));
      await survivors.rest();
      route(); // the victims have routes of their own
      const { findings } = host.audit();
      assert.deepEqual(findings, [], `after round ${round}`);
      const now = { ...liveThreadsAndRecords(host), eventfds: openEventfds() };
      before ??= now; // with the handles that the survivors have opened
      assert.deepEqual(now, before, `something is left after round ${round}`);
      survivors.goOn();
    }
  } finally {
    await survivors.end();
  }
  vm.dispose();
  for (const one of [eventfd, ...others]) one.close();
  host.dispose();
  return { deaths: rounds * deaths, interrupts: survivors.taken };
}

/** Starts a victim and ends it: some milliseconds after it was started, or after it is ready. */
async function dieOnce(host: Host, work: VictimWork, afterStart: number, afterReady: number): Promise<void> {
  const worker = new Worker(new URL("./victim.js", import.meta.url), { workerData: work });
  const ended = new Promise<void>((resolve, reject) => {
    worker.on("error", (error) => {
      if (!error.message.includes("the victim ends itself")) reject(error);
    });
    worker.once("exit", () => resolve());
  });
  const unwatch = host.watch(worker);
  if (work.turns === Infinity) {
    if (afterStart < 0)
      await Promise.race([ended, new Promise((resolve) => worker.once("message", resolve))]);
    await sleep(afterStart < 0 ? afterReady : afterStart);
    await host.terminate(worker);
  }
  await ended;
  unwatch();
}
