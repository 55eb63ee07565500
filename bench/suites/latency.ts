import { Eventfd, type FastPath, Host, type Producer, Vcpu, Vm } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { Latencies } from "../harness/latencies.js";
import { available } from "../harness/linux.js";
import { buildPosted, type VcpuData, VECTOR } from "../harness/machines.js";
import {
  letSleep,
  type Peer,
  pause,
  spinUntil,
  spinWhile,
  stampOf,
  startPeer,
  Word,
} from "../harness/peer.js";
import { loadRingBuffer } from "../harness/ring-buffer.js";
import { spread } from "../harness/statistics.js";
import { type Prepare, type Round, roundMs, type Suite } from "../harness/suite.js";
import { clockCost } from "../harness/timing.js";

const WAKEUP_VECTOR = 0xf1;
const BLOCK = 500;
/** Most of a wake-up's round is waiting for the sleep. */
const LONGER = 4;

/** Titles of the trials. */
export const SPINNING = "to a thread that spins on another core";
export const ASLEEP = "to a thread that sleeps";

/**
 * One way between two threads that spin: half of a round trip whose two ways are alike. The typical one is that of the
 * middle block of round trips without a look at the clock, the percentiles are of single ones, a look each.
 */
function pingPong(peer: Peer, ms: number, roundTrip: () => void): Round {
  return () => {
    peer.work();
    pause(200);
    const latencies = new Latencies();
    const blocks: number[] = [];
    const end = performance.now() + ms;
    do {
      const start = performance.now();
      for (let i = 0; i < BLOCK; i++) roundTrip();
      let before = performance.now();
      blocks.push(((before - start - clockCost) * 1e6) / BLOCK / 2);
      for (let i = 0; i < BLOCK; i++) {
        roundTrip();
        const after = performance.now();
        latencies.add(Math.max(0, ((after - before - clockCost) * 1e6) / 2));
        before = after;
      }
    } while (performance.now() < end);
    peer.rest();
    return latencies.sample(spread(blocks).median);
  };
}

/**
 * From before the signal until the woken thread looks at the clock. It looks itself, since it may have been woken on the
 * core of the one that signals, which then has to wait.
 */
function wakeUp(
  words: Int32Array<SharedArrayBuffer>,
  ms: number,
  asleep: () => boolean,
  send: () => void,
): Round {
  const stamp = stampOf(words);
  let acknowledged = Atomics.load(words, Word.ack);
  return () => {
    const latencies = new Latencies();
    const end = performance.now() + ms * LONGER;
    do {
      spinUntil(asleep);
      letSleep();
      const start = process.hrtime.bigint();
      send();
      acknowledged = spinWhile(words, Word.ack, acknowledged);
      latencies.add(Number(stamp[0]! - start));
    } while (performance.now() < end);
    return latencies.sample();
  };
}

const spinning: Prepare = (parameters) => postedBothWays(parameters, "wasm");
const spinningInTypeScript: Prepare = (parameters) => postedBothWays(parameters, "typescript");

async function postedBothWays(parameters: Parameters<Prepare>[0], fastPath: FastPath): Promise<Round> {
  const { host, vm, producers } = buildPosted(2, "require", fastPath);
  const mine = Vcpu.open(host, vm.vcpu(0).handle);
  // The thread beside signals vCPU 0 through an eventfd and a producer of its own.
  const back = Eventfd.create(host);
  vm.setGsiRouting([
    { gsi: 24, msi: { vcpu: 0, vector: VECTOR } },
    { gsi: 25, msi: { vcpu: 1, vector: VECTOR } },
    { gsi: 26, msi: { vcpu: 0, vector: VECTOR } },
  ]);
  vm.irqfd(back, 26, { bypass: "require" });
  const data: VcpuData = { host: host.handle, vcpu: vm.vcpu(1).handle, eventfd: back.handle, fastPath };
  const peer = await startPeer("pingPong", data);
  const there: Producer = producers[1]!;
  const into = new Uint32Array(8);
  return pingPong(peer, roundMs(parameters), () => {
    there.signal();
    while (!mine.take(into));
  });
}

const rawWord: Prepare = async (parameters) => {
  const peer = await startPeer("rawPingPong");
  const { words } = peer;
  let value = 0;
  return pingPong(peer, roundMs(parameters), () => {
    value = (value + 1) | 0;
    Atomics.store(words, Word.ping, value);
    while (Atomics.load(words, Word.pong) !== value);
  });
};

const ring: Prepare = async (parameters) => {
  const RingBuffer = await loadRingBuffer();
  const there = RingBuffer.getStorageForCapacity(64, Int32Array);
  const back = RingBuffer.getStorageForCapacity(64, Int32Array);
  const outgoing = new RingBuffer(there, Int32Array);
  const incoming = new RingBuffer(back, Int32Array);
  const element = new Int32Array(1);
  return pingPong(await startPeer("ringPingPong", { there, back }), roundMs(parameters), () => {
    outgoing.push(element);
    while (incoming.pop(element) === 0);
  });
};

const halted: Prepare = async (parameters) => {
  const { host, vm, producers } = buildPosted(1);
  const vcpu = vm.vcpu(0);
  const { words } = await startPeer("halted", { host: host.handle, vcpu: vcpu.handle });
  return wakeUp(
    words,
    roundMs(parameters),
    () => vcpu.inspect().nv === WAKEUP_VECTOR,
    () => producers[0]!.signal(),
  );
};

