import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Latencies } from "../harness/latencies.js";
import { buildPosted } from "../harness/machines.js";
import { type Peer, pause, stampOf, startPeer, Word } from "../harness/peer.js";
import { type Prepare, type Round, roundMs, type Suite } from "../harness/suite.js";
import { type Joined, joined, type TripData, type TripTimes, tripWords } from "../harness/trips.js";

/** Round trips are sleeps and wake-ups: fewer of them fit into a round. */
const LONGER = 4;

/** There and back between two workers, and by a bare `Atomics.wait` between the same two. */
const between =
  (kind: Joined["kind"]): Prepare =>
  async (parameters) => {
    const data: TripData = { words: tripWords(), joined: joined(kind) };
    const others: Peer[] = [];
    for (let left = parameters.computing ?? 0; left > 0; left--) others.push(await startPeer("computes"));
    await startPeer("answersTrips", data);
    const { worker } = await startPeer("beginsTrips", data);
    return async () => {
      for (const other of others) other.work();
      const answer = once(worker, "message");
      worker.postMessage(roundMs(parameters) * LONGER);
      const [{ own, bare }] = (await answer) as [TripTimes];
      for (const other of others) other.rest();
      const [latencies, yardstick] = [new Latencies(), new Latencies()];
      for (const ns of own) latencies.add(ns);
      for (const ns of bare) yardstick.add(ns);
      const sample = latencies.sample();
      const typical = yardstick.sample().values.typical!;
      return {
        ...sample,
        values: { ...sample.values, bare: typical, over: (1000 * sample.values.typical!) / typical },
      };
    };
  };

/** One way to a thread on its event loop, idle or busy with slices of work. */
const armed =
  (role: "armed" | "armedBusy"): Prepare =>
  async (parameters) => {
    const { host, vm, producers } = buildPosted(1);
    const peer = await startPeer(role, { host: host.handle, vcpu: vm.vcpu(0).handle });
    return answered(parameters, peer, () => producers[0]!.signal());
  };

const messages =
  (role: "messages" | "messagesBusy"): Prepare =>
  async (parameters) => {
    const peer = await startPeer(role);
    return answered(parameters, peer, () => peer.worker.postMessage(0));
  };

/** From `send` until the peer says that it has it; meanwhile this thread sleeps, and wants no core that the peer could have. */
function answered(parameters: Parameters<Prepare>[0], peer: Peer, send: () => void): Round {
  const { words } = peer;
  const stamp = stampOf(words);
  return () => {
    peer.work();
    pause(200);
    const latencies = new Latencies();
    const end = performance.now() + roundMs(parameters) * LONGER;
    do {
      const seen = Atomics.load(words, Word.ack);
      Atomics.wait(words, Word.ack, seen, Math.random() / 5); // anywhere in a slice of the other's work
      const start = process.hrtime.bigint();
      send();
      while (Atomics.load(words, Word.ack) === seen) Atomics.wait(words, Word.ack, seen);
      latencies.add(Number(stamp[0]! - start));
    } while (performance.now() < end);
    peer.rest();
    return latencies.sample();
  };
}

const PONG = ["eventfd.read()", "vcpu.wait()"];

export const IDLE = "there and back, idle cores";
export const BUSY = "there and back, busy cores";

export const roundTrip: Suite = {
  name: "round-trip",
  about:
    "There and back between two workers that sleep for each other, and in turns with that by a bare Atomics.wait of the same two: what that takes, and the quotient. To an event loop one way, by a signal or a message; a busy one runs slices of 50 us, and returns to its loop after each.",
  measures: [
    { key: "typical", title: "typical", unit: "ns" },
    { key: "p90", title: "p90", unit: "ns" },
    { key: "p99", title: "p99", unit: "ns" },
    { key: "bare", title: "Atomics.wait", unit: "ns" },
    { key: "over", title: "of that", unit: "per 1,000" },
  ],
  contestants: {
    "eventfd.read()": between("doorbells"),
    "vcpu.wait()": between("interrupts"),
    "postMessage, idle": messages("messages"),
    "vcpu.arm(), idle": armed("armed"),
    "postMessage, busy": messages("messagesBusy"),
    "vcpu.hasInterrupt(), busy": armed("armedBusy"),
  },
  trials: () => [
    { title: IDLE, parameters: {}, contestants: PONG },
    {
      title: BUSY,
      parameters: { computing: availableParallelism() },
      contestants: PONG,
    },
    {
      title: "to an idle event loop",
      parameters: {},
      contestants: ["postMessage, idle", "vcpu.arm(), idle"],
    },
    {
      title: "to a busy event loop",
      parameters: {},
      contestants: ["postMessage, busy", "vcpu.hasInterrupt(), busy"],
    },
  ],
};
