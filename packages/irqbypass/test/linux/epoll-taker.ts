/** Takes what is ready in an epoll, says what, and does nothing with it for ever. */
import { parentPort, workerData } from "node:worker_threads";
import { Epoll, Host, type HostHandle } from "irqbypass";
import { linux } from "irqbypass/linux";

const { host: handle, epoll } = workerData as { readonly host: HostHandle; readonly epoll: number };
const host = Host.attach(handle, { kinds: [linux()] });
parentPort!.postMessage(Epoll.open(host, epoll).wait());
setInterval(() => {}, 1e6);
