/** What a browser's worker does with the core: a guest and a device in one page, posted and relayed. */
import { Eventfd, Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";

/** The worker scope, of which the DOM types would claim names that Node lacks. */
const scope = globalThis as unknown as { postMessage(message: unknown): void };

async function main(): Promise<Record<string, unknown>> {
  const host = Host.create({
    capacity: { eventfd: 16, producer: 16, consumer: 16, vm: 2, vcpu: 4, route: 16, routing: 2 },
  });
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24);
  const nic = new VfioPciDevice(host, { msix: 1 });
  nic.setTrigger("msix", 0, eventfd);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const vectors: (number | undefined)[] = [];
  const serve = () => {
    vectors.push(vcpu.acknowledge());
    vcpu.eoi();
  };
  const bypassed = irqfd.path;
  nic.vector("msix", 0).signal();
  const posted = vcpu.wait({ timeoutMs: 20_000 });
  serve();
  host.bypass = false;
  nic.vector("msix", 0).signal();
  const relayed = await vcpu.waitAsync({ timeoutMs: 20_000 });
  serve();
  const counter = Eventfd.create(host, { initial: 2 });
  counter.write(3);
  const result = {
    platform: host.platform.name,
    node: "process" in globalThis,
    bypassed,
    posted,
    relayed,
    vectors,
    count: counter.tryRead(),
  };
  vcpu.put();
  nic.dispose();
  vm.dispose();
  host.dispose();
  return result;
}

main().then(
  (result) => scope.postMessage(result),
  (error: Error & { code?: string }) =>
    scope.postMessage({ code: error.code, message: error.message, stack: error.stack }),
);
