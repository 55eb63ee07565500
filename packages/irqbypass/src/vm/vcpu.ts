import type { BypassHost } from "../bypass/bypass-host.js";
import type { Handle } from "../host/handle.js";
import { type Ipi, readIpi, sendIpi } from "./apic/ipi.js";
import { LocalApic } from "./apic/local-apic.js";
import { SlimVcpu } from "./slim-vcpu.js";

/**
 * A vCPU in the thread that runs it: takes what is posted into its local APIC, and waits for more. One thread at a
 * time runs a vCPU; `put` gives it back, and another thread may open it then: no poster notices.
 */
export class Vcpu extends SlimVcpu {
  private localApic: LocalApic | undefined;

  private constructor(
    private readonly host: BypassHost,
    record: number,
  ) {
    super(host, record);
  }

  /**
   * Takes the vCPU onto the calling thread. Throws EBUSY while it is open, in this thread or another; ESTALE when its VM is
   * gone, EXDEV for a vCPU of another host.
   *
   * @example
   * ```ts
   * import { Host, Vcpu, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * using vcpu = Vcpu.open(host, vm.vcpu(0).handle);
   * console.log(vcpu.wait({ timeoutMs: 1 })); // "timeout": nobody has signalled
   * ```
   */
  static override open(host: BypassHost, handle: Handle<"vcpu">): Vcpu {
    return SlimVcpu.take(host, handle, (record) => new Vcpu(host, record));
  }

  /** Its local APIC, as the guest that runs on it programs that. Throws EINVAL in a VM with `apic: false`. */
  get apic(): LocalApic {
    this.memory.checkAttached();
    this.checkApic("apic");
    this.localApic ??= new LocalApic(this.host, this.vm, this.record, {
      check: (call) => this.checkApic(call),
      endOfInterrupt: () => this.eoi(),
      changed: () => this.changed(),
    });
    return this.localApic;
  }

  /**
   * Sends an interrupt to other vCPUs or to itself, as a guest does by writing to the ICR. Returns how many took it, as `vm.signalMsi`. A
   * fixed one is posted, as everything. Throws EINVAL for what is no IPI, and in a VM with `apic: false`. Waits for nobody, but for the VM's mutex
   * while a register of a local APIC is changing.
   */
  sendIpi(ipi: Ipi): number {
    this.memory.checkCall();
    this.checkApic("sendIpi");
    return sendIpi(this.memory, this.vm.record, this.record, readIpi(ipi));
  }
}
