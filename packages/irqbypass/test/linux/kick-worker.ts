/** A thread that waits in a Linux eventfd, or kicks who does. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";

export interface KickWork {
  readonly host: HostHandle;
  readonly eventfd: number;
  /** What it does: reads, or writes 1 and 1 again, until a kick; writes this once; kicks for ever. */
  readonly act: "read" | "fill" | "kick" | { readonly write: bigint };
  /** Whether it sleeps without a limit in poll(2), so that only what it waits for, or a kick, ends that. */
  readonly patient?: boolean;
}

const { host: handle, eventfd: own, act, patient = false } = workerData as KickWork;
const kind = linux();
if (patient) {
  const ffi = kind.ffi();
  const { poll } = ffi;
  ffi.poll = (fds, count, timeoutMs) => poll(fds, count, timeoutMs === 0 ? 0 : -1);
}
const host = Host.attach(handle, { kinds: [kind] });
const eventfd = LinuxEventfd.open(host, own);
parentPort!.postMessage("ready");
if (act === "kick") for (;;) eventfd.kick();
else if (act === "read") {
  let taken = 0;
  for (let count = eventfd.read(); count !== undefined; count = eventfd.read()) taken += Number(count);
  parentPort!.postMessage(taken);
} else if (act === "fill") {
  let written = 0;
  while (eventfd.write()) written += 1;
  parentPort!.postMessage(written);
} else parentPort!.postMessage(eventfd.write(act.write));
host.dispose();
