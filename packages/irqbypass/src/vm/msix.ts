/**
 * MSI-X as a guest sees it: a table, a pending bit array and a control register, in bytes (PCI Express base specification, "MSI-X
 * capability and table structures"). A PCI model forwards the guest's accesses; what they mean for a device's vectors and for a VM's
 * routes and irqfds happens here.
 */

import { VfioPciDevice } from "../device/vfio-pci.js";
import { EventfdContext } from "../eventfd/context.js";
import { checkClass, checkObject, isOf, reading, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { PoolName } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import type { Irqfd } from "./irqfd.js";
import { checkBytes, loadBytes, type MsixBytes } from "./msix-bytes.js";
import type { Msi, RawMsi } from "./route.js";
import type { RouteRef } from "./route-ref.js";

/** What MSI-X needs of a VM: `Vm` and `KvmVm` have it. */
export interface MsixVm<E extends EventfdContext> {
  /** A new route for a message. */
  routeMsi(msi: Msi): RouteRef;
  /** Makes each signal of an eventfd an interrupt of a GSI. */
  irqfd(eventfd: E, gsi: number): Irqfd;
}

const ENTRY_WORDS = 4;
const ENTRY_BYTES = 16;
const VM_TEXT = "a VM: a Vm or a KvmVm";
const MASK_BIT = 1;
const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;
/** Words of an entry, with the bits of each that a store changes: the low two of an address are 0, and all of the control but one. */
const WRITABLE = [~3, ~0, ~0, MASK_BIT] as const;

/** One vector while MSI-X is enabled and it has been needed. */
interface Connected<E> {
  readonly eventfd: E;
  /** From its first unmask on, both. */
  route?: RouteRef;
  irqfd?: Irqfd;
}

/**
 * The MSI-X capability of a device of a VM. What the guest stores in {@link table} and {@link control} masks and unmasks the device's
 * vectors, and gives each a route, an irqfd and a trigger when the guest first lets it signal; a change of address or data afterwards
 * re-targets that one route, live. What the device raises while its vector is masked is pending, as {@link pba} says, and goes where the
 * entry leads when it is unmasked.
 *
 * It belongs to the thread of the device, and sets the device's MSI-X triggers, masks and function mask from here on. The triggers of INTx and MSI
 * are to be taken away before it is enabled. A table that was replaced by `setGsiRouting` has lost its routes: each comes back with the
 * guest's next store to its entry.
 */
export class Msix<E extends EventfdContext = EventfdContext> extends Shown implements Disposable {
  /** The MSI-X table, 16 bytes a vector: address, its high half, data, vector control. Its reset state is 0, and masked. */
  readonly table: MsixBytes;
  /** The pending bit array, a bit a vector in whole 8 bytes. Stores change nothing. */
  readonly pba: MsixBytes;
  private readonly vm: MsixVm<E>;
  private readonly device: VfioPciDevice;
  private readonly createEventfd: () => E;
  private readonly count: number;
  private readonly words: Uint32Array;
  private readonly connected = new Map<number, Connected<E>>();
  /** Has the device triggers from here? */
  private inUse = false;
  private enabled = false;
  private functionMask = false;
  private disposed = false;

  /**
   * Joins a device and a VM. `createEventfd` makes the eventfd of a vector, which is closed with it: `() => Eventfd.create(host)`, and
   * for a `KvmVm` `() => LinuxEventfd.create(host)`. Masks every vector of the device. Throws EINVAL for a device without MSI-X.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Msix, VfioPciDevice, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const nic = new VfioPciDevice(host, { msix: 8 });
   * const msix = new Msix(new Vm(host), nic, () => Eventfd.create(host));
   * msix.control = 0x8000; // the guest enables MSI-X, then writes the first entry and unmasks it
   * msix.table.write(0, [0x00, 0x00, 0xe0, 0xfe, 0, 0, 0, 0, 0x41, 0, 0, 0, 0, 0, 0, 0]);
   * console.log(nic.vector("msix", 0).path); // posted
   * ```
   */
  constructor(vm: MsixVm<E>, device: VfioPciDevice, createEventfd: () => E) {
    super();
    checkObject(vm, VM_TEXT);
    if (reading(VM_TEXT, () => typeof vm.routeMsi !== "function" || typeof vm.irqfd !== "function"))
      throw new IrqBypassError("EINVAL", `this object has no routes and irqfds: pass ${VM_TEXT}`);
    checkClass(device, VfioPciDevice, () => `${show(device)} is no device: pass a VfioPciDevice`);
    if (typeof createEventfd !== "function") {
      throw new IrqBypassError(
        "EINVAL",
        `createEventfd is ${show(createEventfd)}: pass a function, as () => Eventfd.create(host)`,
      );
    }
    this.count = device.irqInfo("msix").count;
    if (this.count === 0)
      throw new IrqBypassError("EINVAL", "this device has no MSI-X: make it with msix: 8");
    this.vm = vm;
    this.device = device;
    this.createEventfd = createEventfd;
    this.words = new Uint32Array(this.count * ENTRY_WORDS);
    for (let number = 0; number < this.count; number++) {
      this.words[number * ENTRY_WORDS + 3] = MASK_BIT;
      device.vector("msix", number).mask();
    }
    device.functionMask = false;
    this.table = {
      length: this.count * ENTRY_BYTES,
      read: (offset, length) => this.load(this.words, offset, length),
      write: (offset, bytes) => this.store(offset, bytes),
    };
    this.pba = {
      length: Math.ceil(this.count / 64) * 8,
      read: (offset, length) => this.load(this.device.pendingBits("msix"), offset, length),
      write: (offset, bytes) => {
        checkBytes(offset, bytes);
        this.check();
      },
    };
  }

  /** The message control register, 16 bits: the table's size less one, the function mask (bit 14), enable (bit 15). */
  get control(): number {
    this.check();
    return this.count - 1 + (this.functionMask ? FUNCTION_MASK : 0) + (this.enabled ? ENABLE : 0);
  }

  /**
   * What the guest stores there: only the function mask and enable change. Disabled, the vectors lose their routes, irqfds and triggers,
   * and the table stays. Throws EINVAL for what are no 16 bits; ENOSPC and ENOMEM where there is no room for the vectors that can
   * signal from here on, and what the device says of triggers; the register is as before then.
   */
  set control(value: number) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff)
      throw new IrqBypassError("EINVAL", `control is ${show(value)}: the register has 16 bits`);
    this.check();
    const { enabled, functionMask } = this;
    const others = new Set(this.connected.keys());
    if (value & FUNCTION_MASK) this.device.functionMask = true; // first: nothing that follows lets one through
    this.functionMask = (value & FUNCTION_MASK) !== 0;
    this.enabled = (value & ENABLE) !== 0;
    try {
      if (!this.enabled) this.disconnectAll();
      else if (!enabled) this.enable();
      for (let number = 0; number < this.count; number++) this.follow(number);
    } catch (error) {
      this.functionMask = functionMask;
      this.enabled = enabled;
      this.device.functionMask = functionMask;
      if (!enabled) this.disconnectAll();
      else for (const number of this.connected.keys()) if (!others.has(number)) this.disconnect(number);
      throw error;
    }
    this.device.functionMask = this.functionMask;
  }

  /** The function's reset: disabled, and the table as at the start. */
  reset(): void {
    this.check();
    this.control = 0;
    for (let number = 0; number < this.count; number++) {
      this.words.set([0, 0, 0, MASK_BIT], number * ENTRY_WORDS);
      this.follow(number);
    }
  }

  /** Takes away what it has set: routes, irqfds, triggers. The vectors stay masked. Doing it again does nothing. */
  dispose(): void {
    if (this.disposed) return;
    this.reset();
    this.disposed = true;
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  protected describe(): object {
    this.check();
    const { enabled, functionMask, count } = this;
    return { enabled, functionMask, vectors: count, connected: [...this.connected.keys()] };
  }

  private load(words: Uint32Array, offset: number, length: number): Uint8Array {
    this.check();
    return loadBytes(new Uint8Array(words.buffer), offset, length);
  }

  private store(offset: number, given: ArrayLike<number>): void {
    const bytes = checkBytes(offset, given);
    this.check();
    const end = Math.min(offset + bytes.length, this.table.length);
    for (let at = offset; at < end; ) {
      const number = Math.floor(at / ENTRY_BYTES);
      const next = Math.min(end, (number + 1) * ENTRY_BYTES);
      this.storeEntry(number, at % ENTRY_BYTES, bytes.subarray(at - offset, next - offset));
      at = next;
    }
  }

  /** One entry of a store: its new words are one change, of which nobody sees a part. */
  private storeEntry(number: number, at: number, bytes: Uint8Array): void {
    const entry = this.words.subarray(number * ENTRY_WORDS, (number + 1) * ENTRY_WORDS);
    const before = entry.slice();
    const stored = entry.slice();
    new Uint8Array(stored.buffer).set(bytes, at);
    WRITABLE.forEach((bits, word) => {
      entry[word] = (before[word]! & ~bits) | (stored[word]! & bits);
    });
    try {
      this.follow(number);
    } catch (error) {
      entry.set(before);
      throw error;
    }
  }

  /** A vector's mask, and where it leads, follow its entry. */
  private follow(number: number): void {
    const [address = 0, addressHigh = 0, data = 0, control = 0] = this.words.subarray(number * ENTRY_WORDS);
    const vector = this.device.vector("msix", number);
    if (control & MASK_BIT) {
      vector.mask(); // where it leads is looked at when it is unmasked
      return;
    }
    if (this.enabled && !this.functionMask) this.lead(number, { address, addressHigh, data });
    vector.unmask(); // last: what is pending goes where the entry leads now
  }

  /** A vector leads there: by a new route and irqfd the first time, from then on by a change of that route. */
  private lead(number: number, msi: Required<RawMsi>): void {
    if (msi.addressHigh & 0xff) {
      this.disconnect(number); // no interrupt: what it raises waits for one
      return;
    }
    const route = this.connected.get(number)?.route;
    if (route !== undefined && isThere(route)) {
      if (!same(route.msi, msi)) route.change(msi);
      return;
    }
    if (route !== undefined) this.disconnect(number); // the whole table was replaced meanwhile
    this.connect(number, msi);
  }

  private connect(number: number, msi: Msi): void {
    const { vm, device } = this;
    let vector = this.connected.get(number);
    this.checkRoom(vector === undefined ? ["eventfd", "reference", "producer", "consumer"] : ["consumer"]);
    const route = vm.routeMsi(msi); // first: what may be refused, with nothing to be taken back
    try {
      vector ??= { eventfd: this.newEventfd() };
      vector.route = route;
      this.connected.set(number, vector);
      vector.irqfd = vm.irqfd(vector.eventfd, route.gsi);
      device.setTrigger("msix", number, vector.eventfd);
      this.inUse = true;
    } catch (error) {
      if (vector === undefined) route.dispose();
      else this.disconnect(number);
      throw error;
    }
  }

  /** Throws ENOMEM where a vector would find no room half-way. */
  private checkRoom(names: readonly PoolName[]): void {
    const { mutex, pools } = this.device.host;
    mutex.guard(() => {
      for (const name of names) pools[name].checkRoom();
    });
  }

  /** The mirror image: the device keeps what it raises from here on. */
  private disconnect(number: number): void {
    const vector = this.connected.get(number);
    if (vector === undefined) return;
    if (this.inUse) unlessGone(() => this.device.setTrigger("msix", number, null));
    this.release(number, vector);
  }

  private disconnectAll(): void {
    if (this.inUse) unlessGone(() => this.device.disable("msix")); // first: this may be refused
    this.inUse = false;
    for (const [number, vector] of this.connected) this.release(number, vector);
  }

  private release(number: number, { eventfd, route, irqfd }: Connected<E>): void {
    this.connected.delete(number);
    irqfd?.dispose();
    route?.dispose();
    eventfd.close();
  }

  private newEventfd(): E {
    const eventfd = this.createEventfd();
    checkClass(eventfd, EventfdContext, () => `createEventfd gave ${show(eventfd)}, which is no eventfd`);
    return eventfd;
  }

  /** A device that cannot have vectors added later gets the triggers of all when MSI-X is enabled. */
  private enable(): void {
    const { device, count } = this;
    if (!device.irqInfo("msix").noresize) return;
    for (let number = 0; number < count; number++) this.connected.set(number, { eventfd: this.newEventfd() });
    const eventfds = Array.from(this.connected.values(), ({ eventfd }) => eventfd);
    const had = device.setIrqs({
      index: "msix",
      start: 0,
      count,
      action: "trigger",
      data: "eventfd",
      eventfds,
    });
    if (had > 0)
      throw new IrqBypassError(
        "ENOSPC",
        `this device has ${count} vectors, and the host ${had} interrupts for it`,
      );
    this.inUse = true;
  }

  private check(): void {
    this.device.host.checkCall();
    if (this.disposed) throw new IrqBypassError("EBADF", "this MSI-X was disposed: make another one");
  }
}

function same(one: RawMsi, other: Required<RawMsi>): boolean {
  return one.address === other.address && one.addressHigh === other.addressHigh && one.data === other.data;
}

/** Is a route in its VM's table still? */
function isThere(route: RouteRef): boolean {
  return unlessGone(() => route.msi) !== undefined;
}

/** What `act` gives; undefined where that which it acts on has ended. */
function unlessGone<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (isOf(error, IrqBypassError) && error.code === "EBADF") return undefined;
    throw error;
  }
}
