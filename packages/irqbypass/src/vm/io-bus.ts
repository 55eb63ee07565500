/**
 * The buses of a VM as one thread knows them: which ioeventfd takes a store. The list in shared memory is the truth; a thread keeps
 * what it says in maps of its own, for as long as the VM's {@link Vm.bus} stands.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { signalAnnounced } from "../eventfd/signal.js";
import { Ioeventfd as I, Vm } from "../host/layout.js";
import {
  checkLength,
  checkSpace,
  checkValue,
  checkWide,
  type Doorbell,
  type IoSpace,
  LONGEST,
  readDoorbell,
  type Wide,
} from "./io-access.js";
import type { VmLife } from "./vm-mutex.js";

/** What is at one address: for each length the eventfd of the ioeventfd that takes any value, or those of them that take one each. */
export class Place {
  /** By length: the one that takes any value, 0 for none; at 0 the one that takes any length, and then it is the only one. */
  private readonly any = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  /** By length, then by value. */
  private matching: (Map<Wide, number> | undefined)[] | undefined;

  /** The eventfd that a store signals, 0 for none. One at most takes it: see {@link meets}. */
  find(length: number, value: Wide): number {
    const { any, matching } = this;
    const found = any[0]! | any[length]!;
    return found !== 0 || matching === undefined ? found : (matching[length]?.get(value) ?? 0);
  }

  /** Would one that takes this take a store that another one here takes (ioeventfd_check_collision)? */
  meets({ length, match }: Doorbell): boolean {
    const { any, matching } = this;
    if (any[0] !== 0) return true;
    if (length === 0) return any.some((eventfd) => eventfd !== 0) || matching !== undefined;
    const values = matching?.[length];
    return any[length] !== 0 || (match === undefined ? values !== undefined : values?.has(match) === true);
  }

  /** After {@link meets} has denied it. */
  add({ length, match }: Doorbell, eventfd: number): void {
    if (match === undefined) {
      this.any[length] = eventfd;
      return;
    }
    this.matching ??= this.any.map(() => undefined);
    this.matching[length] ??= new Map();
    this.matching[length].set(match, eventfd);
  }
}

/** By address. */
type Places = Map<Wide, Place>;

export class IoBus {
  private mmio: Places = new Map();
  private pio: Places = new Map();
  /** What {@link Vm.bus} said when the maps were made; undefined before the first time. */
  private version: number | undefined;

  constructor(
    private readonly host: BypassHost,
    private readonly life: VmLife,
  ) {}

  /**
   * A store of a guest. Signals the ioeventfd that takes it, and returns whether there is one. In a thread in which something has changed
   * since its last store, blocks for the VM's mutex, and takes O(ioeventfds of the VM). Throws EBADF where the VM has gone.
   */
  write(space: IoSpace, address: Wide, length: number, value: Wide): boolean {
    const { words, thread } = this.host;
    if (space !== "mmio" && space !== "pio") checkSpace(space);
    checkLength(length);
    const where = isPlain(address, LONGEST) ? address : checkWide(address, "address");
    const what = isPlain(value, length) ? value : checkValue(value, length);
    const word = this.life.record + Vm.bus;
    for (;;) {
      const eventfd = this.placesOf(space).get(where)?.find(length, what) ?? 0;
      if (eventfd !== 0) words.store(thread.writing, eventfd);
      // Looked at after it is announced: a deassign that this thread has not heard of changes the word first, and then waits for
      // whoever has announced the eventfd.
      const stands = words.load(word) === this.version;
      if (stands && eventfd !== 0) signalAnnounced(this.host, eventfd);
      if (stands) return eventfd !== 0;
      if (eventfd !== 0) thread.leave(thread.writing);
      this.refresh();
    }
  }

  private placesOf(space: IoSpace): Places {
    return space === "mmio" ? this.mmio : this.pio;
  }

  /** Takes over what the list says now. Throws EBADF where the VM has gone. */
  private refresh(): void {
    this.life.guard(() => this.sync());
    this.host.thread.begun = false; // nothing has been changed
  }

  /** The same for a caller that holds the VM's mutex. */
  sync(): void {
    const { host, life } = this;
    const version = host.words.load(life.record + Vm.bus);
    if (version === this.version) return;
    this.mmio = new Map();
    this.pio = new Map();
    for (const record of ioeventfdsOf(host, life.record)) this.add(record);
    this.version = version;
  }

  /** Is there one that would take a store that this takes? After {@link sync}. */
  meets(doorbell: Doorbell): boolean {
    return this.placesOf(doorbell.space).get(doorbell.address)?.meets(doorbell) === true;
  }

  /** One more was put into the list, by this thread. After {@link sync}, under the same lock. */
  added(record: number): void {
    this.add(record);
    this.version = this.host.words.load(this.life.record + Vm.bus);
  }

  private add(record: number): void {
    const { words } = this.host;
    const doorbell = readDoorbell(words, record);
    const places = this.placesOf(doorbell.space);
    const place = places.get(doorbell.address) ?? new Place();
    place.add(doorbell, words.get(record + I.eventfd));
    places.set(doorbell.address, place);
  }
}

/** The first number that a store of so many bytes cannot bring; of the longer ones, that is not exact. */
const END = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((length) => Math.min(2 ** (8 * length), 2 ** 53));

/** Is this what it stands for in a {@link Wide} of so many bytes? The common case; all others are looked at in detail. */
function isPlain(value: unknown, length: number): value is number {
  return typeof value === "number" && value >= 0 && value < END[length]! && Math.floor(value) === value;
}

/** The ioeventfds of a VM that are not on their way out. Under the VM's mutex. */
export function* ioeventfdsOf({ words }: BypassHost, vm: number): Generator<number> {
  for (let one = words.get(vm + Vm.ioeventfds); one !== 0; one = words.get(one + I.next))
    if (words.get(one + I.closing) === 0) yield one;
}

/** What threads know of the VM's ioeventfds does not stand any more. */
export function busChanged({ words }: BypassHost, vm: number): void {
  words.add(vm + Vm.bus, 1);
}
