/** The thread beside a contestant: the other end of what is measured, in one of several roles. */

import { parentPort, workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle, Producer, Vcpu } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { BaselineManager, type Registry } from "../baselines/manager.js";
import type { VcpuData } from "../harness/machines.js";
import { Mode, type PeerData, pause, stampOf, Word } from "../harness/peer.js";
import { loadRingBuffer } from "../harness/ring-buffer.js";
import type { Role } from "../harness/role.js";
import { msi, type RoutesData } from "../harness/routes-data.js";
import { Result, type StormData } from "../harness/storm-data.js";
import { answerTrips, openEnd, type TripData, Trips, type TripTimes } from "../harness/trips.js";
import { LockWaits } from "./lock-waits.js";

const { role, words, data } = workerData as PeerData;
const port = parentPort!;
const busy = () => Atomics.load(words, Word.mode) === Mode.busy;
const stamp = stampOf(words);
/** Notes when, then that it was woken, for who spins or sleeps until then. */
const acknowledge = () => {
  stamp[0] = process.hrtime.bigint();
  Atomics.add(words, Word.ack, 1);
  Atomics.notify(words, Word.ack);
};

/** Sleeps until there is work; for ever, since the process ends by itself. */
function whenever(work: () => void): never {
  port.postMessage("ready");
  for (;;) {
    Atomics.wait(words, Word.mode, Mode.idle);
    work();
  }
}

/** Works in slices of 50 us, with one turn of the event loop after each. */
function inSlices(look: () => void): void {
  const slice = () => {
    pause(50);
    look();
    setImmediate(slice);
  };
  slice();
  port.postMessage("ready");
}

function join({ host: handle, vcpu, fastPath = "wasm" }: VcpuData): { host: Host; vcpu: Vcpu } {
  const host = Host.attach(handle, { fastPath });
  return { host, vcpu: Vcpu.open(host, vcpu) };
}

