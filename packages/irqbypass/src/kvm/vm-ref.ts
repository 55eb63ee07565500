import type { BypassHost } from "../bypass/bypass-host.js";
import { readOptions } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Vm as V, VmFlag } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import type { LinuxEventfd } from "../linux/eventfd.js";
import { linuxKindOf } from "../linux/kind.js";
import { assign, checkIrqfd, deassignAt } from "../vm/assignment.js";
import type { IoeventfdOptions } from "../vm/io-access.js";
import { IoBus } from "../vm/io-bus.js";
import {
  deassignMatching,
  type Ioeventfd,
  type IoeventfdInfo,
  listIoeventfds,
  makeIoeventfd,
} from "../vm/ioeventfd.js";
import { Irqfd } from "../vm/irqfd.js";
import { replaceRoutes } from "../vm/reroute.js";
import { type Apics, checkMsi, checkRoutes, type GsiRoute, type Msi } from "../vm/route.js";
import { makeRoute, openRoute, type RouteRef, type Routes } from "../vm/route-ref.js";
import { IRQFD, IRQFD_TEXT, type IrqfdOptions } from "../vm/slim-vm.js";
import { countVcpus, hasLongIds } from "../vm/vcpus.js";
import { lifeOf, type VmLife } from "../vm/vm-mutex.js";
import { guestRouting } from "./guest-routing.js";
import { ioctl, KVM_IRQ_LINE_STATUS } from "./ioctl.js";
import { checkLinux, kvmKindOf } from "./kind.js";
import { countMsi } from "./machine.js";
import type { KvmRouting } from "./routing.js";
import { encodeIrqLevel, encodeMsi } from "./structs.js";

/**
 * A KVM guest as any thread of its host sees it: `KvmVm.open` gives one. Its routes, irqfds and ioeventfds are one for all threads;
 * what belongs to the thread that made the guest, its memory, its vCPUs and its end, is not here. It takes Linux eventfds only: KVM
 * cannot see shared ones. Each of its calls throws EBADF once the guest has gone.
 */
export class KvmVmRef extends Shown {
  /** @internal */
  protected readonly host: BypassHost;
  /** @internal */
  protected readonly life: VmLife;
  private readonly bus: IoBus;
  private readonly kind: number;
  private readonly routing: KvmRouting;

  /** @internal */
  constructor(host: BypassHost, life: VmLife) {
    super();
    this.host = host;
    this.life = life;
    this.kind = kvmKindOf(host);
    this.bus = new IoBus(host, life);
    this.routing = guestRouting(host, life, this.kind, () => this.apics());
  }

  /** What another thread passes to `KvmVm.open`. */
  get handle(): Handle<"kvm-vm"> {
    this.host.checkCall();
    return this.life.look(() => this.host.pools.vm.handle(this.life.record));
  }

  /** A small number that no other VM of this host has while this one lives. It stays the same when this one is disposed. */
  get id(): number {
    return this.life.id;
  }

  /** How many vCPUs it has. */
  get vcpus(): number {
    return this.life.look(() => countVcpus(this.host.words, this.life.record));
  }

  /** @internal */
  get routes(): Routes {
    return this.routing;
  }

  /** Whom a message can name. */
  private apics(): Apics {
    const ids = Array.from({ length: this.vcpus }, (_, index) => index);
    return { ids, longIds: hasLongIds(this.host.words, this.life.record) };
  }

