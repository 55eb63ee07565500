/**
 * A workload as numbers: which GSI, vCPU and vector each interrupt gets, and its number in the ledger.
 */
import {
  type BypassPolicy,
  FIRST_GSI,
  FIRST_VECTOR,
  type Workload,
  type WorkloadDevice,
  type WorkloadVm,
} from "../workload.js";

export interface Plan {
  readonly vms: readonly PlannedVm[];
  readonly devices: readonly PlannedDevice[];
  /** All interrupts; the position is the number in the ledger. */
  readonly interrupts: readonly PlannedInterrupt[];
  /** How many vCPUs the ledger sees: those of software VMs. */
  readonly ledgerVcpus: number;
}

export interface PlannedVm extends WorkloadVm {
  /** Number of its first vCPU in the ledger; without meaning where the ledger cannot see them. */
  readonly firstVcpu: number;
  readonly interrupts: readonly PlannedInterrupt[];
}

export interface PlannedDevice extends WorkloadDevice {
  readonly interrupts: readonly PlannedInterrupt[];
}

export interface PlannedInterrupt {
  /** Its number in the ledger. */
  readonly number: number;
  readonly vm: string;
  readonly device: string;
  /** The device's number in the ledger. */
  readonly deviceNumber: number;
  /** Its number among the device's vectors or queues, from 0. */
  readonly index: number;
  readonly gsi: number;
  /** Index of the vCPU in its VM. */
  readonly vcpu: number;
  readonly vector: number;
  /** The vector that it has in turn with the other one, where it moves. */
  readonly otherVector?: number;
  /** Is its GSI a pin of the I/O APIC, level-triggered? */
  readonly level: boolean;
  readonly bypass: BypassPolicy;
}

/** What a VM has given out. */
class Numbers {
  #nth = 0;
  #pins = 0;
  #vectors = 0;
  readonly #vm: WorkloadVm;
  /** Some interrupts move between vCPUs: then each has vectors of its own on all of them. */
  readonly #moving: boolean;

  constructor(vm: WorkloadVm, moving: boolean) {
    this.#vm = vm;
    this.#moving = moving;
  }

  next({ trigger, reroute }: WorkloadDevice): Pick<PlannedInterrupt, "gsi" | "vcpu" | "vector" | "level"> {
    const { vcpus } = this.#vm;
    const level = trigger === "level";
    const nth = this.#nth++;
    const gsi = level ? this.#pins++ : FIRST_GSI + nth;
    const vector = FIRST_VECTOR + (this.#moving ? this.#vectors++ : Math.floor(nth / vcpus));
    const other = reroute === undefined ? {} : { otherVector: FIRST_VECTOR + this.#vectors++ };
    return { gsi, vcpu: nth % vcpus, vector, level, ...other };
  }
}

/** Numbers a workload, which has room for all of it. The interrupts of a VM go around its vCPUs. */
export function planRun(workload: Workload): Plan {
  const interrupts: PlannedInterrupt[] = [];
  const numbers = new Map<string, Numbers>();
  for (const vm of workload.vms) {
    const moving = workload.devices.some((device) => device.vm === vm.name && device.reroute !== undefined);
    numbers.set(vm.name, new Numbers(vm, moving));
  }
  const devices = workload.devices.flatMap((device, deviceNumber): PlannedDevice[] => {
    const given = numbers.get(device.vm);
    if (given === undefined) return [];
    const own = device.bypass.map((bypass, index) => ({
      ...{
        number: interrupts.length + index,
        vm: device.vm,
        device: device.name,
        deviceNumber,
        index,
        bypass,
      },
      ...given.next(device),
    }));
    interrupts.push(...own);
    return [{ ...device, interrupts: own }];
  });
  let ledgerVcpus = 0;
  const vms = workload.vms.map((vm): PlannedVm => {
    const own = interrupts.filter((one) => one.vm === vm.name);
    const planned = { ...vm, firstVcpu: ledgerVcpus, interrupts: own };
    if (vm.kind === "software") ledgerVcpus += vm.vcpus;
    return planned;
  });
  return { vms, devices, interrupts, ledgerVcpus };
}

/** The workload without the VMs of a kind, and without the devices of those. */
export function withoutKind(workload: Workload, kind: WorkloadVm["kind"]): Workload {
  const vms = workload.vms.filter((vm) => vm.kind !== kind);
  const kept = new Set(vms.map((vm) => vm.name));
  return { ...workload, vms, devices: workload.devices.filter((device) => kept.has(device.vm)) };
}
