// A device: signals its interrupt when it is told to.
import { Eventfd, Host, VfioPciDevice } from "../../packages/irqbypass/build/src/index.js";

addEventListener(
  "message",
  ({ data: { host: handle, eventfd } }) => {
    const host = Host.attach(handle);
    const nic = new VfioPciDevice(host, { msix: 1 });
    const trigger = Eventfd.open(host, eventfd);
    nic.setTrigger("msix", 0, trigger);
    const vector = nic.vector("msix", 0);
    addEventListener("message", ({ data: order }) => {
      if (order === "signal") vector.signal();
      if (order !== "leave") return;
      nic.dispose();
      trigger.close();
      host.dispose();
      postMessage({ said: "left" });
    });
    postMessage({ said: "ready" });
  },
  { once: true },
);
