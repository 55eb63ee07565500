/** Devices as records: made, opened, handed over and ended. */
import type { BypassHost } from "../bypass/bypass-host.js";
import { isDevice } from "../bypass/live-records.js";
import { refresh } from "../bypass/remapping.js";
import { dropContext } from "../eventfd/reference.js";
import { wakeSleepers } from "../eventfd/signal.js";
import { IrqBypassError } from "../host/errors.js";
import {
  DEVICE_EVENTFDS,
  Device,
  DeviceFlag,
  DeviceUse,
  GATES,
  Gate,
  Producer,
  Thread,
  WAITED,
} from "../host/layout.js";
import { DeviceLife, gatesOf } from "./device-life.js";
import { hold, producerOf } from "./gate.js";

/** What a device is made of. */
export interface DeviceShape {
  readonly flags: number;
  /** Number of the kind of its producers. */
  readonly kind: number;
  readonly msi: number;
  /** MSI-X vectors, or virtqueues. */
  readonly msix: number;
  /** Host interrupts that an index can get. */
  readonly available: number;
  /** How each gate starts. */
  readonly gate: number;
}

/** So many host interrupts are as good as any number. */
const NO_LIMIT = 2 ** 31 - 1;

/** A new device, which the calling thread may signal. Throws ENOMEM, with nothing done. */
export function createDevice(host: BypassHost, shape: DeviceShape): DeviceLife {
  const { words, pools, mutex, thread } = host;
  const { flags, kind, msi, msix, available, gate } = shape;
  return mutex.guard(() => {
    const records = Math.max(1, Math.ceil((msi + msix) / GATES));
    pools.device.checkRoom(records);
    const device = pools.device.allocate();
    words.set(device + Device.flags, flags);
    words.set(device + Device.kind, kind);
    words.set(device + Device.msi, msi);
    words.set(device + Device.msix, msix);
    words.set(device + Device.available, available < NO_LIMIT ? available + 1 : 0);
    words.set(device + Device.head, device);
    for (let last = device, n = 1; n < records; n++) {
      const more = pools.device.allocate();
      words.set(more + Device.head, device);
      words.set(last + Device.next, more);
      last = more;
    }
    if (gate !== 0) for (const word of gatesOf(host, device)) words.store(word, gate);
    words.store(device + Device.owner, thread.record); // last: without an owner it is half made
    const life = new DeviceLife(host, device);
    life.tenure = words.load(device + Device.tenure);
    return life;
  });
}

/** The device that a handle opens: one with the flag {@link DeviceFlag.vdpa} or one without. Throws what `Pool.open` does. */
export function openDevice(host: BypassHost, handle: unknown, vdpa: 0 | DeviceFlag.vdpa): DeviceLife {
  const { pools, mutex, words } = host;
  return mutex.guard(() => {
    const record = pools.device.open(handle);
    const refusal = (why: string) =>
      new IrqBypassError("ESTALE", `${String(handle)} is the handle of ${why}`, { subject: "device" });
    if (!isDevice(host, record) || (words.get(record + Device.flags) & DeviceFlag.vdpa) !== vdpa)
      throw refusal("another kind of device");
    const life = new DeviceLife(host, record);
    // Behind the look at its life, which may be over: what the word says by then is what the next one in the record begins with.
    if ((words.load(record + Device.use) & DeviceUse.ending) === 0) return life;
    throw refusal("a device that is being disposed: make another one");
  });
}

/** The device in a record, undefined where there is none; for the repair, one that is being ended as well. */
export function lifeAt(host: BypassHost, record: number): DeviceLife | undefined {
  return host.mutex.guard(() => (isDevice(host, record) ? new DeviceLife(host, record) : undefined));
}

/** Its handle. Throws EBADF where it has ended. */
export function handleOf(life: DeviceLife): number {
  return life.host.look(() => {
    life.check();
    return life.host.pools.device.handle(life.record);
  });
}

