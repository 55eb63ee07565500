/** A thread that registers a device interrupt, and ends in the way that it is told. */
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle, Producer } from "irqbypass";
import { endBy } from "../support/ending.js";

export interface EndsWork {
  readonly host: HostHandle;
  readonly eventfd: number;
  readonly ending: string;
}

const { host: handle, eventfd, ending } = workerData as EndsWork;
const host = Host.attach(handle);
const token = Eventfd.open(host, eventfd);
const producer = Producer.create(host);
producer.register(token);
// Whoever awaits the connection sees it only while it is there.
await once(parentPort!, "message");
if (ending.endsWith("terminate")) setInterval(() => {}, 1000);
await endBy(ending, () => {
  producer.dispose();
  token.close();
  host.dispose();
});
