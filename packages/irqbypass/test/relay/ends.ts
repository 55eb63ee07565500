/** A thread that registers a device interrupt, and ends in the way that it is told. */
import { workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle, Producer } from "irqbypass";

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
switch (ending) {
  case "its own end, everything given back":
    producer.dispose();
    token.close();
    host.dispose();
    break;
  case "process.exit(0)":
    process.exit(0);
    break;
  case "process.exit(3)":
    process.exit(3);
    break;
  case "an uncaught error":
    throw new Error("on purpose");
  case "worker.terminate":
  case "host.terminate":
    setInterval(() => {}, 1000);
    break;
}
