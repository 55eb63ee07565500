/**
 * MSI-X as a guest sees it: a table, a pending bit array and a control register, in bytes (PCI Express base specification, "MSI-X
 * capability and table structures"). A PCI model forwards the guest's accesses; what they mean for a device's vectors and for a VM's
 * routes and irqfds happens here.
 */

import { VfioPciDevice } from "../../device/vfio-pci.js";
import type { EventfdContext } from "../../eventfd/context.js";
import { checkClass, checkObject, isOf, reading, show } from "../../host/argument.js";
import { IrqBypassError } from "../../host/errors.js";
import type { Handle } from "../../host/handle.js";
import { MsixState } from "../../host/layout.js";
import { Shown } from "../../host/shown.js";
import { VmLife } from "../vm-mutex.js";
import { type Brought, bring } from "./bring.js";
import { checkBytes, loadBytes, type MsixBytes } from "./bytes.js";
import { MsixConnector, type MsixVm } from "./connect.js";
import { endTable, follow, resetTable } from "./end.js";
import { ENTRY_BYTES } from "./entry.js";
import { disconnectAll, disconnectEach, evenIfRefused } from "./release.js";
import { entriesAfter, othersOf, storeEntries } from "./store.js";
import { MsixTable, openTable, tableOf } from "./table.js";

/** What of the control register a store changes. */
const CONTROL = MsixState.enable | MsixState.functionMask;
const VM_TEXT = "a VM: a Vm or a KvmVm";

/**
 * The MSI-X capability of a device of a VM. What the guest stores in {@link table} and {@link control} masks and unmasks the device's
 * vectors, and gives each a route, an irqfd and a trigger when the guest first lets it signal; a change of address or data afterwards
 * re-targets that one route, live. What the device raises while its vector is masked is pending, as {@link pba} says, and goes where the
 * entry leads when it is unmasked.
 *
 * It lives in the host's memory, and sets the device's MSI-X triggers, masks and function mask from here on. Each vCPU's thread forwards
 * what its guest stores, beside the others and beside the device that signals: it {@link open}s this with the VM as it has that open. A
 * store is done when the call returns, and stores to one entry are done one after the other. What the vectors are connected to belongs to
 * no thread: it stays when the one goes that has stored. It ends with {@link dispose}, in whichever thread, and with the device.
 *
 * The triggers of INTx and MSI are to be taken away before it is enabled. A table that was replaced by `setGsiRouting` has lost its routes:
 * each comes back with the guest's next store to its entry, as do a trigger and an irqfd that somebody has taken away.
 */
export class Msix<E extends EventfdContext = EventfdContext> extends Shown implements Disposable {
  /**
   * The MSI-X table, 16 bytes a vector: address, its high half, data, vector control. Its reset state is 0, and masked. A store is refused
   * for the reasons for which {@link control} is: each of its entries is as before then.
   */
  readonly table: MsixBytes;
  /** The pending bit array, a bit a vector in whole 8 bytes. Stores change nothing. */
  readonly pba: MsixBytes;
  private readonly shared: MsixTable;
  private readonly device: VfioPciDevice;
  private readonly createEventfd: () => E;
  private readonly connector: MsixConnector<E>;

  /**
   * Joins a device and a VM. `createEventfd` makes the eventfd of a vector, a new one in each call, which is this object's from then on,
   * and closed with the vector, or where it is not taken: `() => Eventfd.create(host)`, and for a `KvmVm` `() => LinuxEventfd.create(host)`.
   * Masks every vector of the device. A device has one of these: the one before, if there is one, ends. Throws EINVAL for a device without
   * MSI-X, EXDEV for a device and a VM of two hosts, EBADF where one of them has ended, ENOMEM.
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
  constructor(vm: MsixVm<E>, device: VfioPciDevice, createEventfd: () => E);
  /** @internal For one that is opened. */
  constructor(vm: MsixVm<E>, opened: MsixTable, createEventfd: () => E);
  constructor(vm: MsixVm<E>, from: VfioPciDevice | MsixTable, createEventfd: () => E) {
    super();
    checkVm(vm);
    if (!isOf(from, MsixTable))
      checkClass(from, VfioPciDevice, () => `${show(from)} is no device: pass a VfioPciDevice`);
    if (typeof createEventfd !== "function") {
      throw new IrqBypassError(
        "EINVAL",
        `createEventfd is ${show(createEventfd)}: pass a function, as () => Eventfd.create(host)`,
      );
    }
    if (isOf(from, MsixTable)) {
      this.shared = from;
      this.device = new VfioPciDevice(from.host, from.device!);
    } else {
      this.shared = newTable(vm, from);
      this.device = from;
    }
    const { shared, device } = this;
    this.createEventfd = createEventfd;
    this.connector = new MsixConnector(shared, vm, device);
    this.table = {
      length: shared.count * ENTRY_BYTES,
      read: (offset, length) => this.load(offset, length),
      write: (offset, bytes) => this.store(offset, bytes),
    };
    this.pba = {
      length: Math.ceil(shared.count / 64) * 8,
      read: (offset, length) => {
        this.check();
        return loadBytes(this.pba.length, offset, length, (from, to) =>
          new Uint8Array(device.pendingBits("msix").buffer).subarray(from, to),
        );
      },
      write: (offset, bytes) => {
        checkBytes(offset, bytes);
        this.check();
      },
    };
  }

