/** The device's thread of the stress beside this: it adopts the device, and signals its vector in bursts. */
import { workerData } from "node:worker_threads";
import { Host, type HostHandle, VfioPciDevice } from "irqbypass";
import { Board } from "./beside-stress.js";

const {
  host: handle,
  nic: device,
  board,
} = workerData as { host: HostHandle; nic: number; board: Int32Array };
const host = Host.attach(handle);
const nic = VfioPciDevice.open(host, device);
nic.adopt();
const vector = nic.vector("msix", 0);
Atomics.store(board, Board.over, -1);
for (let round = 0; ; ) {
  const now = Atomics.load(board, Board.round);
  if (now === round) continue;
  if (now < 0) break;
  round = now;
  for (let left = Atomics.load(board, Board.burst); left > 0; left--) vector.signal();
  Atomics.store(board, Board.over, round);
}
Atomics.store(board, Board.over, -1);
while (Atomics.load(board, Board.round) !== -2); // until the other thread has the device again
host.dispose();
