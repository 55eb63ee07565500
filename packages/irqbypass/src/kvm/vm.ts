/**
 * A real guest on a host: KVM's VM, with its irqfds registered as consumers.
 */

import type { BypassHost } from "../bypass/bypass-host.js";
import { checkFlag, type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Header, Vm as V, VmFlag } from "../host/layout.js";
import { beginLoading, loadingWord } from "../host/loading.js";
import { checkHost } from "../host/memory.js";
import type { WasmMemory } from "../host/wasm.js";
import { closeAt, closeOwn, openAt, openOwn } from "../linux/descriptor.js";
import { linuxKindOf } from "../linux/kind.js";
import { IoApic } from "../vm/ioapic-registers.js";
import { Pic } from "../vm/pic-ports.js";
import { lifeOf, type VmLife } from "../vm/vm-mutex.js";
import { disposeClaimed } from "../vm/vm-record.js";
import { bootGuest, type GuestTables, guestPages, guestTables } from "./guest.js";
import { Irqchips } from "./irqchips.js";
import { kvmKindOf } from "./kind.js";
import { Kvm, type KvmOptions } from "./kvm.js";
import { KvmMachine } from "./machine.js";
import { KvmVmRef, openedGuest } from "./vm-ref.js";
import { resetGuest } from "./vm-reset.js";

/** Options of a new guest. */
export interface KvmVmOptions extends KvmOptions {
  /** 1 (the default) to 240. */
  readonly vcpus?: number;
  /**
   * true: LINT0 of vCPU 0 takes what the 8259s ask for, as after a reset. They are there in any case, and by default nobody listens to
   * them. The guest's handlers make no end of interrupt at an 8259: let it end them by itself (ICW4).
   */
  readonly pic?: boolean;
}

const OPTIONS: OptionNames<KvmVmOptions> = { vcpus: true, pic: true, ffi: true, path: true, arch: true };

/**
 * A KVM guest that counts its interrupts. It belongs to the thread that made it; its interrupts may be signalled from any thread, and
 * its routes and irqfds changed from any that opens it. It takes Linux eventfds only: KVM cannot see shared ones.
 */
export class KvmVm extends KvmVmRef implements Disposable {
  /** The VM as KVM offers it. Use it to look, and leave its vCPUs, its irqfds, its routing and its end to this object. */
  readonly machine: KvmMachine;
  /** How its local APICs began. */
  private readonly lapics: readonly Uint8Array[];
  private disposed = false;

  /**
   * A new guest with its memory and its in-kernel irqchip, not running yet. Throws what /dev/kvm says (ENOENT, EACCES,
   * ...), EINVAL for a host without the kinds `linux()` and `kvm()`, ENOMEM.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass";
   * import { kvm, KvmVm } from "irqbypass/kvm";
   * import { linux, LinuxEventfd } from "irqbypass/linux";
   *
   * const host = Host.create({ kinds: [linux(), kvm()] });
   * using guest = new KvmVm(host);
   * guest.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
   * console.log(guest.irqfd(LinuxEventfd.create(host), 24).path); // irqfd
   * ```
   */
  constructor(host: BypassHost, options: KvmVmOptions = {}) {
    const {
      vcpus = 1,
      pic = false,
      ...how
    } = readOptions(options, OPTIONS, "options such as { vcpus: 2 }, or none");
    checkFlag(pic, "pic");
    checkHost(host);
    const pages = guestPages(vcpus);
    kvmKindOf(host);
    super(host, newGuest(host, pic));
    try {
      this.machine = this.open(how, pages, vcpus);
    } catch (error) {
      this.undo();
      throw error;
    }
    try {
      bootGuest(this.machine, vcpus, pic);
      this.lapics = this.machine.vcpus.map((vcpu) => vcpu.lapic());
    } catch (error) {
      this.machine.end();
      this.undo();
      throw error;
    }
  }

  /**
   * A guest that another thread has made, as this thread's own calls reach it: routes, irqfds, ioeventfds. Throws ESTALE when it is gone,
   * and for the handle of something else, EXDEV for one of another host, EINVAL for a host without the kinds.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass";
   * import { kvm, KvmVm } from "irqbypass/kvm";
   * import { linux } from "irqbypass/linux";
   *
   * const kinds = [linux(), kvm()];
   * const host = Host.create({ kinds });
   * using guest = new KvmVm(host);
   * const there = KvmVm.open(Host.attach(host.handle, { kinds }), guest.handle); // in another thread
   * using route = there.routeMsi({ vcpu: 0, vector: 0x41 });
   * console.log(route.gsi); // 24
   * ```
   */
  static open(host: BypassHost, handle: Handle<"kvm-vm">): KvmVmRef {
    return new KvmVmRef(host, openedGuest(host, handle));
  }

