/** A thread that reads a Linux eventfd once, blocking. */
import { parentPort, workerData } from "node:worker_threads";
import { Host } from "irqbypass";
import { linux, LinuxEventfd } from "irqbypass/linux";
import { PATIENCE_MS } from "../support/worker.js";

const host = Host.attach(workerData.host, { kinds: [linux()] });
const eventfd = LinuxEventfd.open(host, workerData.eventfd);
parentPort!.postMessage("ready");
parentPort!.postMessage(eventfd.read({ timeoutMs: 2 * PATIENCE_MS }));
host.dispose();
