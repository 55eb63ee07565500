/** A thread that has a vCPU and a device, and waits for what it is told to. */
import { parentPort, workerData } from "node:worker_threads";
import { Epoll, Eventfd, type Handle, Host, type HostHandle, Producer, Vcpu } from "irqbypass";

export interface Waiter {
  readonly host: HostHandle;
  readonly vcpu: Handle<"vcpu">;
  readonly eventfd: Handle<"eventfd">;
  readonly epoll: Handle<"epoll">;
}

const { host: handle, ...given } = workerData as Waiter;
const host = Host.attach(handle, { name: "waiter" });
const vcpu = Vcpu.open(host, given.vcpu);
const eventfd = Eventfd.open(host, given.eventfd);
const epoll = Epoll.open(host, given.epoll);
const producer = Producer.create(host);
producer.register(eventfd);
parentPort?.postMessage("attached");
vcpu.wait();
eventfd.read();
epoll.wait();
producer.dispose();
vcpu.put();
epoll.close();
eventfd.close();
host.dispose();
