// For emulators with an interrupt controller of their own: vCPUs as bare posted-interrupt descriptors.
import { Eventfd, Host, Producer, Vcpu, Vm } from "irqbypass";

const host = Host.create();
const vm = new Vm(host, { vcpus: 1, apic: false });
vm.setGsiRouting([
  { gsi: 0, msi: { vcpu: 0, vector: 0x30 } },
  { gsi: 1, msi: { vcpu: 0, vector: 0x31 } },
]);
const lines = [0, 1].map((gsi) => {
  const eventfd = Eventfd.create(host);
  vm.irqfd(eventfd, gsi);
  const producer = Producer.create(host);
  producer.register(eventfd, gsi);
  return producer;
});
const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
for (const line of lines) line.signal();

// Compiled code can poll one word of the host's memory instead: bit 0 at this byte address.
console.log(`ON is at byte ${vcpu.onAddress}, pending: ${vcpu.pending()}`);
const requested = new Uint32Array(8); // one bit for each vector, ready for the emulator's own controller
vcpu.take(requested);
console.log(`vectors 0x20 to 0x3f: ${requested[1].toString(2).padStart(32, "0")}`);
