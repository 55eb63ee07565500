/** A thread that writes 1 to an eventfd in each round, and closes what it has of it then. */
import { workerData } from "node:worker_threads";
import { Eventfd, Host } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { loadFfi } from "#src/linux/koffi.js";
import { random } from "../death/random.js";
import { type BesideWork, playRounds } from "./beside-work.js";

const work = workerData as BesideWork;

function writesByDescriptor(): void {
  const ffi = loadFfi();
  playRounds(work, random(7), (fd) => () => {
    ffi.eventfdWrite(fd, 1);
    ffi.close(fd);
  });
}

function writesByHandle({ host: handle, kinds }: NonNullable<BesideWork["host"]>): void {
  const isLinux = kinds === "linux";
  const host = Host.attach(handle, { kinds: isLinux ? [linux()] : [] });
  playRounds(work, random(7), (target) => {
    const eventfd = (isLinux ? LinuxEventfd : Eventfd).open(host, target);
    return () => {
      eventfd.write();
      eventfd.close();
    };
  });
  host.dispose();
}

if (work.host === undefined) writesByDescriptor();
else writesByHandle(work.host);
