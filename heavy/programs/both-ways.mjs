// An interrupt posted by a page's main thread, and one that the relay carries, which the library starts as a worker.
import { Eventfd, Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";

export default async function main() {
  const host = Host.create();
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24);
  const nic = new VfioPciDevice(host, { msix: 1 });
  nic.setTrigger("msix", 0, eventfd);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const seen = [];
  for (const bypass of [true, false]) {
    host.bypass = bypass;
    nic.vector("msix", 0).signal();
    seen.push(`${irqfd.path} ${await vcpu.waitAsync({ timeoutMs: 30_000 })} ${vcpu.acknowledge()}`);
    vcpu.eoi();
  }
  vcpu.put();
  nic.dispose();
  vm.dispose();
  eventfd.close();
  const { findings } = host.audit();
  host.dispose();
  return { platform: host.platform.name, fastPath: host.fastPath, seen, findings };
}
