/** The writing thread of the tests beside this: writes once for each round that it is told of. */
import { workerData } from "node:worker_threads";
import { Eventfd, Host, type HostHandle } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";

const {
  host: handle,
  eventfd,
  isLinux,
  rounds,
} = workerData as {
  host: HostHandle;
  eventfd: number;
  isLinux: boolean;
  rounds: Int32Array;
};
const host = Host.attach(handle, isLinux ? { kinds: [linux()] } : {});
const own = isLinux ? LinuxEventfd.open(host, eventfd) : Eventfd.open(host, eventfd);
for (let round = 1; ; round++) {
  let now = Atomics.load(rounds, 0);
  for (; now >= 0 && now < round; now = Atomics.load(rounds, 0));
  if (now < 0) break;
  own.write();
  Atomics.store(rounds, 1, round);
}
own.close();
host.dispose();
