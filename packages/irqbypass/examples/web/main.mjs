// The ten lines of the README in a page: the VM here, its vCPU and a device each in a worker.
import { Eventfd, Host, Vm } from "irqbypass";

const LOOK_MS = 250;
const show = (id, text) => {
  document.getElementById(id).textContent = text;
};

/** Starts it all; throws where the page lacks something, with what to do about it. */
function start() {
  const host = Host.create({ name: "page" });
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, 24);
  const handled = new Int32Array(new SharedArrayBuffer(4)); // what the guest has handled, as in a virtqueue

  // Each expression in one piece: so bundlers see that these modules are workers.
  const vcpu = new Worker(new URL("./vcpu-worker.mjs", import.meta.url), { type: "module" });
  vcpu.postMessage({ host: host.handle, vcpu: vm.vcpu(0).handle, handled });
  let device;
  const startDevice = () => {
    device = new Worker(new URL("./device-worker.mjs", import.meta.url), { type: "module" });
    device.postMessage({ host: host.handle, eventfd: eventfd.handle, handled });
  };
  startDevice();

  const bypass = document.getElementById("bypass");
  bypass.addEventListener("click", () => {
    // A mutex may be busy, and this thread may not block.
    void host.whenFree(() => {
      host.bypass = !host.bypass;
      bypass.textContent = `turn the bypass ${host.bypass ? "off" : "on"}`;
    });
  });
  const button = document.getElementById("device");
  button.addEventListener("click", () => {
    if (device === undefined) startDevice();
    else {
      device.terminate(); // wherever it is: its end proves itself, and what it left is repaired
      device = undefined;
    }
    button.textContent = device === undefined ? "start a device" : "end the device";
  });

  let before = 0;
  setInterval(() => {
    void host.whenFree(() => {
      const now = Atomics.load(handled, 0);
      show("path", irqfd.path);
      show("reason", irqfd.reason === undefined ? "\u00a0" : `not bypassed: ${irqfd.reason}`);
      show("handled", now.toLocaleString("en"));
      show("rate", Math.round(((now - before) * 1000) / LOOK_MS).toLocaleString("en"));
      before = now;
      const rows = host.threads().map(({ name, has, waitsFor, proof }) => {
        const row = document.createElement("tr");
        for (const text of [name, has.join(", ") || "nothing", waitsFor ?? "nothing", proof])
          row.insertCell().textContent = text;
        return row;
      });
      document.getElementById("threads").replaceChildren(...rows);
    });
  }, LOOK_MS);
}

try {
  start();
} catch (error) {
  const refused = document.getElementById("refused");
  refused.textContent = error.message;
  refused.hidden = false;
  throw error;
}
