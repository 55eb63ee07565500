import type { BypassHost } from "../bypass/bypass-host.js";
import { checkEventfd, type EventfdContext } from "../eventfd/context.js";
import { IrqBypassError } from "../host/errors.js";
import { Ioeventfd as I, Vm } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import type { Assigned } from "./assignment.js";
import {
  checkAssign,
  checkDoorbell,
  type Doorbell,
  hex,
  type IoeventfdOptions,
  type IoSpace,
  readDoorbell,
} from "./io-access.js";
import { assignIoeventfd, deassignIoeventfd } from "./io-assignment.js";
import { type IoBus, ioeventfdsOf } from "./io-bus.js";
import type { VmLife } from "./vm-mutex.js";

/** What an ioeventfd takes and signals, as `vm.ioeventfds()` lists it. */
export interface IoeventfdInfo {
  /** The bus that it is on. */
  readonly space: IoSpace;
  /** Where it is on that bus. */
  readonly address: bigint;
  /** The length of the stores that it takes, 0 for any. */
  readonly length: number;
  /** The value that it takes, undefined for any. */
  readonly datamatch: bigint | undefined;
  /** The id of the eventfd that it signals. */
  readonly eventfd: number;
}

/** An assigned ioeventfd: a doorbell, that a guest's store to an address rings. Its thread may use it. */
export class Ioeventfd extends Shown implements Disposable {
  private readonly host: BypassHost;
  private readonly life: VmLife;
  private readonly record: number;
  private readonly id: number;

  /** @internal */
  constructor(host: BypassHost, life: VmLife, { record, handle }: Assigned) {
    super();
    this.host = host;
    this.life = life;
    this.record = record;
    this.id = handle;
  }

  /** The bus that it is on. Throws EBADF after it was deassigned, by whomever, as everything here but `dispose`. */
  get space(): IoSpace {
    return this.info.space;
  }

  /** Where it is on that bus. */
  get address(): bigint {
    return this.info.address;
  }

  /** The length of the stores that it takes, 0 for any. */
  get length(): number {
    return this.info.length;
  }

  /** The value that it takes, undefined for any. */
  get datamatch(): bigint | undefined {
    return this.info.datamatch;
  }

  /** The id of the eventfd that it signals. */
  get eventfd(): number {
    return this.info.eventfd;
  }

  /**
   * Deassigns (KVM_IOEVENTFD_FLAG_DEASSIGN). When it has returned, no store signals through this ioeventfd any more, and another one
   * may be assigned in its place. Blocks for the VM's mutex, and for a store of another thread that rings it. Doing it again does nothing.
   */
  dispose(): void {
    this.host.checkChange();
    deassignIoeventfd(this.host, this.life.mutex, () => (this.isLive() ? this.record : 0));
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal Addresses and values in hexadecimal: JSON has no bigint. */
  protected describe(): object {
    const { space, address, length, datamatch, eventfd } = this.info;
    const match = datamatch === undefined ? {} : { datamatch: hex(datamatch) };
    return { space, address: hex(address), length, ...match, eventfd };
  }

  private get info(): IoeventfdInfo {
    return this.host.look(() => {
      if (this.isLive()) return infoOf(this.host, this.record);
      throw new IrqBypassError("EBADF", "this ioeventfd was deassigned: assign another one");
    });
  }

  /** Under the host mutex. */
  private isLive(): boolean {
    return this.host.pools.ioeventfd.handle(this.record) === this.id; // another one has another, and so has none
  }
}

const WHO = "an ioeventfd signals";

/** Assigns what a caller asks for. Throws EBADF for a closed eventfd, EINVAL, and what {@link assignIoeventfd} does. */
export function makeIoeventfd(
  host: BypassHost,
  life: VmLife,
  bus: IoBus,
  options: IoeventfdOptions,
  eventfd: EventfdContext,
): Ioeventfd {
  const doorbell = checkAssign(options);
  checkEventfd(host, eventfd, WHO);
  return new Ioeventfd(host, life, assignIoeventfd(host, life, bus, eventfd.record, doorbell));
}

/** Deassigns the ioeventfd of a VM that takes exactly this and signals this eventfd. Throws ENOENT where there is none. */
export function deassignMatching(
  host: BypassHost,
  life: VmLife,
  options: IoeventfdOptions,
  eventfd: EventfdContext,
): void {
  const { words } = host;
  const doorbell = checkDoorbell(options);
  checkEventfd(host, eventfd, WHO);
  const found = deassignIoeventfd(host, life.mutex, () => {
    life.check(); // before it is looked for: what the next VM in the record has is none of this one's
    for (let one = words.get(life.record + Vm.ioeventfds); one !== 0; one = words.get(one + I.next)) {
      if (words.get(one + I.eventfd) === eventfd.record && isSame(readDoorbell(words, one), doorbell))
        return one;
    }
    return 0;
  });
  if (found) return;
  const name = `eventfd ${eventfd.id} at ${doorbell.space} ${hex(doorbell.address)}`;
  throw new IrqBypassError(
    "ENOENT",
    `VM ${life.id} has no ioeventfd of ${name} with this length and datamatch: give exactly what it was assigned with`,
    { subject: name },
  );
}

function isSame(one: Doorbell, other: Doorbell): boolean {
  return (
    one.space === other.space &&
    one.address === other.address &&
    one.length === other.length &&
    one.match === other.match
  );
}

/** The ioeventfds of a VM. Blocks for its mutex. */
export function listIoeventfds(host: BypassHost, life: VmLife): IoeventfdInfo[] {
  return life
    .guard(() => [...ioeventfdsOf(host, life.record)].map((record) => infoOf(host, record)))
    .reverse();
}

function infoOf({ words, pools }: BypassHost, record: number): IoeventfdInfo {
  const { space, address, length, match } = readDoorbell(words, record);
  return {
    space,
    address: BigInt(address),
    length,
    datamatch: match === undefined ? undefined : BigInt(match),
    eventfd: pools.eventfd.slot(words.get(record + I.eventfd)),
  };
}
