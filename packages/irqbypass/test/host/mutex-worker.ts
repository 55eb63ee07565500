/** Adds to a guarded word under the host mutex, in a load and a store that nothing else protects. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle } from "irqbypass";

export interface MutexWork {
  readonly host: HostHandle;
  /** A guarded word to count in. */
  readonly word: number;
  readonly rounds: number;
}

const { host: handle, word, rounds } = workerData as MutexWork;
const host = Host.attach(handle);
parentPort!.postMessage("ready");
parentPort!.once("message", () => {
  for (let round = 0; round < rounds; round++) {
    host.mutex.guard(() => {
      const seen = host.words.get(word);
      for (let i = 0; i < round % 50; i++) host.words.relax();
      host.words.set(word, seen + 1);
    });
  }
  host.dispose();
  parentPort!.postMessage("done");
});
