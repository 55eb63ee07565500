// The VMM, a device and a vCPU, each in a thread of its own. Handles travel in messages; interrupts do not.
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { Eventfd, Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";

const INTERRUPTS = 1000;

async function vmm() {
  const host = Host.create();
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24, { bypass: "require" });
  const done = new Int32Array(new SharedArrayBuffer(4)); // what the guest has handled, as in a virtqueue
  const shared = { host: host.handle, done };
  const here = new URL(import.meta.url);
  const device = new Worker(here, { workerData: { ...shared, eventfd: eventfd.handle } });
  const vcpu = new Worker(here, { workerData: { ...shared, vcpu: vm.vcpu(0).handle } });
  const ends = [device, vcpu].map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
  console.log(`${await irqfd.bypassed({ timeoutMs: 5000 })} as soon as the device is there`);
  await Promise.all(ends);
  console.log(`${Atomics.load(done, 0)} interrupts handled`);
  vm.dispose();
  eventfd.close();
  host.dispose();
}

function runDevice({ host: handle, eventfd, done }) {
  const host = Host.attach(handle);
  const token = Eventfd.open(host, eventfd);
  const nic = new VfioPciDevice(host, { msix: 1 });
  nic.setTrigger("msix", 0, token);
  const irq = nic.vector("msix", 0);
  for (let sent = 0; sent < INTERRUPTS; sent++) {
    irq.signal();
    Atomics.wait(done, 0, sent, 1000); // until the guest has handled it
  }
  nic.dispose();
  token.close();
  host.dispose();
}

function runVcpu({ host: handle, vcpu: vcpuHandle, done }) {
  const host = Host.attach(handle);
  const vcpu = Vcpu.open(host, vcpuHandle);
  while (Atomics.load(done, 0) < INTERRUPTS && vcpu.wait({ timeoutMs: 5000 }) === "interrupt") {
    vcpu.acknowledge();
    vcpu.eoi();
    Atomics.add(done, 0, 1);
    Atomics.notify(done, 0);
  }
  vcpu.put();
  host.dispose();
}

if (isMainThread) await vmm();
else if ("vcpu" in workerData) runVcpu(workerData);
else runDevice(workerData);
