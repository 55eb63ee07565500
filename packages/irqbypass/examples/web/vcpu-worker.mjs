// A vCPU: sleeps until an interrupt comes, handles it, and says that it has.
import { Host, Vcpu } from "irqbypass";

addEventListener(
  "message",
  async ({ data: { host: handle, vcpu: vcpuHandle, handled } }) => {
    const host = Host.attach(handle, { name: "vCPU" });
    await host.provable(); // from here on it blocks, and its end would prove itself
    const vcpu = Vcpu.open(host, vcpuHandle);
    for (;;) {
      if (vcpu.wait() !== "interrupt") continue;
      vcpu.acknowledge();
      vcpu.eoi();
      Atomics.add(handled, 0, 1);
      Atomics.notify(handled, 0);
    }
  },
  { once: true },
);
