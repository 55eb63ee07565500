// A guest and a device in two workers of a page, the host on its main thread, which never blocks.
import { Eventfd, Host, Vm } from "../../packages/irqbypass/build/src/index.js";

const CAPACITY = { eventfd: 16, producer: 16, consumer: 16, vm: 2, vcpu: 4, route: 16, routing: 2 };
const GSI = 24;
const VECTOR = 0x41;

/**
 * Sends `rounds` interrupts, one after the other, from the device's thread to the vCPU's. With `bypass: false` the relay carries
 * them, and with `own` it runs in a worker that the page starts.
 */
export default async function main({ rounds, bypass = true, own = false }) {
  const asked = [];
  const spawn = (name) => {
    asked.push(name);
    return new Worker(new URL("./own-relay.mjs", import.meta.url), { type: "module" });
  };
  const host = Host.create({ capacity: CAPACITY, ...(own ? { spawn } : {}) });
  host.bypass = bypass;
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: VECTOR } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, GSI);

  const vcpu = start("./vcpu-worker.mjs", { host: host.handle, vcpu: vm.vcpu(0).handle, rounds });
  await vcpu.said("ready");
  const device = start("./device-worker.mjs", { host: host.handle, eventfd: eventfd.handle });
  await device.said("ready");
  const { path, reason } = irqfd;
  const seen = [];
  for (let round = 0; round < rounds; round++) {
    device.worker.postMessage("signal");
    seen.push(await vcpu.said("interrupt"));
  }
  device.worker.postMessage("leave");
  await device.said("left");
  await vcpu.said("left");
  for (const { worker } of [device, vcpu]) worker.terminate();
  vm.dispose();
  eventfd.close();
  const { findings } = host.audit();
  host.dispose();
  return { platform: host.platform.name, path, reason, seen, asked, findings };
}

/** A worker of the page; `said` resolves with the next message of that name, rejects with an error of the worker. */
function start(file, data) {
  const worker = new Worker(new URL(file, import.meta.url), { type: "module" });
  const messages = [];
  let wake = () => {};
  let failure;
  worker.addEventListener("message", ({ data: message }) => {
    messages.push(message);
    wake();
  });
  worker.addEventListener("error", ({ message }) => {
    failure = new Error(`${file}: ${message ?? "cannot be loaded"}`);
    wake();
  });
  worker.postMessage(data);
  return {
    worker,
    async said(name) {
      while (messages.length === 0) {
        if (failure !== undefined) throw failure;
        await new Promise((resolve) => {
          wake = resolve;
        });
      }
      const message = messages.shift();
      if (message.said !== name) throw new Error(`${file} said ${JSON.stringify(message)}, not ${name}`);
      return message.value;
    },
  };
}
