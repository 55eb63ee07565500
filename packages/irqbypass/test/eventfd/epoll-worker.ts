/** A thread that writes to watched eventfds, or waits for them and reads what it is told of, until it is told to end. */
import { parentPort, workerData } from "node:worker_threads";
import { Epoll, Eventfd, Host, type HostHandle } from "irqbypass";

export interface EpollWork {
  readonly host: HostHandle;
  readonly epoll: number;
  readonly eventfds: readonly number[];
  /** Writes to each of them in turn; none for who waits. */
  readonly writes: number;
  /** Word 0: 1 when the waiter is to end. */
  readonly board: Int32Array;
}

const { host: handle, epoll: epollHandle, eventfds: handles, writes, board } = workerData as EpollWork;
const host = Host.attach(handle);
const epoll = Epoll.open(host, epollHandle);
const eventfds = handles.map((eventfd) => Eventfd.open(host, eventfd));
parentPort!.postMessage("ready");
let sum = 0n;
if (writes > 0) {
  for (let round = 0; round < writes; round++) {
    for (const eventfd of eventfds) eventfd.write();
    if (round % 16 === 0) Atomics.wait(board, 1, 0, 0.1); // so that the waiter sleeps
  }
} else {
  // Who tells it to end kicks it.
  while (Atomics.load(board, 0) === 0)
    for (const data of epoll.wait()) sum += eventfds[data]!.tryRead() ?? 0n;
}
parentPort!.postMessage(sum);
for (const one of [epoll, ...eventfds]) one.close();
host.dispose();
