// A device, an eventfd and a VM in one thread: the interrupt goes straight into the vCPU.
import { Eventfd, Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";

const host = Host.create(); // one shared memory with everything in it
const vm = new Vm(host, { vcpus: 1 });
vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
const eventfd = Eventfd.create(host);
const irqfd = vm.irqfd(eventfd, 24); // the VM listens ...
const nic = new VfioPciDevice(host, { msix: 8 });
nic.setTrigger("msix", 0, eventfd); // ... and the device signals: the two ends are connected
const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
nic.vector("msix", 0).signal(); // no message, no event loop, no system call
console.log(irqfd.path, vcpu.wait({ timeoutMs: 100 }), vcpu.acknowledge()); // posted interrupt 65
