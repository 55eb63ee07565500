/**
 * A KVM guest on a host, as one more side of the tests of a device: not a bare VM, its irqfds are consumers of the host's
 * manager, so that a device's interrupts are injected where they can be. The guest does not run.
 */
import type { Host, Irqfd } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { requestedVectors } from "#src/kvm/structs.js";
import { smallHost } from "../support/host.js";
import type { Barrier } from "./barrier.js";
import type { Attached } from "./beside-work.js";
import type { DeviceAct, DeviceSide } from "./device-acts.js";

/** Where the eight words of the IRR are in a local APIC, and how far they are apart. */
const IRR_AT = 0x200;
const IRR_APART = 16;

export class KvmGuest implements DeviceSide {
  private readonly host: Host = smallHost({ kinds: [linux(), kvm()] });
  private readonly vm = new KvmVm(this.host);
  private readonly eventfd = LinuxEventfd.create(this.host);
  private irqfd: Irqfd | undefined;

  constructor(private readonly barrier: Barrier) {}

  get attached(): Attached {
    return { host: this.host.handle, kinds: "kvm" };
  }

  get target(): number {
    return this.eventfd.handle;
  }

  act(act: DeviceAct): void {
    if ("bypass" in act) this.host.bypass = act.bypass;
    else if ("vector" in act) {
      const { gsi, vector } = act;
      this.vm.setGsiRouting(vector === undefined ? [] : [{ gsi, msi: { vcpu: 0, vector } }]);
    } else if (act.assign) this.irqfd = this.vm.irqfd(this.eventfd, act.gsi);
    else {
      this.irqfd?.dispose();
      this.irqfd = undefined;
    }
  }

  take(): { vectors: readonly number[]; count: bigint; dropped: number | undefined } {
    this.barrier.wait(); // a count that was there at assign comes from a work item
    const [vcpu] = this.vm.machine.vcpus;
    const lapic = vcpu!.lapic();
    const vectors = requestedVectors(lapic);
    for (let word = 0; word < 8; word++) new DataView(lapic.buffer).setUint32(IRR_AT + word * IRR_APART, 0);
    vcpu!.setLapic(lapic);
    return { vectors, count: this.eventfd.tryRead() ?? 0n, dropped: undefined };
  }

  [Symbol.dispose](): void {
    this.vm.dispose();
    this.eventfd.close();
    this.host.dispose();
  }
}
