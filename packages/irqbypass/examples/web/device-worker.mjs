// A device: signals its interrupt, and again as soon as the guest has handled it, some hundred times a second.
import { Eventfd, Host, VfioPciDevice } from "irqbypass";

const PAUSE_MS = 2;

addEventListener(
  "message",
  async ({ data: { host: handle, eventfd, handled } }) => {
    const host = Host.attach(handle, { name: "device" });
    await host.provable();
    const nic = new VfioPciDevice(host, { msix: 1 });
    nic.setTrigger("msix", 0, Eventfd.open(host, eventfd));
    const irq = nic.vector("msix", 0);
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      const before = Atomics.load(handled, 0);
      irq.signal();
      Atomics.wait(handled, 0, before, 1000);
      Atomics.wait(never, 0, 0, PAUSE_MS);
    }
  },
  { once: true },
);
