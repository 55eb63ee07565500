/** Reads an eventfd so many times, blocking, and reports each. */
import { parentPort, workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle } from "irqbypass";

export interface ReaderWork {
  readonly host: HostHandle;
  readonly eventfd: number;
  readonly reads: number;
}

const { host: handle, eventfd: eventfdHandle, reads } = workerData as ReaderWork;
const host = Host.attach(handle);
const eventfd = Eventfd.open(host, eventfdHandle);
parentPort!.postMessage("ready");
for (let i = 0; i < reads; i++) parentPort!.postMessage(eventfd.read({ timeoutMs: 20_000 }));
eventfd.close();
host.dispose();
