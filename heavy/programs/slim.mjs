// From irqbypass/slim, in a page: what it loads late is there when its end would prove itself, and repairs after a worker that is ended.
import { Eventfd, Host, Vcpu, Vm } from "irqbypass/slim";

const LIMIT = { timeoutMs: 30_000 };

export default async function main() {
  const host = Host.create();
  const fastPaths = [host.fastPath];
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const provable = await host.provable();
  fastPaths.push(host.fastPath);
  const worker = new Worker(new URL("./slim-worker.mjs", import.meta.url), { type: "module" });
  worker.postMessage({ host: host.handle, eventfd: eventfd.handle });
  const woke = await vcpu.waitAsync(LIMIT);
  const { path } = irqfd;
  worker.terminate();
  const seen = [path, woke, await irqfd.relayed(LIMIT)];
  vcpu.put();
  vm.dispose();
  eventfd.close();
  host.dispose();
  return { fastPaths, provable, seen };
}
