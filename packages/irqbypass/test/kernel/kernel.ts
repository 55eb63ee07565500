/**
 * A real kernel as one side of the differential suite: raw requests on /dev/kvm, and eventfds of its own.
 */
import { closeSync, openSync } from "node:fs";
import { ERRNO, errorCode, IrqBypassError } from "#src/host/errors.js";
import { ioctl, KVM_ENABLE_CAP, KVM_IRQFD, KVM_SET_GSI_ROUTING } from "#src/kvm/ioctl.js";
import type { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine } from "#src/kvm/machine.js";
import { encodeEnableCap } from "#src/kvm/structs.js";
import { checked } from "#src/linux/checked.js";
import { eventfdInfo } from "#src/linux/eventfd-info.js";
import { F_DUPFD_CLOEXEC, type Ffi, O_CLOEXEC, O_NONBLOCK } from "#src/linux/ffi.js";
import type { Barrier } from "./barrier.js";
import {
  type NoEventfd,
  type Operation,
  SEMAPHORES,
  type State,
  VCPUS,
  VISIBLE_LINES,
  VMS,
  type World,
} from "./operation.js";
import { programPins } from "./pins.js";
import { WindowVcpu, windowMemory } from "./window.js";

const KVM_CAP_X2APIC_API = 129;
const USE_32BIT_IDS = 1;
const DEASSIGN = 1;
const RESAMPLE = 2;
const NOT_OPEN = 0x7fff_fff0;
const UNKNOWN_FLAG = 4;
const EFD_SEMAPHORE = 1;
const REMOTE_IRR = 1n << 14n;

interface KernelVm {
  readonly machine: KvmMachine;
  readonly vcpus: WindowVcpu[];
  readonly irqchip: "full" | "split" | "none";
}

export class KernelWorld implements World {
  readonly side = "kernel";
  private readonly kvm: Kvm;
  private readonly ffi: Ffi;
  private readonly barrier: Barrier;
  private readonly vms: KernelVm[];
  /** The descriptors of each eventfd, the newest last. */
  private readonly eventfds: number[][];

  /** `barrier` may be used by many worlds, one after another. */
  constructor(kvm: Kvm, barrier: Barrier) {
    this.kvm = kvm;
    this.ffi = kvm.ffi;
    this.barrier = barrier;
    this.vms = Array.from({ length: VMS }, () => this.makeVm("full"));
    this.eventfds = SEMAPHORES.map((semaphore) => [this.makeEventfd(semaphore)]);
  }

  perform(operation: Operation): string {
    const outcome = this.attempt(operation);
    this.barrier.wait();
    return outcome;
  }

  state(): State {
    const chips = this.vms.map(({ machine, irqchip }) => (irqchip === "full" ? machine.ioapic() : undefined));
    return {
      irr: this.vms.map(({ vcpus, irqchip }) =>
        irqchip === "none" ? [[], []] : vcpus.map((vcpu) => vcpu.requested()),
      ),
      lines: chips.map((chip) => (chip === undefined ? 0 : chip.irr & VISIBLE_LINES)),
      waiting: chips.map((chip) =>
        chip === undefined
          ? 0
          : chip.pins.reduce((mask, entry, pin) => mask | (entry & REMOTE_IRR ? 1 << pin : 0), 0),
      ),
      counts: this.eventfds.map((fds) => eventfdInfo(fds.at(-1)!).count),
    };
  }

  readonly attached = undefined;

  /** What another thread writes to: a descriptor that becomes its own. */
  target(e: number): number {
    return checked(this.ffi.fcntl(this.fd(e), F_DUPFD_CLOEXEC, 0), "fcntl", "an eventfd");
  }

  [Symbol.dispose](): void {
    for (const vm of this.vms) this.closeVm(vm);
    for (const fds of this.eventfds) for (const fd of fds) this.ffi.close(fd);
  }

