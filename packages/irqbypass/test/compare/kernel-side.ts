/** A real kernel as one side: a VM of KVM whose vCPUs do not run, but for single instructions. */
import { errorCode } from "#src/host/errors.js";
import { ioctl, KVM_ENABLE_CAP, KVM_SIGNAL_MSI } from "#src/kvm/ioctl.js";
import type { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine } from "#src/kvm/machine.js";
import { encodeEnableCap, encodeMsi, type KvmMsi } from "#src/kvm/structs.js";
import { kernelChips } from "./chip-state.js";
import { KernelIrqfds } from "./kernel-irqfds.js";
import { KernelVcpu, storingMemory } from "./kernel-vcpu.js";
import { pageLine } from "./page.js";
import { KVM_CAP_X2APIC_API } from "./requests.js";
import { hex, type Scene } from "./scene.js";

const USE_32BIT_IDS = 1;
const DISABLE_BROADCAST_QUIRK = 2;
const EPERM = -1;
const X2APIC_MODE = 0xc00n;
const ID_AT = 0x20;
const ID_MSR = 0x802;

export class KernelSide implements Disposable {
  readonly machine: KvmMachine;
  readonly vcpus: readonly KernelVcpu[];
  private made: KernelIrqfds | undefined;

  constructor(
    private readonly kvm: Kvm,
    private readonly scene: Scene,
  ) {
    this.machine = new KvmMachine(kvm, { memory: storingMemory() });
    const { ffi, fd } = this.machine;
    const flags = (scene.longIds ? USE_32BIT_IDS : 0) | (scene.broadcastQuirk ? 0 : DISABLE_BROADCAST_QUIRK);
    if (flags !== 0) ioctl(ffi, fd, KVM_ENABLE_CAP, encodeEnableCap(KVM_CAP_X2APIC_API, flags), "a VM");
    this.vcpus = scene.ids.map((id) => new KernelVcpu(this.machine, kvm, id));
    // KVM makes its map anew before it counts a new vCPU: the last one is in it when a register changes.
    for (const vcpu of this.vcpus) vcpu.setLapic(vcpu.lapic());
  }

  /** Its irqfds, of which most scenes have none. */
  get irqfds(): KernelIrqfds {
    this.made ??= new KernelIrqfds(this.machine, this.kvm);
    return this.made;
  }

  /** KVM_SIGNAL_MSI: how many took it, -1 where that is what KVM counted. */
  signal(msi: KvmMsi): string {
    const { ffi, fd } = this.machine;
    const result = ffi.ioctlBuffer(fd, KVM_SIGNAL_MSI.request, encodeMsi(msi));
    return result >= 0 || result === EPERM ? String(result) : errorCode(result);
  }

  /** One line for each vCPU: all of its registers. */
  state(): string[] {
    const vcpus = this.vcpus.map((vcpu) => {
      const { base } = vcpu;
      const lapic = vcpu.lapic();
      // There the id is told in the short form of the other mode, unless user space asked for the long one.
      if ((base & X2APIC_MODE) === X2APIC_MODE) lapic.setUint32(ID_AT, Number(vcpu.readMsr(ID_MSR)), true);
      return `base ${hex(base)} ${pageLine((offset) => lapic.getUint32(offset, true))}`;
    });
    return this.scene.chips ? [...vcpus, ...kernelChips(this.machine)] : vcpus;
  }

  /** What is told of a vCPU's events; looking applies them. */
  events(index: number): string {
    const vcpu = this.vcpus[index]!;
    return `state ${vcpu.state()} nmis ${vcpu.nmis()}`;
  }

  [Symbol.dispose](): void {
    this.made?.[Symbol.dispose]();
    for (const vcpu of this.vcpus) vcpu[Symbol.dispose]();
    this.machine[Symbol.dispose]();
  }
}