  /**
   * One that another thread has made, for this one, with the same VM as this thread has it, and the same kind of eventfds: `createEventfd`
   * makes those of the vectors that this thread connects. Everything may be done here that may be done there. Throws ESTALE when it is gone,
   * and for the handle of something else, EXDEV for one of another host, EINVAL for another VM, EBADF where its VM or its device has ended.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Msix, VfioPciDevice, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * const msix = new Msix(vm, new VfioPciDevice(host, { msix: 8 }), () => Eventfd.create(host));
   * const there = Host.attach(host.handle); // in a vCPU's thread
   * const again = Msix.open(Vm.open(there, vm.handle), msix.handle, () => Eventfd.create(there));
   * again.control = 0x8000;
   * console.log(msix.control === again.control); // true
   * ```
   */
  static open<E extends EventfdContext>(
    vm: MsixVm<E>,
    handle: Handle<"msix">,
    createEventfd: () => E,
  ): Msix<E> {
    checkVm(vm);
    const { host, life } = vm.routes;
    host.checkCall();
    const table = openTable(host, handle);
    table.check();
    life.look(() => {}); // EBADF
    if (table.vm.record !== life.record || table.vm.generation !== life.generation) {
      const [code, why] = host.look(() => table.vm.isLive())
        ? (["EINVAL", `is of VM ${table.vm.id}: pass that, and not VM ${life.id}`] as const)
        : (["EBADF", `is of a VM that was disposed: make another one for VM ${life.id}`] as const);
      throw new IrqBypassError(code, `this MSI-X ${why}`);
    }
    return new Msix(vm, table, createEventfd);
  }

  /** What another thread passes to {@link open}. Throws EBADF when it has ended. */
  get handle(): Handle<"msix"> {
    const { host, record } = this.shared;
    host.checkCall();
    return host.look(() => {
      this.shared.check();
      return host.pools.device.handle(record);
    });
  }

  /** The message control register, 16 bits: the table's size less one, the function mask (bit 14), enable (bit 15). */
  get control(): number {
    return this.look(({ count, state }) => count - 1 + (state & CONTROL));
  }

