// A process that nothing keeps alive but a v86 machine: node ends.mjs <package of v86> <how> <busy | idle>. It is to live for as long
// as the machine runs, and to end once that is stopped, as with plain v86. Prints what it saw.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Eventfd, Host, Vcpu, Vm } from "irqbypass";
import { createMachine } from "../../packages/irqbypass/examples/v86/adapter.mjs";
import { optionsFor } from "../../packages/irqbypass/examples/v86/machine.mjs";

const [name, how, guest] = process.argv.slice(2);
const VECTOR = 0x41;
const build = import.meta.resolve(name);
const { V86 } = await import(build);
const host = Host.create();
const vm = new Vm(host, { vcpus: 1, apic: false });
const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
const options = optionsFor({ busy: guest === "busy" });
const machine = await createMachine({ V86, wasm: readFileSync(new URL("v86.wasm", build)), vcpu, options });
await machine.run();
const seen = await { stopped, again, put, device }[how]();
process.on("exit", () => console.log(JSON.stringify({ ...seen, armed: how !== "put" && vcpu.disarm() })));

async function stopped() {
  await sleep(200);
  await machine.stop();
}

/** A machine that was stopped runs again. */
async function again() {
  await stopped();
  await machine.run();
  return device();
}

/** The vCPU is put before the machine has stopped. */
async function put() {
  await sleep(200);
  vcpu.put();
  await machine.destroy();
}

/** Stays up for the interrupts of a device whose thread keeps nothing alive. */
async function device(interrupts = 20) {
  vm.setGsiRouting([{ gsi: 0, msi: { vcpu: 0, vector: VECTOR } }]);
  const eventfd = Eventfd.create(host);
  vm.irqfd(eventfd, 0);
  const done = new Int32Array(new SharedArrayBuffer(4));
  let taken = 0;
  machine.add_listener("serial0-output-byte", () => {
    taken++;
    Atomics.add(done, 0, 1);
    Atomics.notify(done, 0);
  });
  const worker = new Worker(new URL("../../packages/irqbypass/examples/v86/device.mjs", import.meta.url));
  const library = import.meta.resolve("irqbypass");
  worker.postMessage({ library, host: host.handle, eventfds: [eventfd.handle], done, interrupts });
  const median = new Promise((resolve) => worker.once("message", resolve));
  worker.unref();
  const medianUs = await median;
  await machine.stop();
  return { taken, medianUs };
}
