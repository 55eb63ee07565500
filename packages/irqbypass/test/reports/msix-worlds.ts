/** A machine with a PCI device whose MSI-X the guest programs, on either kind of VM. */
import { Eventfd, type EventfdContext, Host, Msix, type RouteRef, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { KvmVm, kvm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";

export const ENABLE = 0x8000;
export const FUNCTION_MASK = 0x4000;
export const VCPUS = 2;
const CAPACITY = { eventfd: 128, producer: 128, consumer: 128, route: 4200, routing: 4, injection: 128 };

/** What a situation needs of either kind. */
export interface MsixWorld extends Disposable {
  readonly host: Host;
  readonly vm: {
    setGsiRouting: Vm["setGsiRouting"];
    routeMsi(msi: { vcpu: number; vector: number }): RouteRef;
  };
  /** A device of so many vectors, and what its PCI model forwards to. */
  device(
    vectors: number,
    dynamicMsix?: boolean,
  ): { readonly nic: VfioPciDevice; readonly msix: Msix<EventfdContext> };
  /** An eventfd that is an interrupt of a GSI. */
  irqfd(gsi: number): EventfdContext;
  /** Every "vcpu:vector" that has come so far, in order. */
  arrived(): string[];
}

export function softwareWorld(): MsixWorld {
  const host = Host.create({ capacity: CAPACITY });
  const vm = new Vm(host, { vcpus: VCPUS });
  const vcpus = Array.from({ length: VCPUS }, (_, index) => Vcpu.open(host, vm.vcpu(index).handle));
  const seen = new Set<string>();
  const devices: Disposable[] = [];
  return {
    host,
    vm,
    device(vectors, dynamicMsix = true) {
      const nic = new VfioPciDevice(host, { msix: vectors, dynamicMsix });
      const msix = new Msix<EventfdContext>(vm, nic, () => Eventfd.create(host));
      devices.push(msix, nic);
      return { nic, msix };
    },
    irqfd(gsi) {
      const eventfd = Eventfd.create(host);
      vm.irqfd(eventfd, gsi);
      return eventfd;
    },
    arrived() {
      vcpus.forEach((vcpu, index) => {
        for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
          seen.add(`${index}:${vector}`);
          vcpu.eoi();
        }
      });
      return [...seen].sort();
    },
    [Symbol.dispose]() {
      for (const device of devices) device[Symbol.dispose]();
      for (const vcpu of vcpus) vcpu.put();
      vm.dispose();
      host.dispose();
    },
  };
}

/** Its vCPUs do not run: what came stays requested in their local APICs. */
export function kvmWorld(): MsixWorld {
  const host = Host.create({ kinds: [linux(), kvm()], capacity: CAPACITY });
  const vm = new KvmVm(host, { vcpus: VCPUS });
  const devices: Disposable[] = [];
  return {
    host,
    vm,
    device(vectors, dynamicMsix = true) {
      const nic = new VfioPciDevice(host, { msix: vectors, dynamicMsix });
      const msix = new Msix<LinuxEventfd>(vm, nic, () => LinuxEventfd.create(host));
      devices.push(msix, nic);
      return { nic, msix: msix as unknown as Msix<EventfdContext> };
    },
    irqfd(gsi) {
      const eventfd = LinuxEventfd.create(host);
      vm.irqfd(eventfd, gsi);
      return eventfd;
    },
    arrived: () =>
      vm.machine.vcpus
        .flatMap((vcpu, index) => requestedVectors(vcpu.lapic()).map((vector) => `${index}:${vector}`))
        .sort(),
    [Symbol.dispose]() {
      for (const device of devices) device[Symbol.dispose]();
      vm.dispose();
      host.dispose();
    },
  };
}

/** The bytes of words, as a little-endian guest stores them. */
export const bytesOf = (...words: readonly number[]) => new Uint8Array(Uint32Array.from(words).buffer);

/** The words of an entry. */
export const entry = (vcpu: number, vector: number, masked = 0) => [
  0xfee00000 + (vcpu << 12),
  0,
  vector,
  masked,
];