  /**
   * Replaces the whole routing table, in KVM and for the injections of this host, with the routes that were made singly. When it has
   * returned nothing uses an old route. Throws what KVM says, EINVAL for a bad entry, and EOPNOTSUPP where a connected irqfd with
   * bypass: "require" could not be bypassed any more; the old table stays then.
   */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    this.host.checkCall();
    const checked = checkRoutes(routes, this.apics());
    replaceRoutes(this.host, this.life, checked, (change) => this.routing.replace(change));
  }

  /**
   * As `Vm.routeMsi`. KVM takes whole tables alone: it is given one when an irqfd comes to the GSI, or one is there, so that routes which
   * are made before their irqfds are one table to it; so are changes that several threads make at once. Throws what KVM says, too.
   */
  routeMsi(msi: Msi): RouteRef {
    return makeRoute(this.routing, msi);
  }

  /** As `Vm.route`. */
  route(gsi: number): RouteRef {
    return openRoute(this.routing, gsi);
  }

  /**
   * Sends a message now (KVM_SIGNAL_MSI), from any thread. Returns how many local APICs took it, as `Vm.signalMsi`. Throws EINVAL for a bad
   * message. Ids have 8 bits here, as in a `Vm` with `apic: { longIds: false }`: nobody looks at `addressHigh`.
   * It waits for nobody who changes routes: as in the kernel, no mutex is held meanwhile.
   */
  signalMsi(msi: Msi): number {
    this.host.checkCall();
    const { a, b, c } = checkMsi(msi, this.apics(), "a message");
    const message = encodeMsi({ addressLow: a >>> 0, addressHigh: b >>> 0, data: c >>> 0 });
    const ffi = linuxKindOf(this.host).kind.ffi();
    return whileThere(this.host, this.life, () => countMsi(ffi, this.fd, message));
  }

  /**
   * As `Vm.setIrqLine` (KVM_IRQ_LINE_STATUS), from any thread: what it returns counts the 8259s, which every KVM guest has. Throws what KVM
   * says, EINVAL for what is no GSI.
   */
  setIrqLine(gsi: number, level: boolean): number {
    this.host.checkCall();
    const line = encodeIrqLevel(gsi, level);
    const ffi = linuxKindOf(this.host).kind.ffi();
    this.life.guard(() => {
      this.routing.settle(); // single routes that no irqfd listens at, too
      ioctl(ffi, this.fd, KVM_IRQ_LINE_STATUS, line, `GSI ${gsi} of VM ${this.id}`);
    });
    return line[0]! | 0; // in the place of the GSI
  }

  /** As `Vm.irqfd`, for Linux eventfds; the same KVM_IRQFD throws what KVM says. */
  irqfd(eventfd: LinuxEventfd, gsi: number, options: IrqfdOptions = {}): Irqfd {
    const { host, life, kind } = this;
    this.checkCall();
    const { bypass = "prefer", resample } = readOptions(options, IRQFD, IRQFD_TEXT);
    checkIrqfd(host, eventfd, gsi, bypass);
    if (resample !== undefined) checkIrqfd(host, resample, gsi, bypass);
    checkLinux(eventfd);
    if (resample !== undefined) checkLinux(resample);
    const assigned = assign(host, {
      life,
      eventfd: eventfd.record,
      gsi,
      policy: bypass,
      kind,
      resample: resample?.record ?? 0,
      resolve: (irqfd) => this.routing.resolve(irqfd),
    });
    return new Irqfd(host, life.mutex, assigned);
  }

  /** As `Vm.deassign`, for Linux eventfds. */
  deassign(eventfd: LinuxEventfd, gsi: number): boolean {
    this.checkCall();
    return deassignAt(this.host, this.life, eventfd, gsi);
  }

  /**
   * As `Vm.ioeventfd`, for Linux eventfds; KVM_IOEVENTFD throws what KVM says. From its return on KVM signals the eventfd at each
   * store of the guest that `options` describe: it exits to nobody, so there is no `write` here.
   */
  ioeventfd(options: IoeventfdOptions, eventfd: LinuxEventfd): Ioeventfd {
    this.checkCall();
    checkLinux(eventfd);
    return makeIoeventfd(this.host, this.life, this.bus, options, eventfd);
  }

  /** As `Vm.deassignIoeventfd`, ENOENT where there is none. When it has returned, no vCPU of the guest signals through it any more. */
  deassignIoeventfd(options: IoeventfdOptions, eventfd: LinuxEventfd): void {
    this.checkCall();
    checkLinux(eventfd);
    deassignMatching(this.host, this.life, options, eventfd);
  }

  /** As `Vm.ioeventfds`. */
  ioeventfds(): IoeventfdInfo[] {
    this.checkCall();
    return listIoeventfds(this.host, this.life);
  }

  /** @internal Before a call that takes a mutex. */
  protected checkCall(): void {
    this.host.checkCall();
    this.life.look(() => {});
  }

  /** KVM's descriptor of the VM. The process has one table of them for all of its threads. */
  private get fd(): number {
    return this.host.words.get(this.life.record + V.fd) - 1;
  }

  /** @internal */
  protected describe(): object {
    return { id: this.id, vcpus: this.vcpus };
  }
}

/**
 * Runs `use` while the guest is there, without a mutex: whoever ends it waits until that has returned. It waits for nobody itself.
 * Throws EBADF where the guest has gone.
 */
export function whileThere<T>({ words, thread }: BypassHost, life: VmLife, use: () => T): T {
  const { record } = life;
  for (;;) {
    const bus = life.look(() => words.load(record + V.bus));
    words.store(thread.writing, record);
    try {
      // After it is announced: whoever ends the guest changes the word first, and then waits for those who have announced something.
      if (words.load(record + V.bus) === bus) return use();
    } finally {
      thread.leave(thread.writing);
    }
  }
}

/** The guest that a handle opens. Throws what `KvmVm.open` does. */
export function openedGuest(host: BypassHost, handle: Handle<"kvm-vm">): VmLife {
  checkHost(host);
  kvmKindOf(host);
  return host.mutex.guard(() => {
    const life = lifeOf(host, host.pools.vm.open(handle));
    if ((host.words.get(life.record + V.flags) & VmFlag.kvm) !== 0) return life;
    throw new IrqBypassError("ESTALE", `${handle} is the handle of a software VM: Vm.open opens it`, {
      subject: "vm",
    });
  });
}
