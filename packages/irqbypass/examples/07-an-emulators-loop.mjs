// An emulator's loop: run a slice, look for interrupts, go idle, wake, stop. A disk in another worker has a doorbell and an interrupt.
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Eventfd, Host, Producer, Vcpu, Vm } from "irqbypass";

const [DOORBELL, VECTOR, REQUESTS, SLICE] = [0xfe003000, 0x41, 1000, 50];

async function machine() {
  const host = Host.create();
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: VECTOR } }]);
  const [doorbell, interrupt] = [Eventfd.create(host), Eventfd.create(host)];
  vm.ioeventfd({ address: DOORBELL, length: 2 }, doorbell);
  vm.irqfd(interrupt, 24);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const handles = { host: host.handle, vm: vm.handle, vcpu: vm.vcpu(0).handle, stop };
  const start = (part, eventfd) =>
    new Worker(new URL(import.meta.url), { workerData: { ...handles, part, eventfd: eventfd.handle } });
  const [cpu, disk] = [start("cpu", doorbell), start("disk", interrupt)];
  disk.postMessage(doorbell.handle);
  console.log(`the guest has had ${await once(cpu, "message")} interrupts`);
  // A flag, then a kick for whatever the others sleep in: no doorbell is rung, and no interrupt raised, for this.
  Atomics.store(stop, 0, 1);
  vm.vcpu(0).kick();
  doorbell.kick();
  await Promise.all([once(cpu, "exit"), once(disk, "exit")]);
  console.log(`stopped, with ${host.audit().findings.length} records out of place`);
  vm.dispose();
}

/** The emulator's CPU, on its worker's event loop. */
function cpu({ host: handle, vm: vmHandle, vcpu: vcpuHandle, stop }) {
  const host = Host.attach(handle);
  const vm = Vm.open(host, vmHandle);
  const vcpu = Vcpu.open(host, vcpuHandle);
  let served = 0;
  let halted = false;
  const serve = () => {
    vcpu.acknowledge(); // the guest's handler would run here, and write EOI in the end
    vcpu.eoi();
    halted = false;
    if (++served === REQUESTS) parentPort.postMessage(served);
  };
  const slice = () => {
    for (let steps = 0; steps < SLICE && !halted; steps++) {
      vm.write("mmio", DOORBELL, 2, 1); // a step of the guest: it asks the disk for something,
      halted = true; // and halts until it has that
      if (vcpu.hasInterrupt()) serve(); // one load: after each step, or as often as one likes
    }
    if (vcpu.hasInterrupt()) serve();
    if (halted) vcpu.wait({ timeoutMs: 0 }); // takes a kick, which would keep it from going idle
    if (Atomics.load(stop, 0)) return end();
    if (served >= REQUESTS) halted = true; // the guest has nothing more to do
    // Halted, it goes idle until something comes; running, the event loop gets a turn between two slices.
    if (!halted || !vcpu.arm(slice)) setImmediate(slice);
  };
  const end = () => {
    vcpu.put();
    host.dispose();
  };
  slice();
}

/** A device, which blocks: it has no event loop to go back to. */
async function disk({ host: handle, eventfd, stop }) {
  const [doorbellHandle] = await once(parentPort, "message");
  const host = Host.attach(handle);
  const doorbell = Eventfd.open(host, doorbellHandle);
  const interrupt = Producer.create(host);
  interrupt.register(Eventfd.open(host, eventfd));
  while (!Atomics.load(stop, 0)) {
    if (doorbell.read() !== undefined) interrupt.signal(); // undefined: kicked
  }
  interrupt.dispose();
  host.dispose();
}

if (isMainThread) await machine();
else if (workerData.part === "cpu") cpu(workerData);
else await disk(workerData);