/** Is the device the calling thread's? Then this thing may signal it from here on. Under its mutex. */
export function isOurs(life: DeviceLife): boolean {
  const { host, record } = life;
  const { words, thread } = host;
  if (words.load(record + Device.owner) !== thread.record) return false;
  life.tenure = words.load(record + Device.tenure);
  return true;
}

/**
 * From here on the calling thread may signal the device, and no other one. Throws EBUSY while the thread that could is in the middle of
 * a signal of it. What had begun when this is called is through when it returns.
 */
export function adoptDevice(life: DeviceLife): void {
  const { host, record, gates } = life;
  const { words, thread, mutex } = host;
  life.guard(() => {
    if (isOurs(life)) return;
    const owner = words.load(record + Device.owner);
    const producers = gates.map((word) => producerOf(host, words.load(word))).filter((one) => one !== 0);
    const signals = () => words.load(owner + Thread.signalling) & ~WAITED;
    const what = signals();
    if (what === record || producers.includes(what)) {
      throw new IrqBypassError(
        "EBUSY",
        `thread ${host.pools.thread.slot(owner)} is in the middle of a signal of device ${life.id}: try again`,
        { subject: `device ${life.id}` },
      );
    }
    const tenure = words.add(record + Device.tenure, 1) + 1; // whoever could signal finds out from here on
    const after = signals();
    if (after === record || producers.includes(after)) thread.fence(owner + Thread.signalling, after);
    mutex.guard(() => {
      words.store(record + Device.owner, thread.record);
      for (const producer of producers) {
        words.set(producer + Producer.owner, thread.record);
        const consumer = words.get(producer + Producer.consumer);
        if (consumer !== 0) refresh(host, consumer); // what this thread can do may be other than what that one could
      }
    });
    life.tenure = tenure | 0;
  });
}

/**
 * Ends a device, where it is there: whoever has it open finds out, `end` ends its producers, and its records are given back; its MSI-X
 * table goes with it. Blocks for its mutex, and for a signal that is under way.
 */
export function endDevice(life: DeviceLife, end: (host: BypassHost, producer: number) => void): void {
  const { host, record } = life;
  let table = 0;
  life.mutex.enclose(() => {
    if (!life.isLive()) return;
    host.mutex.enclose(() => {}); // a thread that may not wait for it is refused here, and not when half of it is done
    table = host.words.load(record + Device.table);
    finishDevice(life, end);
  });
  // Not under the device's mutex: that of the table comes before it. Left out, by a death too, whoever repairs next does it.
  if (table !== 0) host.repair?.table(table);
}

/** The same under its mutex. Done again, it finishes what a thread has begun that died. */
export function finishDevice(life: DeviceLife, end: (host: BypassHost, producer: number) => void): void {
  const { host, record, gates } = life;
  const { words } = host;
  host.thread.begun = true; // the end of something, which nobody can refuse
  const unmask = words.load(record + Device.unmask);
  if (unmask !== 0) wakeSleepers(words, unmask); // who listens looks, which takes the mutex, and finds out
  life.use(DeviceUse.ending, true);
  words.add(record + Device.life, 1); // it has ended, for whoever looks
  words.add(record + Device.tenure, 1); // and for whoever signals; who does so already is waited for
  life.fence(record);
  for (const word of gates) {
    hold(life, word, Gate.changing);
    const producer = producerOf(host, words.load(word));
    words.store(word, 0); // first: nobody ends its producer twice
    if (producer !== 0) end(host, producer);
  }
  giveBack(host, record);
}

function giveBack(host: BypassHost, device: number): void {
  const { words, pools, mutex } = host;
  const closes = mutex.guard(() => {
    const found = DEVICE_EVENTFDS.map((at) => {
      const eventfd = words.load(device + at);
      words.store(device + at, 0);
      return eventfd === 0 ? undefined : dropContext(host, eventfd);
    });
    for (let record = device; record !== 0; ) {
      const next = words.get(record + Device.next);
      pools.device.release(record);
      record = next;
    }
    return found;
  });
  for (const close of closes) close?.();
}
