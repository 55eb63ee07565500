/** The MSI-X table of a device as records in shared memory, which every thread has that has it open. */
import type { BypassHost } from "../../bypass/bypass-host.js";
import { isDevice } from "../../bypass/live-records.js";
import { DeviceLife, deviceMutex } from "../../device/device-life.js";
import { MsiIndex } from "../../device/msi.js";
import { IrqBypassError } from "../../host/errors.js";
import { Device, DeviceFlag, Msix, MsixState, MsixVector, VECTORS } from "../../host/layout.js";
import type { Mutex } from "../../host/mutex.js";
import type { RouteEntry } from "../route-entry.js";
import { hasLongIds } from "../vcpus.js";
import { VmLife } from "../vm-mutex.js";
import { type Entry, isMessage, type Numbered, RESET } from "./entry.js";

/** One MSI-X table, and not what comes after it in its record. All of it under its mutex, but where it says otherwise. */
export class MsixTable {
  /** Taken before the mutexes of its device and of its VM, which changes of it take. */
  readonly mutex: Mutex;
  /** How many vectors the device has. */
  readonly count: number;
  /** Undefined where the device has ended, or has another table already. */
  readonly device: DeviceLife | undefined;
  /** The device's MSI-X vectors. */
  readonly index: MsiIndex | undefined;
  /** The VM that its messages are for, which may have gone. */
  readonly vm: VmLife;
  /** Does the upper half of an address say something in that? */
  private readonly longIds: boolean;
  /** Undefined where it was ending already: that of the next one in its record would be taken for its. */
  private readonly life: number | undefined;
  /** The records that this thread has met, by the number of their part. */
  private readonly parts: Map<number, number>;

  /** Under the host mutex. */
  constructor(
    readonly host: BypassHost,
    readonly record: number,
  ) {
    const { words } = host;
    this.parts = new Map([[0, record]]);
    this.mutex = deviceMutex(host, record);
    const life = words.load(record + Msix.life);
    // Behind the look at its life, which may be over: that says first that it ends, and then changes.
    this.life = (words.load(record + Msix.state) & MsixState.ending) === 0 ? life : undefined;
    this.count = words.get(record + Msix.count);
    this.vm = new VmLife(host, words.get(record + Msix.vm), words.get(record + Msix.vmGeneration));
    this.longIds = hasLongIds(words, this.vm.record);
    const at = words.load(record + Msix.device);
    if (isDevice(host, at)) {
      const device = new DeviceLife(host, at);
      // Behind it, for the same reason.
      const isLive = words.load(at + Device.life) === words.get(record + Msix.deviceLife);
      // One whose thread died when it had let go of the device is no part of that any more: the next one may be.
      if (isLive && words.load(at + Device.table) === record) {
        this.device = device;
        this.index = new MsiIndex(device, "msix");
      }
    }
  }

  /** Is it there? True for as long as the caller holds its mutex; otherwise it says so of what was read before. */
  isLive(): boolean {
    return this.host.words.load(this.record + Msix.life) === this.life;
  }

  /** Throws EBADF where it, or its device, has ended. In whichever thread, with or without its mutex. */
  check(): void {
    if (!this.isLive() || this.device === undefined)
      throw new IrqBypassError("EBADF", "this MSI-X was disposed, or its device: make another one");
    this.device.check();
  }

  /** Runs `section` under its mutex, and so while it is there. Blocks. Throws EBADF where it, or its device, has ended. */
  guard<T>(section: () => T): T {
    return this.mutex.enclose(() => {
      this.check();
      this.admit();
      return section();
    });
  }

  /** Before a change: a thread that may not wait for a mutex that it takes is refused here, and not when half of it is done. */
  admit(): void {
    const { host, device, vm } = this;
    if (host.thread.mayBlock) return;
    for (const mutex of [device?.mutex, vm.mutex, host.mutex]) mutex?.enclose(() => {});
  }

  /** {@link MsixState}. To be read without the mutex, too. */
  get state(): number {
    return this.host.words.load(this.record + Msix.state);
  }

