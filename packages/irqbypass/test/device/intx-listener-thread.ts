/** The thread that has listened first, in the tests beside this: it has the unmask eventfd set, then returns to its event loop for good. */
import { parentPort, workerData } from "node:worker_threads";
import { Eventfd, type Handle, Host, type HostHandle, VfioPciDevice } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { setUnmask } from "../support/intx.js";

export interface ListenerWork {
  readonly host: HostHandle;
  readonly device: Handle<"vfio-pci device">;
  readonly unmask: Handle<"eventfd">;
  readonly isLinux: boolean;
}

const { host: handle, device, unmask, isLinux } = workerData as ListenerWork;
const host = Host.attach(handle, { kinds: isLinux ? [linux()] : [] });
setUnmask(VfioPciDevice.open(host, device), (isLinux ? LinuxEventfd : Eventfd).open(host, unmask));
parentPort!.postMessage("listens");