  /** Makes the machine; each descriptor is noted where whoever repairs after this thread looks for it. */
  private open(how: KvmOptions, pages: number, vcpus: number): KvmMachine {
    const { host } = this;
    const { words } = host;
    const { record } = this.life;
    // The thread has loaded its C library; another time would be one more in which it must not be ended.
    const ffi = linuxKindOf(host).kind.ffi();
    const named = {
      opens: (call: () => number) => openOwn(host, call),
      closes: (fd: number) => closeOwn(host, ffi, fd),
    };
    using kvm = Kvm.openFor(named, { ffi, ...how });
    const owner = `VM ${this.id}`;
    const wordOf = (vcpu?: number) => record + (vcpu === undefined ? V.fd : V.vcpu + vcpu);
    return new KvmMachine(
      kvm,
      { pages, spawn: host.spawn },
      {
        owner,
        opens(call, vcpu) {
          if (vcpu !== undefined && vcpu >= vcpus) {
            const has = vcpus === 1 ? "vCPU 0 alone" : `${vcpus} vCPUs`;
            throw new IrqBypassError("EINVAL", `${owner} has ${has}: make a guest with more by { vcpus }`, {
              subject: owner,
            });
          }
          return openAt(words, wordOf(vcpu), call);
        },
        closes: (vcpu) => closeAt(words, ffi, wordOf(vcpu)),
        loads() {
          beginLoading(host);
          return loadingWord(host);
        },
      },
    );
  }

  /** Takes the record back, of which nobody has heard. Under both mutexes, as any VM goes. */
  private undo(): void {
    const { host, life } = this;
    life.guard(() => host.mutex.guard(() => host.pools.vm.undo(life.record)));
  }

  /** The guest's memory; {@link guestTables} finds the counts in it, in any thread. */
  get memory(): WasmMemory {
    return this.machine.memory;
  }

  /**
   * As `Vm.ioapic`, of the thread that made the guest. KVM gives and takes the whole chip: a write throws EBUSY while a vCPU runs; edges that wait
   * masked are delivered by one that unmasks any pin, and devices are not asked.
   */
  get ioapic(): IoApic {
    this.check();
    return new IoApic(new Irqchips(this.machine, this.life).ioapic);
  }

  /** As `Vm.pic`, of the thread that made the guest, with or without `pic: true`. As `ioapic`: a write throws EBUSY while a vCPU runs. */
  get pic(): Pic {
    this.check();
    return new Pic(new Irqchips(this.machine, this.life).pics);
  }

  /**
   * What a guest's reset does to the platform, as `Vm.reset`: nothing is requested or in service on any vCPU, no NMI, INIT or start-up is due,
   * the I/O APIC and the 8259s are as they come out of reset, every line that a GSI leads to is down, and each vCPU runs from the beginning of
   * the guest's code. What the VMM has wired stays, and what the guest's handlers have noted. Resampling irqfds are assigned
   * anew, which reads their eventfds out, of a semaphore one unit: where some are left, its line may be up again. Throws EBUSY, with
   * nothing changed, while a vCPU runs: `stop` it first. Of the thread that made the guest; blocks for this VM's mutex, and for KVM to let go of
   * resampling irqfds.
   */
  reset(): void {
    this.host.checkCall();
    this.check();
    resetGuest(this.host, this.life, this.machine, this.lapics);
  }

  /** What the guest's handlers on a vCPU have noted, indexed by vector. Throws EINVAL for one that the guest does not have. */
  tables(vcpu: number): GuestTables {
    const count = this.machine.vcpus.length;
    if (!Number.isInteger(vcpu) || vcpu < 0 || vcpu >= count) {
      const has = count === 1 ? "vCPU 0 alone" : `vCPUs 0 to ${count - 1}`;
      throw new IrqBypassError("EINVAL", `VM ${this.id} has ${has}, not ${show(vcpu)}`);
    }
    return guestTables(this.machine.memory, vcpu);
  }

  /**
   * Runs every vCPU in a thread of its own. Throws EBUSY where one runs already, EMFILE where the threads would find too few
   * descriptors, and what the host's own `spawn` throws; none runs then.
   */
  start(): void {
    this.check();
    this.machine.start(`VM ${this.id}`);
  }

  /** Kicks the vCPUs out of the guest; resolves when their threads have ended, rejects with what ended one before. */
  stop(): Promise<void> {
    return this.machine.stop();
  }

  /**
   * Ends the guest: kicks its vCPUs, blocking until they have left (well under a millisecond), deassigns every irqfd and ioeventfd and
   * closes the VM. Doing it again does nothing.
   */
  dispose(): void {
    if (this.disposed) return;
    this.host.checkCall();
    disposeClaimed(
      this.host,
      this.life.record,
      () => this.life.isLive(),
      () => {
        this.disposed = true; // from here on it goes
        this.machine.end();
      },
    );
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  protected override describe(): object {
    this.check();
    return { id: this.id, machine: this.machine };
  }

  private check(): void {
    if (this.disposed) throw new IrqBypassError("EBADF", `VM ${this.id} was disposed: make another one`);
  }
}

/** A record for a guest, with the routes that KVM's irqchip begins with. Throws ENOMEM. */
function newGuest(host: BypassHost, pic: boolean): VmLife {
  const { words, mutex, pools, thread } = host;
  return mutex.guard(() => {
    const record = pools.vm.allocate();
    words.set(record + V.flags, VmFlag.kvm | (pic ? VmFlag.pic : 0));
    words.set(record + V.routing, words.get(Header.defaultRouting));
    words.set(record + V.owner, thread.record); // last: without an owner it is half made
    return lifeOf(host, record);
  });
}