  /** Sets some of its {@link MsixState}, and clears others, in one step. */
  change(set: number, cleared = 0): void {
    this.host.words.store(this.record + Msix.state, (this.state & ~cleared) | set);
  }

  /** Can a vector that is not masked by itself signal? */
  get isOpen(): boolean {
    return (this.state & (MsixState.enable | MsixState.functionMask)) === MsixState.enable;
  }

  /** The vectors that may be other than after a reset, in order. */
  get known(): number[] {
    this.meet();
    const parts = [...this.parts.keys()].sort((one, other) => one - other);
    return parts.flatMap((part) =>
      Array.from({ length: Math.min(VECTORS, this.count - part * VECTORS) }, (_, at) => part * VECTORS + at),
    );
  }

  /** The entries of those. */
  get entries(): Numbered[] {
    return this.known.map((number) => [number, this.entry(number)]);
  }

  /** A vector's entry. */
  entry(number: number): Entry {
    const at = this.at(number);
    if (at === 0) return RESET;
    const { words } = this.host;
    return [
      words.load(at + MsixVector.address) >>> 0,
      words.load(at + MsixVector.addressHigh) >>> 0,
      words.load(at + MsixVector.data) >>> 0,
      words.load(at + MsixVector.unmasked) ^ 1,
    ];
  }

  /** Is an entry a message of its VM? What such a vector raises otherwise waits for one. */
  isMessage(entry: Entry): boolean {
    return isMessage(entry, this.longIds);
  }

  /** Gives a vector, which has {@link makeRoom}, another entry: whoever dies meanwhile, all of it or nothing. */
  commit(number: number, [address, addressHigh, data, control]: Entry): void {
    const { words } = this.host;
    const storing = this.record + Msix.storing;
    [address, addressHigh, data, control ^ 1].forEach((word, at) => {
      words.store(storing + 1 + at, word | 0);
    });
    words.store(storing, number + 1); // from here on it is the entry, whether this thread writes it or who repairs after it
    this.redo();
  }

  /** Writes the entry that is being written, if one is; once more where that has been begun. */
  redo(): void {
    const { words } = this.host;
    const storing = this.record + Msix.storing;
    const number = words.load(storing) - 1;
    if (number < 0) return;
    const at = this.at(number);
    for (let word = 0; word < 4; word++) words.store(at + word, words.load(storing + 1 + word));
    words.store(storing, 0); // last
  }

  /** The route of a vector, which may have gone meanwhile; undefined where it has none. */
  route(number: number): RouteEntry | undefined {
    const at = this.at(number);
    const { words } = this.host;
    const gsi = at === 0 ? 0 : words.load(at + MsixVector.gsi);
    if (gsi === 0) return undefined;
    return {
      gsi: gsi - 1,
      record: words.load(at + MsixVector.route),
      generation: words.load(at + MsixVector.generation),
    };
  }

  /** Notes the route of a vector, or that it has none. */
  setRoute(number: number, route: RouteEntry | undefined): void {
    const { words } = this.host;
    const at = this.at(number);
    words.store(at + MsixVector.gsi, route === undefined ? 0 : route.gsi + 1);
    words.store(at + MsixVector.route, route?.record ?? 0);
    words.store(at + MsixVector.generation, route?.generation ?? 0);
  }

  /** The handle by which a vector's eventfd is open, 0 where it is connected to nothing. To be read without the mutex, too. */
  reference(number: number): number {
    const at = this.at(number);
    return at === 0 ? 0 : this.host.words.load(at + MsixVector.reference);
  }

  /** Under the host mutex, too. */
  setReference(number: number, reference: number): void {
    this.host.words.store(this.at(number) + MsixVector.reference, reference);
  }