const roles: Readonly<Record<Role, () => void | Promise<void>>> = {
  /** Harvests a vCPU without a pause. */
  harvest() {
    const { vcpu } = join(data as VcpuData);
    const into = new Uint32Array(8);
    whenever(() => {
      while (busy()) vcpu.take(into);
    });
  },

  /** Answers each interrupt of its vCPU with a signal of its own, spinning. */
  pingPong() {
    const { host, vcpu } = join(data as VcpuData);
    const eventfd = Eventfd.open(host, (data as VcpuData).eventfd!);
    const producer = Producer.create(host);
    producer.register(eventfd);
    const into = new Uint32Array(8);
    whenever(() => {
      while (busy()) if (vcpu.take(into)) producer.signal();
    });
  },

  /** The same with two bare words. */
  rawPingPong() {
    whenever(() => {
      while (busy()) Atomics.store(words, Word.pong, Atomics.load(words, Word.ping));
    });
  },

  /** The same with two ring buffers. */
  async ringPingPong() {
    const RingBuffer = await loadRingBuffer();
    const { there, back } = data as { there: SharedArrayBuffer; back: SharedArrayBuffer };
    const incoming = new RingBuffer(there, Int32Array);
    const outgoing = new RingBuffer(back, Int32Array);
    const element = new Int32Array(1);
    whenever(() => {
      while (busy()) if (incoming.pop(element) === 1) outgoing.push(element);
    });
  },

  /** Halts, and acknowledges each interrupt in a bare word. */
  halted() {
    const { vcpu } = join(data as VcpuData);
    const into = new Uint32Array(8);
    port.postMessage("ready");
    for (;;) {
      vcpu.wait();
      if (vcpu.take(into)) acknowledge();
    }
  },

  /** Sleeps in Atomics.wait on `ping`, and acknowledges each change. */
  futex() {
    port.postMessage("ready");
    for (let seen = 0; ; ) {
      Atomics.store(words, Word.ready, 1);
      Atomics.wait(words, Word.ping, seen);
      Atomics.store(words, Word.ready, 0);
      const value = Atomics.load(words, Word.ping);
      if (value === seen) continue;
      seen = value;
      acknowledge();
    }
  },

  /** Blocks in a read of a shared eventfd. */
  eventfdReader() {
    const { host: handle, eventfd } = data as Required<Pick<VcpuData, "host" | "eventfd">>;
    const reader = Eventfd.open(Host.attach(handle), eventfd);
    port.postMessage("ready");
    for (;;) {
      Atomics.store(words, Word.ready, 1);
      reader.read();
      Atomics.store(words, Word.ready, 0);
      acknowledge();
    }
  },

  /** Blocks in epoll_wait and read of a Linux eventfd. */
  linuxReader() {
    const { host: handle, eventfd } = data as Required<Pick<VcpuData, "host" | "eventfd">>;
    const reader = LinuxEventfd.open(Host.attach(handle, { kinds: [linux()] }), eventfd);
    port.postMessage("ready");
    for (;;) {
      Atomics.store(words, Word.ready, 1);
      if (reader.read({ timeoutMs: 1000 }) === undefined) continue;
      Atomics.store(words, Word.ready, 0);
      acknowledge();
    }
  },

  /** Registers and unregisters its own consumers, and notes how long it waited for the lock. */
  storm() {
    const { host: handle, heads, consumers, eventfds, result } = data as StormData;
    const waits = result.subarray(Result.histogram);
    const host = Host.attach(handle as HostHandle);
    const watch = new LockWaits(host, waits);
    const manager: Registry = heads === 0 ? host.manager : BaselineManager.onLists(host, heads);
    whenever(() => {
      watch.reset();
      let operations = 0;
      while (busy()) {
        for (let i = 0; i < consumers.length && busy(); i++) {
          manager.registerConsumer(consumers[i]!, eventfds[i]!);
          manager.unregisterConsumer(consumers[i]!);
          operations += 1;
        }
      }
      const { contended, parks, waitedNs, longestNs } = watch;
      result[Result.operations] = operations;
      result[Result.taken] = 2 * operations; // once for each of the two calls
      result[Result.contended] = contended;
      result[Result.parks] = parks;
      result[Result.waitedUs] = waitedNs / 1000;
      result[Result.longestNs] = Math.min(longestNs, 2 ** 31 - 1);
      Atomics.store(result, Result.done, 1);
    });
  },

  /** Signals through a producer of its own without a pause. */
  hotProducer() {
    const { host: handle, eventfd } = data as Required<Pick<VcpuData, "host" | "eventfd">>;
    const host = Host.attach(handle);
    const producer = Producer.create(host);
    producer.register(Eventfd.open(host, eventfd));
    whenever(() => {
      while (busy()) producer.signal();
    });
  },

  /** Takes messages on its event loop. */
  messages() {
    port.on("message", acknowledge);
    port.postMessage("ready");
  },

  /** Begins trips to another thread for so many milliseconds, and says how long each took. */
  beginsTrips() {
    const { words, joined } = data as TripData;
    const trips = new Trips(words, openEnd(joined, 0));
    port.on("message", (ms: number) => {
      const times = { own: [] as number[], bare: [] as number[] };
      const end = performance.now() + ms;
      do {
        for (const what of ["bare", "own"] as const) {
          let before = 0n;
          const begin = () => {
            before = process.hrtime.bigint();
          };
          trips.take(what, begin, () => {
            const now = process.hrtime.bigint();
            times[what].push(Number(now - before));
            before = now;
          });
        }
      } while (performance.now() < end);
      port.postMessage(times satisfies TripTimes);
    });
    port.postMessage("ready");
  },

  /** Answers them. */
  answersTrips() {
    const { words, joined } = data as TripData;
    const own = openEnd(joined, 1);
    port.postMessage("ready");
    answerTrips(words, own);
  },

  /** Goes idle on its event loop, and acknowledges each interrupt. */
  armed() {
    const { vcpu } = join(data as VcpuData);
    const into = new Uint32Array(8);
    const idle = () => {
      do {
        if (vcpu.take(into)) acknowledge();
      } while (!vcpu.arm(idle));
    };
    idle();
    port.postMessage("ready");
  },

  /** Works on its event loop in slices, and looks for interrupts after each. */
  armedBusy() {
    const { vcpu } = join(data as VcpuData);
    const into = new Uint32Array(8);
    inSlices(() => {
      if (vcpu.hasInterrupt() && vcpu.take(into)) acknowledge();
    });
  },

  /** The same, and takes messages in between. */
  messagesBusy() {
    port.on("message", acknowledge);
    inSlices(() => {});
  },

  /** Changes routes of a KVM guest, at which irqfds listen. */
  reroutes() {
    const { host: handle, vm: guest, gsis } = data as RoutesData;
    const vm = KvmVm.open(Host.attach(handle, { kinds: [linux(), kvm()] }), guest);
    const routes = gsis.map((gsi) => vm.route(gsi));
    let turn = 0;
    whenever(() => {
      while (busy()) {
        turn += 1;
        routes[turn % routes.length]!.change(msi(turn));
        Atomics.add(words, Word.ack, 1);
      }
      Atomics.store(words, Word.ready, 1);
    });
  },

  /** Keeps a core busy. */
  computes() {
    whenever(() => {
      while (busy());
    });
  },
};

await roles[role]();
