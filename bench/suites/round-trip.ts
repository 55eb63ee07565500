import { availableParallelism } from "node:os";
import { Eventfd, Host, Vcpu } from "irqbypass";
import { Latencies } from "../harness/latencies.js";
import { buildPosted, type VcpuData, VECTOR } from "../harness/machines.js";
import { type Peer, pause, spinWhile, startPeer, Word } from "../harness/peer.js";
import { type Prepare, type Round, roundMs, type Suite } from "../harness/suite.js";

/** Round trips are sleeps and wake-ups: fewer of them fit into a round. */
const LONGER = 4;

/** Round trips to a thread that answers each; beside it as many others compute as the trial says. */
async function roundTrips(parameters: Parameters<Prepare>[0], peer: Peer, trip: () => void): Promise<Round> {
  const others: Peer[] = [];
  for (let left = parameters.computing ?? 0; left > 0; left--) others.push(await startPeer("computes"));
  return () => {
    for (const other of [peer, ...others]) other.work();
    pause(200);
    const latencies = new Latencies();
    const end = performance.now() + roundMs(parameters) * LONGER;
    do {
      const start = process.hrtime.bigint();
      trip();
      latencies.add(Number(process.hrtime.bigint() - start));
    } while (performance.now() < end);
    for (const other of [peer, ...others]) other.rest();
    return latencies.sample();
  };
}

/** The yardstick: both ways by Atomics.wait and notify. */
const bare: Prepare = async (parameters) => {
  const peer = await startPeer("barePong");
  const { words } = peer;
  let value = 0;
  return roundTrips(parameters, peer, () => {
    value = (value + 1) | 0;
    Atomics.store(words, Word.ping, value);
    Atomics.notify(words, Word.ping);
    while (Atomics.load(words, Word.pong) !== value) Atomics.wait(words, Word.pong, (value - 1) | 0);
  });
};

/** A doorbell there and one back, both read by a call that blocks. */
const doorbells: Prepare = async (parameters) => {
  const host = Host.create();
  const [there, back] = [Eventfd.create(host), Eventfd.create(host)];
  const data = { host: host.handle, eventfds: [there.handle, back.handle] };
  return roundTrips(parameters, await startPeer("doorbellPong", data), () => {
    there.signal();
    back.read();
  });
};

/** An interrupt there and one back, both posted to a vCPU that waits. */
const interrupts: Prepare = async (parameters) => {
  const { host, vm, producers } = buildPosted(2);
  const mine = Vcpu.open(host, vm.vcpu(0).handle);
  const back = Eventfd.create(host);
  vm.setGsiRouting([0, 1, 0].map((vcpu, i) => ({ gsi: 24 + i, msi: { vcpu, vector: VECTOR } })));
  vm.irqfd(back, 26, { bypass: "require" });
  const data: VcpuData = { host: host.handle, vcpu: vm.vcpu(1).handle, eventfd: back.handle };
  const into = new Uint32Array(8);
  return roundTrips(parameters, await startPeer("interruptPong", data), () => {
    producers[1]!.signal();
    mine.wait();
    mine.take(into);
  });
};

/** One way to a thread on its event loop, which answers in a bare word; idle, or busy with slices of work. */
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

function answered(parameters: Parameters<Prepare>[0], peer: Peer, send: () => void): Promise<Round> {
  let seen = Atomics.load(peer.words, Word.ack);
  return roundTrips(parameters, peer, () => {
    send();
    seen = spinWhile(peer.words, Word.ack, seen);
  });
}

const PONG = ["Atomics.wait and notify", "eventfd.read()", "vcpu.wait()"];

export const roundTrip: Suite = {
  name: "round-trip",
  about:
    "There and back between two workers. To an event loop: there by a signal or a message, back by a bare word for which the sender spins; a busy one runs slices of 50 us, and returns to its loop after each.",
  measures: [
    { key: "typical", title: "typical", unit: "ns" },
    { key: "p90", title: "p90", unit: "ns" },
    { key: "p99", title: "p99", unit: "ns" },
  ],
  contestants: {
    "Atomics.wait and notify": bare,
    "eventfd.read()": doorbells,
    "vcpu.wait()": interrupts,
    "postMessage, idle": messages("messages"),
    "vcpu.arm(), idle": armed("armed"),
    "postMessage, busy": messages("messagesBusy"),
    "vcpu.hasInterrupt(), busy": armed("armedBusy"),
  },
  trials: () => [
    { title: "there and back, idle cores", parameters: {}, contestants: PONG },
    {
      title: "there and back, busy cores",
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
