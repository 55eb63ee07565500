import type { BypassHost } from "../bypass/bypass-host.js";
import type { EventfdContext } from "../eventfd/context.js";
import { checkFlag, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import type { IoeventfdOptions, IoSpace } from "./io-access.js";
import { IoBus } from "./io-bus.js";
import { Source } from "./ioapic.js";
import { IoApic, ioapicOf } from "./ioapic-registers.js";
import {
  deassignMatching,
  type Ioeventfd,
  type IoeventfdInfo,
  listIoeventfds,
  makeIoeventfd,
} from "./ioeventfd.js";
import { hasPics } from "./pic-lines.js";
import { Pic } from "./pic-ports.js";
import { portsOf } from "./pics.js";
import { checkMsi, type Msi } from "./route.js";
import { makeRoute, openRoute, type RouteRef, type Routes, softwareRoutes } from "./route-ref.js";
import { sendMsi, setGsi } from "./routing.js";
import { openedVm, SlimVm } from "./slim-vm.js";
import type { VmLife } from "./vm-mutex.js";
import type { VmOptions } from "./vm-options.js";
import { resetVm } from "./vm-reset.js";

/** A software virtual machine: vCPUs, GSI routing, irqfds and ioeventfds. Its vCPUs are run by the VMM's threads. */
export class Vm extends SlimVm {
  /** @internal */
  readonly routes: Routes = softwareRoutes(this.host, this.life, () => this.apics());
  private readonly bus: IoBus;

  /**
   * A new VM. Throws EINVAL for bad options, ENOMEM when the host is full.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host, { vcpus: 2 });
   * vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: 0x41 } }]);
   * const irqfd = vm.irqfd(Eventfd.create(host), 24);
   * console.log(irqfd.path, irqfd.reason);
   * ```
   */
  constructor(host: BypassHost, options?: VmOptions);
  /** @internal For one that is opened. */
  constructor(host: BypassHost, opened: VmLife);
  constructor(host: BypassHost, from?: VmOptions | VmLife) {
    super(host, from);
    this.bus = new IoBus(host, this.life);
  }

  /**
   * A handle in this thread to a VM made in another. Throws ESTALE when it is gone, and for the handle of something else,
   * and EXDEV for one of another host.
   *
   * @example
   * ```ts
   * import { Host, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * const again = Vm.open(Host.attach(host.handle), vm.handle); // in another thread
   * console.log(again.id === vm.id);
   * ```
   */
  static override open(host: BypassHost, handle: Handle<"vm">): Vm {
    return new Vm(host, openedVm(host, handle));
  }

  /**
   * The VM's pair of 8259s, as its guest programs it through ports. Throws EINVAL for a VM that was made without `pic: true`.
   *
   * @example
   * ```ts
   * import { Host, Vcpu, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host, { pic: true });
   * const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
   * for (const [port, byte] of [[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, 1]] as const) vm.pic.write(port, byte);
   * vm.setIrqLine(3, true);
   * console.log(vcpu.acknowledge()); // 35: 0x20 and the pin
   * vm.pic.write(0x20, 0x20); // its end of interrupt
   * ```
   */
  get pic(): Pic {
    const has = this.life.look(() => hasPics(this.host.words, this.life.record));
    if (!has) throw new IrqBypassError("EINVAL", `VM ${this.id} has no 8259s: make it with pic: true`);
    return new Pic(portsOf(this.life));
  }

  /**
   * Sets the line of a GSI as user space drives it (KVM_IRQ_LINE). The line of an I/O APIC pin is the OR of this and of
   * the level-triggered irqfds of the GSI; an MSI is sent when the level rises. Returns what KVM_IRQ_LINE_STATUS does: how many local APICs
   * and pins took it, 0 where it was up already, who is addressed does not take it, or the clock's last interrupt (pin 8) has not been ended; -1 where nothing was to be done: no route,
   * a masked pin, a level that waits for its EOI, an MSI and a falling line. From any thread; takes the VM's mutex.
   */
  setIrqLine(gsi: number, level: boolean): number {
    this.host.checkCall();
    if (!Number.isInteger(gsi) || gsi < 0 || gsi >= 2 ** 32) {
      throw new IrqBypassError("EINVAL", `gsi is ${show(gsi)}: it must be a whole number from 0 to 2^32-1`);
    }
    checkFlag(level, "level", "needed");
    return this.life.guard(() => setGsi(this.host, this.life.record, gsi, Source.user, level, true).status);
  }

  /**
   * Sends an interrupt message now (KVM_SIGNAL_MSI), as an emulated device without an eventfd does. Returns how many local APICs took it:
   * 0 where those that it is for are off, or its mode is one that they refuse, or nobody has the id; -1, which KVM's user space sees as
   * EPERM, where each was asked whether it is meant, and none was. Throws EINVAL for what is no message, and for an upper half of the address whose low
   * byte is not 0 in a VM with long ids. From any thread; takes the VM's mutex.
   */
  signalMsi(msi: Msi): number {
    this.host.checkCall();
    const message = checkMsi(msi, this.apics(), "a message");
    return this.life.guard(() => sendMsi(this.host, this.life.record, message));
  }

  /** The VM's I/O APIC, as its guest programs it. Throws EINVAL for a VM without a local APIC. */
  get ioapic(): IoApic {
    if (this.isBare) {
      throw new IrqBypassError("EINVAL", `VM ${this.id} was made with apic: false and has no I/O APIC`);
    }
    return new IoApic(ioapicOf(this.life));
  }

  /**
   * What a guest's reset does to the platform: nothing is posted, requested or in service on any vCPU, no NMI is due, the task priority is
   * 0, the I/O APIC is as it comes out of reset, and every line is down. What was signalled before does not come after it,
   * through whatever eventfd. What the VMM has wired stays: irqfds, routes, ioeventfds. So do the devices: reset those first
   * (`VfioPciDevice.reset`), or what they raise meanwhile is an interrupt after the reset. `docs/semantics.md` has what each reset clears.
   * Throws EBUSY, with nothing changed, while another thread runs one of its vCPUs. Blocks for this VM's mutex, and for signals that are
   * under way.
   */
  reset(): void {
    this.host.checkChange();
    resetVm(this.host, this.life);
  }

  /**
   * Makes one route more, on the lowest GSI that has no route and no irqfd, and leaves all others alone: with the work of one, where
   * {@link setGsiRouting} replaces the whole table and ends the routes that were made singly with it. From any thread, and from
   * several at once. Throws EINVAL for a bad message, ENOSPC where the VM has 4,096 routes (KVM_MAX_IRQ_ROUTES; its pins count too), ENOMEM, and EBADF where the VM has
   * gone. Blocks for this VM's mutex.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Vm } from "irqbypass";
   *
   * const vm = new Vm(Host.create(), { vcpus: 2 });
   * using route = vm.routeMsi({ address: 0xfee00000, data: 0x41 });
   * route.change({ vcpu: 1, vector: 0x42 });
   * console.log(route.gsi, route.msi); // 24 { address: 4276097024, addressHigh: 0, data: 66 }
   * ```
   */
  routeMsi(msi: Msi): RouteRef {
    return makeRoute(this.routes, msi);
  }

  /**
   * The MSI of a GSI, to be changed or released by itself, whoever made it: by {@link routeMsi} in whichever thread, or with a table.
   * Throws EINVAL for what is no GSI, and ENOENT for one without a route, or whose routes are pins. Blocks for this VM's mutex.
   */
  route(gsi: number): RouteRef {
    return openRoute(this.routes, gsi);
  }

  /**
   * Makes each store of the guest that `options` describe signal `eventfd` (KVM_IOEVENTFD): a doorbell. The emulator passes the
   * stores to {@link write}, in whichever thread. Throws EINVAL for a length that is not 0, 1, 2, 4 or 8, for a range that does not end
   * below 2^64 and for a datamatch without a length; EBADF for a closed eventfd; ENOMEM; and EEXIST where one is there that would take
   * a store of these: of the same space and address, with the same length or one of the two 0, and the same datamatch or one of the two
   * without. Ranges that overlap otherwise may; an eventfd may have any number. Blocks for the VM's mutex.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * const notify = Eventfd.create(host);
   * using doorbell = vm.ioeventfd({ address: 0xfe003000, length: 2, datamatch: 1 }, notify);
   * console.log(vm.write("mmio", 0xfe003000, 2, 1), notify.tryRead()); // true 1n
   * console.log(vm.write("mmio", doorbell.address, 2, 0)); // false: the emulator's own device takes it
   * ```
   */
  ioeventfd(options: IoeventfdOptions, eventfd: EventfdContext): Ioeventfd {
    this.host.checkCall();
    return makeIoeventfd(this.host, this.life, this.bus, options, eventfd);
  }

  /**
   * Deassigns the ioeventfd that takes and signals exactly this (KVM_IOEVENTFD_FLAG_DEASSIGN), as `dispose` of its object does. Throws
   * ENOENT where none does; EBADF for a closed eventfd, EINVAL for what is none of this host.
   */
  deassignIoeventfd(options: IoeventfdOptions, eventfd: EventfdContext): void {
    this.host.checkChange();
    deassignMatching(this.host, this.life, options, eventfd);
  }

  /** Its ioeventfds. Blocks for the VM's mutex. */
  ioeventfds(): IoeventfdInfo[] {
    this.host.checkCall();
    return listIoeventfds(this.host, this.life);
  }

  /**
   * A store of the guest: `length` bytes, 1 to 8, of `value` at `address`. Returns true where an ioeventfd takes it, which has signalled
   * its eventfd then, once, as a device does: its counter saturates, and nothing blocks. Returns false for the emulator to go on with
   * its own devices. A store that crosses a page, or is longer, comes in parts, as the processor splits it.
   *
   * From any thread that has the VM, by `Vm.open`, and any number of them at once. Waits for nobody but, where an ioeventfd came or went
   * since the thread's last store, for the VM's mutex. Throws EINVAL for what is no store, EBADF where the VM has gone, and what the
   * system says of a Linux eventfd.
   */
  write(space: IoSpace, address: number | bigint, length: number, value: number | bigint): boolean {
    this.host.checkCall();
    return this.bus.write(space, address, length, value);
  }
}
