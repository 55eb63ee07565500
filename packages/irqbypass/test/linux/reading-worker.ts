/** A thread that reads a Linux eventfd once, blocking. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { PATIENCE_MS } from "../support/worker.js";

export interface ReadingWork {
  readonly host: HostHandle;
  readonly eventfd: number;
}

const work = workerData as ReadingWork;
const host = Host.attach(work.host, { kinds: [linux()] });
const eventfd = LinuxEventfd.open(host, work.eventfd);
parentPort!.postMessage("ready");
parentPort!.postMessage(eventfd.read({ timeoutMs: 2 * PATIENCE_MS }));
host.dispose();
