import { EventEmitter } from "node:events";
import { type FastPath, Vcpu } from "irqbypass";
import { makeLinuxEventfd } from "../harness/linux.js";
import { buildPosted } from "../harness/machines.js";
import { letSleep, type Peer, pause, spinUntil, spinWhile, startPeer, Word } from "../harness/peer.js";
import { loadRingBuffer } from "../harness/ring-buffer.js";
import { type Native, type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measure, type Phase, timed, untimed } from "../harness/timing.js";

const VCPUS = 200;
const WAKEUP_VECTOR = 0xf1;

/** Rounds of phases, of which one is timed. */
function rounds(ms: number, operations: number, ...phases: Phase[]) {
  return () => ({ values: { signal: measure(ms, operations, ...phases)[0]! } });
}

const running: Prepare = (parameters) => postedTo(parameters, "wasm");
const runningInTypeScript: Prepare = (parameters) => postedTo(parameters, "typescript");

function postedTo(parameters: Parameters<Prepare>[0], fastPath: FastPath): ReturnType<Prepare> {
  const { host, vm, producers } = buildPosted(VCPUS, "require", fastPath);
  const vcpus = producers.map((_, index) => Vcpu.open(host, vm.vcpu(index).handle));
  const into = new Uint32Array(8);
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (const producer of producers) producer.signal();
    }),
    untimed(() => {
      for (const vcpu of vcpus) vcpu.take(into);
    }),
  );
}

const pending: Prepare = (parameters) => {
  const { host, vm, producers } = buildPosted(VCPUS);
  for (const [index, producer] of producers.entries()) {
    Vcpu.open(host, vm.vcpu(index).handle);
    producer.signal();
  }
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (const producer of producers) producer.signal();
    }),
  );
};

const preempted: Prepare = (parameters) => {
  const { host, vm, producers } = buildPosted(VCPUS);
  const into = new Uint32Array(8);
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (const producer of producers) producer.signal();
    }),
    untimed(() => {
      for (let index = 0; index < VCPUS; index++) {
        const vcpu = Vcpu.open(host, vm.vcpu(index).handle);
        vcpu.take(into);
        vcpu.put();
      }
    }),
  );
};

const harvestedBeside: Prepare = async (parameters) => {
  const { host, vm, producers } = buildPosted(1);
  const peer = await startPeer("harvest", { host: host.handle, vcpu: vm.vcpu(0).handle });
  const producer = producers[0]!;
  const round = rounds(
    roundMs(parameters),
    1000,
    timed(() => {
      for (let i = 0; i < 1000; i++) producer.signal();
    }),
  );
  return working(peer, round);
};

/** The peer is awake during a round only. */
function working<T>(peer: Peer, round: () => T): () => T {
  return () => {
    peer.work();
    pause(200);
    try {
      return round();
    } finally {
      peer.rest();
    }
  };
}

const halted: Prepare = async (parameters) => {
  const { host, vm, producers } = buildPosted(1);
  const { words } = await startPeer("halted", { host: host.handle, vcpu: vm.vcpu(0).handle });
  const vcpu = vm.vcpu(0);
  const producer = producers[0]!;
  let acknowledged = 0;
  return rounds(
    roundMs(parameters),
    1,
    untimed(() => {
      spinUntil(() => vcpu.inspect().nv === WAKEUP_VECTOR);
      letSleep();
    }),
    timed(() => producer.signal()),
    untimed(() => {
      acknowledged = spinWhile(words, Word.ack, acknowledged);
    }),
  );
};

const noIrqfd: Prepare = (parameters) => {
  const { vm, producers, eventfds } = buildPosted(VCPUS);
  vm.dispose();
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (const producer of producers) producer.signal();
    }),
    untimed(() => {
      for (const eventfd of eventfds) eventfd.tryRead();
    }),
  );
};

const relayed: Prepare = async (parameters) => {
  const { producers } = buildPosted(VCPUS, "off");
  await new Promise((resolve) => setTimeout(resolve, 300)); // the relay's thread starts
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (const producer of producers) producer.signal();
    }),
    untimed(() => pause(50)),
  );
};

