// A device's thread is killed while it signals: the host is repaired, nothing of the others is lost, and a new device takes over.
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { Eventfd, Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";

if (isMainThread) {
  const host = Host.create();
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);

  const device = new Worker(new URL(import.meta.url), {
    workerData: { host: host.handle, eventfd: eventfd.handle },
  });
  await irqfd.bypassed();
  await vcpu.waitAsync();
  vcpu.acknowledge();
  vcpu.eoi();
  console.log(`${irqfd.path} from the device's thread`);

  await host.terminate(device); // in the middle of a signal, most likely
  console.log(`${irqfd.path}, ${await irqfd.relayed()}`); // a reason of its own, also while the relay is still starting
  if (vcpu.pending() && vcpu.acknowledge() !== undefined) vcpu.eoi(); // the last one that it sent

  const another = new VfioPciDevice(host, { msix: 1 });
  another.setTrigger("msix", 0, eventfd);
  another.vector("msix", 0).signal();
  console.log(`${irqfd.path} again, vector ${vcpu.wait() === "interrupt" && vcpu.acknowledge()}`);
  console.log(`${host.audit().findings.length} records out of place`);
} else {
  const host = Host.attach(workerData.host);
  const eventfd = Eventfd.open(host, workerData.eventfd);
  const device = new VfioPciDevice(host, { msix: 1 });
  device.setTrigger("msix", 0, eventfd);
  for (;;) device.vector("msix", 0).signal();
}
