// A host whose page is frozen, left, closed or kept for the back button.
import { Eventfd, Host, Vm } from "../../packages/irqbypass/build/src/index.js";

let scene;

/** Makes a host with a device in a worker, whose end would prove itself; the result is the host's threads by name and proof. */
export default async function main({ step }) {
  if (step === "look") return look();
  const host = Host.create({ name: "page" });
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24);
  const worker = new Worker(new URL("./device-worker.mjs", import.meta.url), { type: "module" });
  const ready = new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
  worker.postMessage({ host: host.handle, eventfd: eventfd.handle });
  await ready;
  scene = { host, irqfd, worker };
  const deadline = performance.now() + 30_000;
  const settled = (threads) => threads.length === 3 && threads.every(({ proof }) => proof === "lock"); // with the relay
  while (!settled(host.threads()) && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 5));
  return look();
}

function look() {
  const { host, irqfd } = scene;
  return {
    proofs: host.threads().map(({ proof }) => proof),
    path: irqfd.path,
    findings: host.audit().findings,
  };
}
