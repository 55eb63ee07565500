// A device's thread serves 64 queues and a control channel: one sleep for all of them. The driver kicks queues from another thread.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Epoll, Eventfd, Host } from "irqbypass";

const QUEUES = 64;
const ROUNDS = 10;

async function driver() {
  const host = Host.create();
  const kicks = Array.from({ length: QUEUES }, () => Eventfd.create(host));
  const control = Eventfd.create(host);
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { host: host.handle, kicks: kicks.map((kick) => kick.handle), control: control.handle },
  });
  const served = new Promise((resolve) => worker.once("message", resolve));
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  for (let round = 0; round < ROUNDS; round++) for (const kick of kicks) kick.write();
  control.write(); // says that no more come: the last close of an eventfd is silent
  console.log(`${await served} kicks served, of ${QUEUES} queues`);
  await ended;
  for (const eventfd of [...kicks, control]) eventfd.close();
  console.log(`told to stop, with ${host.audit().findings.length} records out of place`);
  host.dispose();
}

function device({ host: handle, kicks, control }) {
  const host = Host.attach(handle);
  const queues = kicks.map((kick) => Eventfd.open(host, kick));
  const stop = Eventfd.open(host, control);
  const epoll = Epoll.create(host);
  for (const [data, queue] of queues.entries()) epoll.add(queue, { data });
  epoll.add(stop, { data: QUEUES });
  let served = 0n;
  for (let stopping = false; !stopping; ) {
    for (const data of epoll.wait()) {
      if (data === QUEUES) stopping = true;
      else served += queues[data].tryRead() ?? 0n; // a queue's buffers would be served here
    }
  }
  for (const queue of queues) served += queue.tryRead() ?? 0n; // written before the stop, and not reported yet
  parentPort.postMessage(String(served));
  epoll.close();
  host.dispose();
}

if (isMainThread) await driver();
else device(workerData);
