// A device in a worker of slim.mjs: it signals once, and blocks until it is ended.
import { Eventfd, Host, VfioPciDevice } from "irqbypass/slim";

addEventListener(
  "message",
  async ({ data }) => {
    const host = Host.attach(data.host);
    const nic = new VfioPciDevice(host, { msix: 1 });
    nic.setTrigger("msix", 0, Eventfd.open(host, data.eventfd));
    await host.provable();
    nic.vector("msix", 0).signal();
    Eventfd.create(host).read();
  },
  { once: true },
);
