import type { BypassHost } from "../bypass/bypass-host.js";
import { dropContext, holdContext } from "../eventfd/reference.js";
import { signalRecord } from "../eventfd/signal.js";
import { IrqBypassError } from "../host/errors.js";
import { type DEVICE_EVENTFDS, Device, type DeviceUse, GATES, Thread } from "../host/layout.js";
import { deadlock, Mutex } from "../host/mutex.js";

/** A word of a device that names an eventfd. */
export type DeviceEventfd = (typeof DEVICE_EVENTFDS)[number];

/**
 * The mutex of the device in a record: what its VMM changes, from whichever thread; and that of an MSI-X table. Taken before the host
 * mutex, never after it; a device's never together with that of a VM, a table's before either. Whoever waited for it may find another device in the record, or none: {@link DeviceLife} looks.
 */
export function deviceMutex(host: BypassHost, device: number): Mutex {
  const name = `the mutex of device ${host.pools.device.slot(device)}`;
  return new Mutex(host.words, device + Device.mutex, host.thread, name, (dead) =>
    host.repair!.device(device, dead),
  );
}

/**
 * One device, and not the next one in its record, as the calling thread has it. What the VMM does is done under the device's mutex: a
 * mutex of its own, since it spans whole blocks of changes, each of which takes the host's. To signal takes none.
 */
export class DeviceLife {
  readonly mutex: Mutex;
  /** By which it is told from another one in the same record. */
  private readonly life: number;
  /** What it is ({@link DeviceFlag}), and how many MSI vectors it has: later another device may have the record. */
  readonly flags: number;
  readonly msi: number;
  /** Its gates. */
  readonly gates: readonly number[];
  /** Says that the calling thread may signal, for as long as the device's word is the same; undefined until it is known. */
  tenure: number | undefined;

  /** Under the host mutex, or by the thread that has just made it. */
  constructor(
    readonly host: BypassHost,
    readonly record: number,
  ) {
    const { words } = host;
    this.mutex = deviceMutex(host, record);
    this.life = words.load(record + Device.life);
    this.flags = words.get(record + Device.flags);
    this.msi = words.get(record + Device.msi);
    this.gates = gatesOf(host, record);
  }

  /** A small number that no other device of this host has while this one lives, for tables and messages. */
  get id(): number {
    return this.host.pools.device.slot(this.record);
  }

  /** Is it there? True for as long as the caller holds its mutex; otherwise it says so of what was read before. */
  isLive(): boolean {
    return this.host.words.load(this.record + Device.life) === this.life;
  }

  /** Runs `section` under the device's mutex, and so while it is there. Blocks. Throws EBADF where it has ended. */
  guard<T>(section: () => T): T {
    return this.mutex.enclose(() => {
      this.check();
      return section();
    });
  }

  /** The same for what the device itself does, which goes on where it has ended: nothing happens then. */
  act(section: () => void): void {
    const { thread } = this.host;
    if (thread.left || !this.isLive()) return;
    const { callback } = thread;
    if (callback !== undefined) throw deadlock(this.mutex.name, callback);
    thread.begun = false;
    this.mutex.enclose(() => {
      if (this.isLive()) section();
    });
  }

  /** Throws EBADF where it has ended. */
  check(): void {
    this.host.checkAttached();
    if (this.isLive()) return;
    throw new IrqBypassError("EBADF", "this device was disposed: make another one", {
      subject: `device ${this.id}`,
    });
  }

  /** A word of its record; 0 where it has ended. */
  read(word: Device): number {
    const value = this.host.words.load(this.record + word);
    return this.isLive() ? value : 0;
  }

  /** One of its {@link DeviceUse}; false where it has ended. */
  uses(what: DeviceUse): boolean {
    return (this.read(Device.use) & what) !== 0;
  }

  /** Sets or clears some of its {@link DeviceUse}. Under its mutex. */
  use(what: number, on: boolean): void {
    const { words } = this.host;
    const word = this.record + Device.use;
    if (on) words.or(word, what);
    else words.and(word, ~what);
  }

  /** Gives it another eventfd (0: none) at one of its words, and keeps that alive. Under its mutex. */
  setEventfd(at: DeviceEventfd, eventfd: number): void {
    const { host, record } = this;
    const { words } = host;
    const close = host.mutex.guard(() => {
      const old = words.load(record + at);
      if (eventfd !== 0) holdContext(host, eventfd);
      words.store(record + at, eventfd);
      return old === 0 ? undefined : dropContext(host, old);
    });
    close?.();
  }

  /** Signals the eventfd at one of its words, if there is one. Under its mutex. */
  signalEventfd(at: DeviceEventfd): void {
    const eventfd = this.host.words.load(this.record + at);
    if (eventfd !== 0) signalRecord(this.host, eventfd);
  }

  /** Waits until the thread that signals it is past what it was in the middle of. Under its mutex; not under the host's. */
  fence(producer: number): void {
    const { words, thread } = this.host;
    const owner = words.load(this.record + Device.owner);
    if (owner !== thread.record && owner !== 0) thread.fence(owner + Thread.signalling, producer);
  }
}

/** The gates of a device, through all of its records. */
export function gatesOf({ words }: BypassHost, device: number): number[] {
  const count = words.get(device + Device.msi) + words.get(device + Device.msix);
  const gates: number[] = [];
  for (let record = device; gates.length < count; record = words.get(record + Device.next)) {
    const here = Math.min(GATES, count - gates.length);
    for (let n = 0; n < here; n++) gates.push(record + Device.gates + n);
  }
  return gates;
}