const relayed: Prepare = async (parameters) => {
  const { host, vm, producers } = buildPosted(1, "off");
  const vcpu = vm.vcpu(0);
  const { words } = await startPeer("halted", { host: host.handle, vcpu: vcpu.handle });
  return wakeUp(
    words,
    roundMs(parameters),
    () => vcpu.inspect().nv === WAKEUP_VECTOR,
    () => producers[0]!.signal(),
  );
};

const futex: Prepare = async (parameters) => {
  const { words } = await startPeer("futex");
  return wakeUp(
    words,
    roundMs(parameters),
    () => Atomics.load(words, Word.ready) === 1,
    () => {
      Atomics.add(words, Word.ping, 1);
      Atomics.notify(words, Word.ping);
    },
  );
};

const eventfdReader: Prepare = async (parameters) => {
  const host = Host.create({ capacity: { eventfd: 16 } });
  const eventfd = Eventfd.create(host);
  const { words } = await startPeer("eventfdReader", { host: host.handle, eventfd: eventfd.handle });
  return wakeUp(
    words,
    roundMs(parameters),
    () => Atomics.load(words, Word.ready) === 1,
    () => eventfd.signal(),
  );
};

const linuxReader: Prepare = async (parameters) => {
  const { host, eventfd } = available(() => {
    const host = Host.create({ kinds: [linux()], capacity: { eventfd: 16 } });
    return { host, eventfd: LinuxEventfd.create(host) };
  });
  const { words } = await startPeer("linuxReader", { host: host.handle, eventfd: eventfd.handle });
  return wakeUp(
    words,
    roundMs(parameters),
    () => Atomics.load(words, Word.ready) === 1,
    () => eventfd.signal(),
  );
};

const postMessage: Prepare = async (parameters) => {
  const { words, worker } = await startPeer("messages");
  return wakeUp(
    words,
    roundMs(parameters),
    () => true,
    () => worker.postMessage(0),
  );
};

/** Deassigning takes the bypass away from a producer of another thread, and waits for its signal that is under way. */
function fence(threads: number): Prepare {
  return async (parameters) => {
    const host = Host.create({ capacity: { eventfd: 64, producer: 64, consumer: 64 } });
    const vm = new Vm(host, { apic: false });
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: VECTOR } }]);
    const eventfds = Array.from({ length: Math.max(1, threads) }, () => Eventfd.create(host));
    const peers: Peer[] = [];
    for (const eventfd of eventfds)
      peers.push(await startPeer("hotProducer", { host: host.handle, eventfd: eventfd.handle }));
    let next = 0;
    return () => {
      if (threads > 0) for (const peer of peers) peer.work();
      pause(200);
      const latencies = new Latencies();
      const end = performance.now() + roundMs(parameters);
      do {
        next = (next + 1) % eventfds.length;
        const irqfd = vm.irqfd(eventfds[next]!, 24, { bypass: "require" });
        const start = performance.now();
        irqfd.dispose();
        latencies.add((performance.now() - start - clockCost) * 1e6);
      } while (performance.now() < end);
      for (const peer of peers) peer.rest();
      return latencies.sample();
    };
  };
}

export const latency: Suite = {
  name: "latency",
  about:
    "From signal() until the other thread has harvested the interrupt. Spinning: half of a round trip that is posted both ways. Asleep: until the woken thread looks at the clock.",
  measures: [
    { key: "typical", title: "typical", unit: "ns" },
    { key: "p90", title: "p90", unit: "ns" },
    { key: "p99", title: "p99", unit: "ns" },
    { key: "p999", title: "p99.9", unit: "ns" },
  ],
  contestants: {
    "posted, spinning vCPU": spinning,
    "posted, all TypeScript": spinningInTypeScript,
    "bare word": rawWord,
    "ringbuf.js": ring,
    "posted, halted vCPU": halted,
    "Atomics.wait and notify": futex,
    "C futex wait and wake": {
      source: "wake.c",
      arguments: (parameters) => ["latency", String(roundMs(parameters))],
    },
    "relayed, halted vCPU": relayed,
    "shared eventfd, blocked reader": eventfdReader,
    "Linux eventfd, poll and read": linuxReader,
    postMessage,
    "deassign, three hot producers": fence(3),
    "deassign, a quiet producer": fence(0),
  },
  trials: () => [
    {
      title: SPINNING,
      parameters: {},
      contestants: ["posted, spinning vCPU", "posted, all TypeScript", "bare word", "ringbuf.js"],
    },
    {
      title: ASLEEP,
      parameters: {},
      contestants: [
        "posted, halted vCPU",
        "Atomics.wait and notify",
        "C futex wait and wake",
        "relayed, halted vCPU",
        "shared eventfd, blocked reader",
        "Linux eventfd, poll and read",
        "postMessage",
      ],
    },
    {
      title: "of deassigning while others signal",
      parameters: {},
      contestants: ["deassign, three hot producers", "deassign, a quiet producer"],
    },
  ],
  notes: [
    "Typical is the median; for the spinning ones that of blocks of 500 round trips, without a look at the clock in between.",
    "Every sleeper has slept for at least 250 us when it is woken, so its core is asleep too.",
    "On a machine with two busy cores the other thread may not be running at all: then these are the scheduler's figures.",
  ],
};
