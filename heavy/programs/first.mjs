// A first program in a page, as the README has it.
import { Eventfd, Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";

const host = Host.create();
const vm = new Vm(host, { vcpus: 1 });
vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
const eventfd = Eventfd.create(host);
const irqfd = vm.irqfd(eventfd, 24);
const nic = new VfioPciDevice(host, { msix: 8 });
nic.setTrigger("msix", 0, eventfd);
const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
nic.vector("msix", 0).signal();
console.log(irqfd.path, vcpu.wait({ timeoutMs: 0 }), vcpu.acknowledge());
