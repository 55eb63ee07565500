/** A thread that owns a running guest with a connected interrupt, until it is terminated. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle, Producer } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";

const host = Host.attach(workerData as HostHandle, { kinds: [linux(), kvm()] });
const vm = new KvmVm(host, { vcpus: 2 });
vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 1, vector: 0x41 } }]);
const eventfd = LinuxEventfd.create(host);
const irqfd = vm.irqfd(eventfd, 24);
const producer = Producer.create(host);
producer.register(eventfd);
vm.start();
const { count } = vm.tables(1);
while (count[0x41] === 0) producer.signal();
parentPort?.postMessage(irqfd.path);
setInterval(() => producer.signal(), 1);