  /** Makes room for what a vector is, other than after a reset. Throws ENOMEM. */
  makeRoom(number: number): void {
    if (this.at(number) !== 0) return;
    const { words, mutex, pools } = this.host;
    const part = Math.floor(number / VECTORS);
    const made = mutex.guard(() => {
      const one = pools.device.allocate();
      words.store(one + Msix.part, part);
      words.set(one + Msix.head, this.record); // from here on the list is made anew with it, should this thread die
      this.enlist(one);
      return one;
    });
    this.parts.set(part, made);
  }

  /** Makes the list of its records anew, after a thread has died in the middle of it. */
  relink(): void {
    const { words, pools, mutex } = this.host;
    mutex.guard(() => words.set(this.record + Msix.next, 0));
    this.host.forEachLive(pools.device, (one) => {
      if (one !== this.record && words.get(one + Msix.head) === this.record) this.enlist(one);
    });
  }

  /** Its records, the first one last. */
  get records(): number[] {
    const { words } = this.host;
    const found: number[] = [];
    for (let one = this.record; one !== 0; one = words.get(one + Msix.next)) found.unshift(one);
    return found;
  }

  /** Under the host mutex. */
  private enlist(one: number): void {
    const { words } = this.host;
    words.set(one + Msix.next, words.get(this.record + Msix.next));
    words.set(this.record + Msix.next, one);
  }

  /** Where a vector's words are, 0 where it has none. */
  private at(number: number): number {
    const part = Math.floor(number / VECTORS);
    if (!this.parts.has(part)) this.meet();
    const record = this.parts.get(part);
    if (record === undefined) return 0;
    return record + Msix.vectors + (number % VECTORS) * MsixVector.words;
  }

  private meet(): void {
    for (const one of this.records) this.parts.set(this.host.words.load(one + Msix.part), one);
  }
}

/** What a table is made for. */
export interface MsixPlan {
  readonly device: DeviceLife;
  readonly vm: VmLife;
  readonly count: number;
}

/** The table of a device: a new one where it has none. Throws ENOMEM, EBADF where the device has ended. */
export function tableOf(
  host: BypassHost,
  { device, vm, count }: MsixPlan,
): { readonly table: MsixTable; readonly isNew: boolean } {
  const { words, mutex, pools } = host;
  return device.guard(() =>
    mutex.guard(() => {
      const before = words.load(device.record + Device.table);
      if (before !== 0) return { table: new MsixTable(host, before), isNew: false };
      const made = pools.device.allocate();
      words.set(made + Msix.head, made);
      words.set(made + Msix.flags, DeviceFlag.table);
      words.set(made + Msix.deviceLife, words.load(device.record + Device.life));
      words.set(made + Msix.vm, vm.record);
      words.set(made + Msix.vmGeneration, vm.generation);
      words.set(made + Msix.count, count);
      words.store(device.record + Device.table, made);
      words.store(made + Msix.device, device.record); // last: without a device it is half made
      return { table: new MsixTable(host, made), isNew: true };
    }),
  );
}

/** The table in a record, undefined where there is none; one that is ending as well, which is not live then. */
export function tableAt(host: BypassHost, record: number): MsixTable | undefined {
  return host.mutex.guard(() => (isTable(host, record) ? new MsixTable(host, record) : undefined));
}

/** The table that a handle opens. Throws what `Pool.open` does, and ESTALE for a device's. */
export function openTable(host: BypassHost, handle: unknown): MsixTable {
  return host.mutex.guard(() => {
    const record = host.pools.device.open(handle);
    const table = isTable(host, record) ? new MsixTable(host, record) : undefined;
    if (table?.isLive()) return table;
    const what = table === undefined ? "a device, not of its MSI-X" : "an MSI-X that is being disposed";
    throw new IrqBypassError("ESTALE", `${String(handle)} is the handle of ${what}`, { subject: "msix" });
  });
}

/** Is this the first record of a table that is there? Under the host mutex. */
export function isTable({ words, pools }: BypassHost, record: number): boolean {
  return (
    pools.device.lives(record) &&
    (words.get(record + Msix.flags) & DeviceFlag.table) !== 0 &&
    words.load(record + Msix.device) !== 0
  );
}