const rawOr: Prepare = (parameters) => {
  const words = new Int32Array(new SharedArrayBuffer(VCPUS * 64));
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (let i = 0; i < VCPUS; i++) Atomics.or(words, i * 16, 2);
    }),
    untimed(() => words.fill(0)),
  );
};

const eventEmitter: Prepare = (parameters) => {
  const emitter = new EventEmitter();
  let count = 0;
  emitter.on("interrupt", () => {
    count += 1;
  });
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (let i = 0; i < VCPUS; i++) emitter.emit("interrupt");
    }),
    untimed(() => {
      if (count === 0) throw new Error("no event arrived");
    }),
  );
};

const postMessage: Prepare = async (parameters) => {
  const { words, worker } = await startPeer("messages");
  let sent = 0;
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (let i = 0; i < VCPUS; i++) worker.postMessage(i);
      sent += VCPUS;
    }),
    untimed(() => spinUntil(() => Atomics.load(words, Word.ack) === sent)),
  );
};

const ring: Prepare = async (parameters) => {
  const RingBuffer = await loadRingBuffer();
  const buffer = new RingBuffer(RingBuffer.getStorageForCapacity(VCPUS + 1, Int32Array), Int32Array);
  const element = new Int32Array(1);
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (let i = 0; i < VCPUS; i++) buffer.push(element);
    }),
    untimed(() => {
      for (let i = 0; i < VCPUS; i++) buffer.pop(element);
    }),
  );
};

const blockedReader: Prepare = async (parameters) => {
  const { host, eventfds, vm } = buildPosted(1);
  vm.dispose();
  const eventfd = eventfds[0]!;
  const { words } = await startPeer("eventfdReader", { host: host.handle, eventfd: eventfd.handle });
  let acknowledged = 0;
  return rounds(
    roundMs(parameters),
    1,
    untimed(() => {
      spinWhile(words, Word.ready, 0);
      letSleep();
    }),
    timed(() => eventfd.signal()),
    untimed(() => {
      acknowledged = spinWhile(words, Word.ack, acknowledged);
    }),
  );
};

const linuxWrite: Prepare = (parameters) => {
  const eventfd = makeLinuxEventfd();
  return rounds(
    roundMs(parameters),
    VCPUS,
    timed(() => {
      for (let i = 0; i < VCPUS; i++) eventfd.signal();
    }),
    untimed(() => void eventfd.tryRead()),
  );
};

const native = (source: string, work: string): Native => ({
  source,
  arguments: (parameters) => [work, String(roundMs(parameters))],
});

const contestants = {
  "posted, running vCPU": running,
  "posted, all TypeScript": runningInTypeScript,
  "posted, pending already": pending,
  "posted, preempted vCPU": preempted,
  "posted, harvested beside": harvestedBeside,
  "posted, halted vCPU woken": halted,
  "relayed (bypass off)": relayed,
  "eventfd without irqfd": noIrqfd,
  "eventfd, reader woken": blockedReader,
  "Linux eventfd write": linuxWrite,
  postMessage,
  EventEmitter: eventEmitter,
  "ringbuf.js push": ring,
  "Atomics.or": rawOr,
  "C lock or": native("calls.c", "or"),
  "C eventfd write": native("calls.c", "eventfd"),
  "C futex wake, nobody sleeps": native("calls.c", "futex"),
  "C futex wake, a sleeper woken": native("wake.c", "cost"),
};

export const signal: Suite = {
  name: "signal",
  about:
    "What one signal costs the thread of the device: signal() in each state of the vCPU, and what else could carry it.",
  measures: [{ key: "signal", title: "one signal", unit: "ns" }],
  contestants,
  trials: () => [{ title: "producer side", parameters: {}, contestants: Object.keys(contestants) }],
  notes: [
    "Running: the vCPU is loaded and has nothing pending, each of 200 vCPUs in turn; nobody touches the descriptor meanwhile. Harvested beside: one vCPU, which another core harvests without a pause. All TypeScript: the first row without WebAssembly.",
    "Where a sleeper is woken, it may be woken on the signaller's own core: then its first steps are in the figure. How long it takes until it runs is in the suite latency.",
    "postMessage, the ring buffer and the eventfds only send here, except where a sleeper is woken; EventEmitter calls its listener in the same thread.",
  ],
};
