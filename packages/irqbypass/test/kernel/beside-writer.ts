/** A thread that writes 1 to an eventfd in each round, some time after it has begun. */
import { workerData } from "node:worker_threads";
import { Eventfd, Host } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { loadFfi } from "#src/linux/koffi.js";
import { type Random, random } from "../death/random.js";
import { BesideWord, type BesideWork } from "./beside-work.js";

const { words, writer, most } = workerData as BesideWork;
const pick: Random = random(7);
const { write, end } = writes();

function writes(): { write(): void; end(): void } {
  if ("fd" in writer) {
    const ffi = loadFfi();
    return { write: () => void ffi.eventfdWrite(writer.fd, 1), end() {} };
  }
  const host = Host.attach(writer.host, { kinds: writer.linux ? [linux()] : [] });
  const eventfd = (writer.linux ? LinuxEventfd : Eventfd).open(host, writer.handle);
  return { write: () => eventfd.write(), end: () => host.dispose() };
}

Atomics.store(words, BesideWord.ready, 1);
Atomics.notify(words, BesideWord.ready);
const isOver = () => Atomics.load(words, BesideWord.over) === 1;
for (let round = 1; ; round++) {
  while (Atomics.load(words, BesideWord.round) < round && !isOver());
  if (isOver()) break;
  Atomics.store(words, BesideWord.begun, round);
  for (let left = pick(most); left > 0; left--) Atomics.load(words, BesideWord.over);
  write();
  Atomics.store(words, BesideWord.written, round);
}
end();
