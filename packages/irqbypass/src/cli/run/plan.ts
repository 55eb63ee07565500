/**
 * A workload as numbers: which GSI, vCPU and vector each interrupt gets, and its number in the ledger.
 */
import { FIRST_GSI, FIRST_LINE, FIRST_VECTOR } from "../numbers.js";
import type { Workload, WorkloadDevice, WorkloadInterrupt, WorkloadVm } from "../workload.js";

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

export interface PlannedInterrupt extends WorkloadInterrupt {
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
  /** Its GSI is a pin of the I/O APIC, with a line that stays up until the guest's EOI. */
  readonly level: boolean;
}

/** Numbers a workload, which has room for all of it. The interrupts of a VM go around its vCPUs. */
export function planRun(workload: Workload): Plan {
  const interrupts: PlannedInterrupt[] = [];
  const given = new Map<string, number>();
  const count = (what: string): number => {
    const nth = given.get(what) ?? 0;
    given.set(what, nth + 1);
    return nth;
  };
  const next = (vm: WorkloadVm, level: boolean): { gsi: number; vcpu: number; vector: number } => {
    const nth = count(vm.name);
    return {
      gsi: level ? FIRST_LINE + count(`${vm.name} lines`) : FIRST_GSI + count(`${vm.name} messages`),
      vcpu: nth % vm.vcpus,
      // Interrupts that go around the vCPUs have a vector that no other has on any of them.
      vector: FIRST_VECTOR + (vm.reroute === undefined ? Math.floor(nth / vm.vcpus) : nth),
    };
  };
  const devices = workload.devices.flatMap((device, deviceNumber): PlannedDevice[] => {
    const vm = workload.vms.find(({ name }) => name === device.vm);
    if (vm === undefined) return [];
    const level = device.kind === "intx";
    const own = device.interrupts.map((wanted, index) => ({
      ...{ number: interrupts.length + index, vm: vm.name, device: device.name, deviceNumber, index },
      ...{ ...wanted, level, ...next(vm, level) },
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