  private attempt(operation: Operation): string {
    switch (operation.op) {
      case "assign": {
        const { vm, e, gsi, resample } = operation;
        if (resample === undefined) return this.irqfd(vm, this.fd(e), gsi, 0);
        return this.irqfd(vm, this.fd(e), gsi, RESAMPLE, this.fd(resample));
      }
      case "assign wrongly":
        return this.wrong(operation.e, (fd) => this.irqfd(operation.vm, fd, 24, 0));
      case "resample wrongly":
        return this.wrong(operation.resample, (fd) =>
          this.irqfd(operation.vm, this.fd(operation.e), 10, RESAMPLE, fd),
        );
      case "assign with an unknown option":
        return this.irqfd(operation.vm, this.fd(operation.e), 24, UNKNOWN_FLAG);
      case "deassign":
        return this.irqfd(operation.vm, this.fd(operation.e), operation.gsi, DEASSIGN);
      case "deassign as level": {
        const { vm, e, gsi } = operation;
        return this.irqfd(vm, this.fd(e), gsi, DEASSIGN | RESAMPLE, NOT_OPEN);
      }
      case "deassign wrongly":
        return this.wrong(operation.e, (fd) => this.irqfd(operation.vm, fd, 24, DEASSIGN));
      case "write":
        return outcome(this.ffi.write(this.fd(operation.e), new BigUint64Array([BigInt(operation.value)])));
      case "read": {
        const value = new BigUint64Array(1);
        const result = this.ffi.read(this.fd(operation.e), value);
        return result < 0 ? outcome(result) : value[0]!.toString();
      }
      case "close": {
        const { e } = operation;
        for (const fd of this.eventfds[e]!) this.ffi.close(fd);
        this.eventfds[e] = [this.makeEventfd(SEMAPHORES[e]!)];
        // The kernel shuts the irqfd down in a work queue, which any deassign waits for.
        this.irqfd(0, this.fd(e), 24, DEASSIGN);
        return "ok";
      }
      case "dup": {
        const fds = this.eventfds[operation.e]!;
        fds.push(checked(this.ffi.fcntl(fds[0]!, F_DUPFD_CLOEXEC, 0), "fcntl", "an eventfd"));
        return "ok";
      }
      case "close one": {
        const fds = this.eventfds[operation.e]!;
        if (fds.length > 1) this.ffi.close(fds.shift()!);
        return "ok";
      }
      case "routes":
        return this.code(() =>
          this.vms[operation.vm]!.machine.setGsiRouting(
            operation.routes.map((route) =>
              "chip" in route
                ? route
                : {
                    gsi: route.gsi,
                    msi: { addressLow: route.address, addressHigh: route.high, data: route.data },
                  },
            ),
          ),
        );
      case "route of no type": {
        const table = new Uint32Array(2 + 12);
        table.set([1, 0, 24, 99]);
        const { fd } = this.vms[operation.vm]!.machine;
        return outcome(this.ffi.ioctlBuffer(fd, KVM_SET_GSI_ROUTING.request, table));
      }
      case "too many routes":
        return this.code(() =>
          this.vms[operation.vm]!.machine.setGsiRouting(
            Array.from({ length: operation.count }, (_, gsi) => ({
              gsi: gsi % 4096,
              msi: { addressLow: 0xfee00000, addressHigh: 0, data: 0x41 },
            })),
          ),
        );
      case "line":
        return this.code(() => this.vms[operation.vm]!.machine.setIrqLine(operation.gsi, operation.level));
      case "serve":
        return this.vms[operation.vm]!.vcpus[operation.vcpu]!.serve()?.toString(16) ?? "none";
      case "at once":
        return operation.operations.map((one) => this.attempt(one)).join(", ");
      case "renew":
        this.closeVm(this.vms[operation.vm]!);
        this.vms[operation.vm] = this.makeVm(operation.irqchip);
        return "ok";
    }
  }

  private irqfd(vm: number, fd: number, gsi: number, flags: number, resample = 0): string {
    const argument = Uint32Array.of(fd, gsi, flags, resample, 0, 0, 0, 0);
    return outcome(this.ffi.ioctlBuffer(this.vms[vm]!.machine.fd, KVM_IRQFD.request, argument));
  }

  private code(call: () => void): string {
    try {
      call();
      return "ok";
    } catch (error) {
      if (error instanceof IrqBypassError && error.syscall !== undefined) return error.code;
      throw error;
    }
  }

  private wrong(which: NoEventfd, call: (fd: number) => string): string {
    const fd = openSync("/dev/null", "r");
    if (which === "closed") closeSync(fd);
    try {
      return call(fd);
    } finally {
      if (which !== "closed") closeSync(fd);
    }
  }

  private fd(e: number): number {
    return this.eventfds[e]!.at(-1)!;
  }

  private makeEventfd(semaphore: boolean): number {
    const flags = O_CLOEXEC | O_NONBLOCK | (semaphore ? EFD_SEMAPHORE : 0);
    return checked(this.ffi.eventfd(0, flags), "eventfd", "a test");
  }

  private makeVm(irqchip: "full" | "split" | "none"): KernelVm {
    const machine = new KvmMachine(this.kvm, { memory: windowMemory(), irqchip });
    if (irqchip === "none") return { machine, irqchip, vcpus: [] };
    // MSI destinations of 32 bits, as the software VM has them.
    ioctl(this.ffi, machine.fd, KVM_ENABLE_CAP, encodeEnableCap(KVM_CAP_X2APIC_API, USE_32BIT_IDS), "a VM");
    if (irqchip === "full") programPins(machine);
    const vcpus = Array.from({ length: VCPUS }, (_, index) => new WindowVcpu(machine, this.kvm, index));
    return { machine, irqchip, vcpus };
  }

  private closeVm({ machine, vcpus }: KernelVm): void {
    for (const vcpu of vcpus) vcpu[Symbol.dispose]();
    machine[Symbol.dispose]();
  }
}

function outcome(result: number): string {
  if (result >= 0) return "ok";
  const code = errorCode(result);
  return code === "EIO" && -result !== ERRNO.EIO ? `errno ${-result}` : code;
}
