/** The other thread of the tests beside this: it makes a device and signals it, or does what a VMM does to one, until it is ended. */
import { parentPort, workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle, VdpaDevice, VfioPciDevice } from "irqbypass";

const {
  host: handle,
  eventfd,
  device,
  part,
} = workerData as {
  host: HostHandle;
  eventfd: number;
  device: number;
  part: "device" | "vmm" | "vdpa";
};
const host = Host.attach(handle);
const own = Eventfd.open(host, eventfd);
if (part === "device") {
  const nic = new VfioPciDevice(host, { msix: 2, intx: true });
  nic.setTrigger("msix", 0, own);
  parentPort!.postMessage(nic.handle);
  for (;;) nic.vector("msix", 0).signal();
} else if (part === "vmm") {
  const nic = VfioPciDevice.open(host, device);
  const vector = nic.vector("msix", 0);
  parentPort!.postMessage("begins");
  for (let round = 0; ; round++) {
    vector.mask();
    if (round % 3 === 0) nic.setTrigger("msix", 0, null);
    nic.setTrigger("msix", 0, own);
    vector.unmask();
    nic.intx.assert();
    nic.intx.deassert();
  }
} else {
  const disk = VdpaDevice.open(host, device);
  const session = disk.open();
  session.setVringCall(0, own);
  session.setConfigCall(own);
  parentPort!.postMessage(session.status);
  setInterval(() => {}, 1000);
}
