import { HISTOGRAM_WORDS, merge, percentile, record } from "irqbypass/internal/cli/histogram.js";
import { BaselineManager } from "../baselines/manager.js";
import { type Peer, spinUntil, startPeer } from "../harness/peer.js";
import { makeRecords } from "../harness/records.js";
import { Result, type StormData } from "../harness/storm-data.js";
import { type Native, type Prepare, roundMs, type Suite } from "../harness/suite.js";

const OWN = 64;
/** More threads than cores: a round is long enough for each to get its turn. */
const LONGER = 6;

function storms(list: boolean): Prepare {
  return async (parameters) => {
    const n = parameters.n!;
    const threads = parameters.threads!;
    const records = makeRecords(n + threads * OWN, { producers: false });
    const { host, consumers, eventfds, extra } = records;
    if (list) {
      const manager = BaselineManager.onLists(host, extra);
      for (let i = 0; i < n; i++) manager.fillConsumer(consumers[i]!, eventfds[i]!);
    } else {
      for (let i = 0; i < n; i++) host.manager.registerConsumer(consumers[i]!, eventfds[i]!);
    }
    const results = Array.from(
      { length: threads },
      () => new Int32Array(new SharedArrayBuffer(Result.words * 4)),
    );
    const peers: Peer[] = [];
    for (const [thread, result] of results.entries()) {
      const from = n + thread * OWN;
      const data: StormData = {
        host: host.handle,
        heads: list ? extra : 0,
        consumers: consumers.slice(from, from + OWN),
        eventfds: eventfds.slice(from, from + OWN),
        result,
      };
      peers.push(await startPeer("storm", data));
    }
    const clock = new Int32Array(new SharedArrayBuffer(4));
    return () => {
      for (const result of results) result.fill(0);
      const start = performance.now();
      for (const peer of peers) peer.work();
      Atomics.wait(clock, 0, 0, roundMs(parameters) * LONGER);
      for (const peer of peers) peer.rest();
      const spent = performance.now() - start;
      spinUntil(() => results.every((result) => Atomics.load(result, Result.done) === 1));
      return { values: summary(results, spent) };
    };
  };
}

/** The C manager with a futex for a lock. */
const native = (index: "list" | "radix", keys: "address" | "dense"): Native => ({
  source: "storm.c",
  arguments: (parameters) => [
    ...[index, keys, String(parameters.threads), String(parameters.n)],
    String(roundMs(parameters) * LONGER),
  ],
});

function summary(results: readonly Int32Array[], ms: number): Record<string, number> {
  const sum = (word: number) => results.reduce((total, result) => total + result[word]!, 0);
  const taken = sum(Result.taken);
  const waits = new Int32Array(HISTOGRAM_WORDS);
  for (const result of results) merge(waits, result.subarray(Result.histogram));
  // Those that did not wait have waited 0 ns: they count for the percentile.
  record(waits, 0);
  waits[0] = Math.max(0, taken - sum(Result.contended));
  return {
    mean: (sum(Result.waitedUs) * 1000) / taken,
    p99: percentile(waits, 0.99) ?? 0,
    longest: Math.max(...results.map((result) => result[Result.longestNs]!)),
    parks: (sum(Result.parks) / taken) * 1000,
    throughput: (sum(Result.operations) / ms) * 1000,
    // What the slowest thread got of each thousand; 1,000 divided by the threads is fair.
    fairness:
      (Math.min(...results.map((result) => result[Result.operations]!)) / sum(Result.operations)) * 1000,
  };
}

export const storm: Suite = {
  name: "storm",
  about:
    "Threads that register and unregister consumers as fast as they can, all at once: how long each waits for the manager's lock, the metric of the kernel's report.",
  measures: [
    { key: "mean", title: "wait for the lock, mean", unit: "ns" },
    { key: "p99", title: "p99", unit: "ns" },
    { key: "longest", title: "longest", unit: "ns" },
    { key: "parks", title: "sleeps per 1,000", unit: "per 1,000" },
    { key: "throughput", title: "registrations", unit: "per second" },
    { key: "fairness", title: "slowest thread's share", unit: "per 1,000" },
  ],
  contestants: {
    irqbypass: storms(false),
    list: storms(true),
    "C list": native("list", "address"),
    "C radix, addresses": native("radix", "address"),
    "C radix, dense ids": native("radix", "dense"),
  },
  trials: (quick) =>
    (quick ? [1_000, 12_000] : [1_000, 12_000, 174_000]).map((n) => ({
      title: `4 threads, ${n.toLocaleString("en-US")} registered`,
      parameters: { n, threads: 4 },
      contestants: ["irqbypass", "list", "C list", "C radix, addresses", "C radix, dense ids"],
    })),
  notes: [
    "12,000 are the 800 VMs of 15 irqfds of kernel bugzilla 217379: a VM more is 15 registrations. What a whole VM takes there shows irqbypass run examples/creation-storm.json.",
    "The share is of 1,000 registrations: with four threads 250 is fair.",
    "The mean is over every time the lock was taken, waited for or not. A wait begins when a thread has found the lock taken. List and Map take it by TypeScript, irqbypass in compiled code.",
  ],
};