  /**
   * What the guest stores there: only the function mask and enable change. Disabled, the vectors lose their routes, irqfds and triggers,
   * and the table stays. Throws EINVAL for what are no 16 bits; ENOSPC and ENOMEM where there is no room for the vectors that can
   * signal from here on, what the device says of triggers, what it throws to signal what is pending, EBUSY or EBADF for an eventfd that is
   * not a vector's alone, and EBADF where the VM has gone; the register is as before then, and nothing that is pending has come. From any
   * thread that has it open; blocks for its mutex, those of the device and the VM, and for signals that are under way.
   */
  set control(value: number) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff)
      throw new IrqBypassError("EINVAL", `control is ${show(value)}: the register has 16 bits`);
    const { shared, connector } = this;
    const enables = () => (value & MsixState.enable) !== 0 && (shared.state & MsixState.enable) === 0;
    const givesAll = () => enables() && this.device.irqInfo("msix").noresize;
    const opens = (value & CONTROL) === MsixState.enable;
    const lacking = () => {
      if (givesAll()) return shared.count;
      return opens
        ? shared.entries.filter(([number, entry]) => connector.needsEventfd(number, entry)).length
        : 0;
    };
    // Held meanwhile: what is refused has let nothing through, nor does what follows.
    const holds = () => (opens ? !shared.isOpen : (value & MsixState.functionMask) !== 0);
    this.change(lacking, (brought) => {
      if (value & MsixState.enable) shared.vm.look(() => {}); // EBADF
      if (holds()) this.device.functionMask = true;
      const before = shared.state & CONTROL;
      try {
        if (givesAll()) connector.giveTriggers(brought);
        if (opens) connector.leadAll(shared.entries, brought);
        // What is connected has been by now, what is to be disconnected is not: by this a thread that repairs tells which it is.
        shared.change(value & CONTROL, CONTROL);
        if (opens) {
          disconnectEach(shared, othersOf(shared, shared.entries));
          follow(shared);
        }
      } catch (error) {
        shared.change(before, CONTROL);
        if ((before & MsixState.enable) === 0) evenIfRefused(() => disconnectAll(shared));
        evenIfRefused(() => follow(shared));
        throw error;
      }
      if (opens) return;
      try {
        if ((value & MsixState.enable) === 0) disconnectAll(shared);
      } finally {
        follow(shared);
      }
    });
  }

  /**
   * The function's reset: disabled, the table as at the start, and nothing pending. The rest of the device is its `reset`, before this or
   * after it. From any thread that has it open; blocks as {@link control}.
   */
  reset(): void {
    this.shared.host.checkChange();
    this.shared.guard(() => resetTable(this.shared));
  }

  /**
   * Takes away what it has set, for every thread: routes, irqfds, triggers. The vectors stay masked. Doing it again does nothing. Blocks as
   * {@link control}.
   */
  dispose(): void {
    const { shared } = this;
    if (!shared.host.thread.left && !shared.isLive()) return;
    shared.host.checkChange();
    endTable(shared);
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  protected describe(): object {
    return this.look((shared) => ({
      enabled: (shared.state & MsixState.enable) !== 0,
      functionMask: (shared.state & MsixState.functionMask) !== 0,
      vectors: shared.count,
      connected: shared.known.filter((number) => shared.reference(number) !== 0),
    }));
  }

  /** Reads what it is now. */
  private look<T>(read: (shared: MsixTable) => T): T {
    const { shared } = this;
    shared.host.checkCall();
    // While it is there it has its records, and gives them back under the host mutex.
    return shared.host.look(() => {
      shared.check();
      return read(shared);
    });
  }

  private load(offset: number, length: number): Uint8Array {
    const { shared } = this;
    this.check();
    return loadBytes(this.table.length, offset, length, (from, to) => {
      const [first, end] = [Math.floor(from / ENTRY_BYTES), Math.ceil(to / ENTRY_BYTES)];
      const entries = shared.guard(() =>
        Array.from({ length: end - first }, (_, at) => shared.entry(first + at)),
      );
      const words = Uint32Array.from(entries.flat());
      return new Uint8Array(words.buffer).subarray(from - first * ENTRY_BYTES, to - first * ENTRY_BYTES);
    });
  }

  private store(offset: number, given: ArrayLike<number>): void {
    const bytes = checkBytes(offset, given);
    this.check();
    const { shared, connector } = this;
    const after = () => entriesAfter(shared, offset, bytes);
    const lacking = () =>
      shared.isOpen ? after().filter(([number, entry]) => connector.needsEventfd(number, entry)).length : 0;
    this.change(lacking, (brought) => storeEntries(shared, connector, after(), brought));
  }

  /** Makes a change of the table, which finds out how many eventfds it lacks: see {@link bring}. */
  private change(lacking: () => number, act: (brought: Brought<E>) => void): void {
    this.shared.host.checkChange();
    bring(this.shared, this.createEventfd, lacking, act);
  }

  private check(): void {
    this.shared.host.checkCall();
    this.shared.check();
  }
}

function checkVm(vm: MsixVm<never>): void {
  checkObject(vm, VM_TEXT);
  if (reading(VM_TEXT, () => typeof vm.irqfd === "function" && isOf(vm.routes?.life, VmLife))) return;
  throw new IrqBypassError("EINVAL", `this object has no routes and irqfds: pass ${VM_TEXT}`);
}

/** A new table, in the place of one that the device may have. */
function newTable(vm: MsixVm<never>, device: VfioPciDevice): MsixTable {
  const { host } = device;
  const { life } = vm.routes;
  const { count } = device.irqInfo("msix");
  if (count === 0) throw new IrqBypassError("EINVAL", "this device has no MSI-X: make it with msix: 8");
  if (!host.isSameHost(vm.routes.host))
    throw new IrqBypassError("EXDEV", `VM ${life.id} is of another host than this device: make both on one`);
  host.checkChange();
  life.look(() => {}); // EBADF
  for (;;) {
    const { table, isNew } = tableOf(host, { device: device.life, vm: life, count });
    if (!isNew) endTable(table);
    else {
      // Not refused any more, it is made; another thread may have ended it since.
      table.mutex.enclose(() => {
        if (table.isLive()) follow(table);
      });
      return table;
    }
  }
}
