import {
  type Eventfd,
  Eventfd as Eventfds,
  type FastPath,
  Host,
  type HostHandle,
  type Policy,
  Producer,
  Vm,
} from "irqbypass";

export const VECTOR = 0x41;

/** A host with one VM, and one producer for each of its vCPUs, posted to it unless `bypass` is "off". */
export interface Posted {
  readonly host: Host;
  readonly vm: Vm;
  readonly producers: readonly Producer[];
  readonly eventfds: readonly Eventfd[];
}

const FIRST_GSI = 24;

/** Builds it; the vCPUs are bare descriptors, as an emulator with an interrupt controller of its own has them. */
export function buildPosted(vcpus: number, bypass: Policy = "require", fastPath: FastPath = "wasm"): Posted {
  const capacity = { eventfd: 1024, producer: 1024, consumer: 1024, vcpu: vcpus };
  const host = Host.create({ capacity, fastPath });
  const vm = new Vm(host, { vcpus, apic: false });
  vm.setGsiRouting(
    Array.from({ length: vcpus }, (_, vcpu) => ({ gsi: FIRST_GSI + vcpu, msi: { vcpu, vector: VECTOR } })),
  );
  const eventfds = Array.from({ length: vcpus }, () => Eventfds.create(host));
  const producers = eventfds.map((eventfd, vcpu) => {
    vm.irqfd(eventfd, FIRST_GSI + vcpu, { bypass });
    const producer = Producer.create(host);
    producer.register(eventfd, vcpu);
    return producer;
  });
  return { host, vm, eventfds, producers };
}

/** What a thread beside needs to run a vCPU of it, and to signal through an eventfd of its own. */
export interface VcpuData {
  readonly host: HostHandle;
  readonly vcpu: number;
  readonly eventfd?: number;
  readonly fastPath?: FastPath;
}
