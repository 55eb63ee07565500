// Runs a vCPU: sleeps until an interrupt comes, says which, and ends it.
import { Host, Vcpu } from "../../packages/irqbypass/build/src/index.js";

addEventListener(
  "message",
  ({ data: { host: handle, vcpu: vcpuHandle, rounds } }) => {
    const host = Host.attach(handle);
    const vcpu = Vcpu.open(host, vcpuHandle);
    postMessage({ said: "ready" });
    for (let round = 0; round < rounds; round++) {
      const wake = vcpu.wait();
      const vector = vcpu.acknowledge();
      vcpu.eoi();
      postMessage({ said: "interrupt", value: `${wake} ${vector}` });
    }
    vcpu.put();
    host.dispose();
    postMessage({ said: "left" });
  },
  { once: true },
);
