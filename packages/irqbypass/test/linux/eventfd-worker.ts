/** Another thread of the host: opens an eventfd by its handle, adopts it by its descriptor, and writes through both. */
import { parentPort, workerData } from "node:worker_threads";
import type { HostHandle } from "#src/host/reserve.js";
import { LinuxEventfd } from "#src/linux/eventfd.js";
import { linux } from "#src/linux/kind.js";
import { Host } from "#src/vm/host.js";

const { host: hostHandle, fd, handle } = workerData as { host: HostHandle; fd: number; handle: number };
using host = Host.attach(hostHandle, { kinds: [linux()] });
using opened = LinuxEventfd.open(host, handle);
using adopted = LinuxEventfd.adopt(host, fd);
opened.write(4);
adopted.write(3);
parentPort?.postMessage([opened.record === adopted.record ? opened.record : -1]);
