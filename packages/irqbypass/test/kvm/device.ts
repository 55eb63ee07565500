/**
 * A device in a thread of its own: registers a producer for one eventfd and signals it, one interrupt at a time. After
 * each signal it waits until the guest's handlers have counted one more.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { Kind } from "#src/bypass/kind.js";
import { Producer } from "#src/bypass/producer.js";
import type { HostHandle } from "#src/host/reserve.js";
import type { WasmMemory } from "#src/host/wasm.js";
import { guestTables } from "#src/kvm/guest.js";
import { kvm } from "#src/kvm/kind.js";
import { LinuxEventfd } from "#src/linux/eventfd.js";
import { linux } from "#src/linux/kind.js";
import { Host } from "#src/vm/host.js";
import { eventually } from "./eventually.js";

/** What the device is told. */
export interface DeviceData {
  readonly host: HostHandle;
  readonly eventfd: number;
  readonly guest: WasmMemory;
  /** Where its interrupts may arrive: all on vCPU 0. */
  readonly vectors: readonly number[];
  readonly signals: number;
  /** false: the thread says that it cannot make KVM's system calls. */
  readonly capable: boolean;
  /**
   * Two words: which of the vectors the route names, times two, and odd while the route changes; and 1 to stop early.
   */
  readonly control: Int32Array;
}

/** What the device says at its end. */
export interface DeviceReport {
  readonly path: string;
  readonly reason: string | undefined;
  readonly signals: number;
  /** Signals that began and ended between two route changes, and how many of them arrived by the route of another time. */
  readonly steady: number;
  readonly stale: number;
}

const { host: handle, eventfd, guest, vectors, signals, capable, control } = workerData as DeviceData;
const kvmKind: Kind = capable ? kvm() : { ...kvm(), capable: () => false };
using host = Host.attach(handle, { kinds: [linux(), kvmKind] });
using token = LinuxEventfd.open(host, eventfd);
using producer = Producer.create(host);
producer.register(token);
const { path, reason } = producer;
parentPort?.postMessage("registered");

const { count } = guestTables(guest, 0);
const counts = () => vectors.map((vector) => Atomics.load(count, vector));
const sum = (list: readonly number[]) => list.reduce((all, one) => all + one, 0);
let steady = 0;
let stale = 0;
let sent = 0;
for (; sent < signals && Atomics.load(control, 1) === 0; sent++) {
  const before = counts();
  const route = Atomics.load(control, 0);
  producer.signal();
  eventually(
    () => sum(counts()) > sum(before),
    () => `signal ${sent + 1} arrived`,
  );
  const after = counts();
  if (sum(after) !== sum(before) + 1) throw new Error(`one signal, ${sum(after) - sum(before)} interrupts`);
  if (route % 2 !== 0 || Atomics.load(control, 0) !== route) continue;
  const arrived = after.findIndex((now, index) => now !== before[index]);
  steady++;
  if (arrived !== (route / 2) % vectors.length) stale++;
}
producer.dispose();
parentPort?.postMessage({ path, reason, signals: sent, steady, stale } satisfies DeviceReport);
