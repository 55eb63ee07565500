// A real guest: a device in this process interrupts x86 code that runs in KVM.
import { Host, Producer } from "irqbypass";
import { KvmVm, kvm, whyNoKvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";

const reason = whyNoKvm();
if (reason !== undefined) {
  console.log(`no KVM guest here: ${reason.message}`);
} else {
  const host = Host.create({ kinds: [linux(), kvm()] });
  const vm = new KvmVm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = LinuxEventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24);
  const { count } = vm.tables(0); // what the guest's handler counts, in the guest's own memory
  vm.start();

  eventfd.write();
  console.log(`${irqfd.path}: through the eventfd, inside KVM (${irqfd.reason})`);
  while (Atomics.load(count, 0x41) < 1) await new Promise((resolve) => setTimeout(resolve, 1));

  const producer = Producer.create(host);
  producer.register(eventfd);
  producer.signal();
  console.log(`${irqfd.path}: by one KVM_SIGNAL_MSI of this thread`);
  while (Atomics.load(count, 0x41) < 2) await new Promise((resolve) => setTimeout(resolve, 1));

  console.log(`the guest has handled ${Atomics.load(count, 0x41)} interrupts`);
  await vm.stop();
  producer.dispose();
  vm.dispose();
  eventfd.close();
  host.dispose();
}
