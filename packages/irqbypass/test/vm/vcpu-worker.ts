/** Each time it is told so, opens a vCPU, serves one interrupt, reports it and puts the vCPU. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle, Vcpu } from "irqbypass";

export interface VcpuWork {
  readonly host: HostHandle;
  readonly vcpu: number;
}

const { host: handle, vcpu: vcpuHandle } = workerData as VcpuWork;
const host = Host.attach(handle);
parentPort!.on("message", (message) => {
  if (message === "end") {
    host.dispose();
    parentPort!.close();
    return;
  }
  const vcpu = Vcpu.open(host, vcpuHandle);
  const wake = vcpu.wait({ timeoutMs: 20_000 });
  const vector = vcpu.acknowledge();
  vcpu.eoi();
  vcpu.put();
  parentPort!.postMessage(wake === "interrupt" ? vector : wake);
});
