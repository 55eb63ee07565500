/** One thread of `storm.ts`. */
import { workerData } from "node:worker_threads";
import { InterruptFile } from "irqbypass";
import { compile, instantiate } from "#src/host/wasm.js";
import { CPUS, FILES, INTO, type Part, SEEN, SLEPT, STOP, TAKEN } from "./storm.js";

interface Exports {
  owner(file: number, cpu: number, into: number): void;
  poster(file: number, cpu: number, first: number, count: number, posts: number): void;
}

const { memory, module, role, cpu, language, first, count, posts, pace } = workerData as Part;
const words = new Int32Array(memory.buffer as SharedArrayBuffer);
const [at, start] = [FILES[cpu]!, CPUS[cpu]! / 4];

if (language === "c") {
  const c = instantiate(compile(module!), { env: { memory } }) as Exports;
  if (role === "owner") c.owner(at, CPUS[cpu]!, INTO[cpu]!);
  else inTurns((turn) => c.poster(at, CPUS[cpu]!, first, count, turn));
} else {
  const file = InterruptFile.open(memory, at, { fastPath: language });
  if (role === "owner") own(file);
  else inTurns((turn) => post(file, turn));
}

function own(file: InterruptFile): void {
  const into = new Uint32Array(8);
  for (;;) {
    if (file.harvest(into)) {
      for (let id = 0; id < 256; id++) {
        if (((into[id >>> 5]! >>> (id & 31)) & 1) === 0) continue;
        words[start + TAKEN]! += 1;
        Atomics.store(words, start + SEEN + id, Atomics.load(words, start + id));
        Atomics.notify(words, start + SEEN + id);
      }
      into.fill(0);
    } else if (Atomics.load(words, start + STOP)) {
      return;
    } else if (file.block() === "interrupt") {
      words[start + SLEPT]! += 1;
    }
  }
}

function post(file: InterruptFile, turn: number): void {
  for (let i = 0; i < turn; i++) {
    const id = first + (i % count);
    Atomics.add(words, start + id, 1);
    file.post(id);
  }
}

/** After each turn until the last post was seen, so that the owner goes to sleep, and every wake-up counts. */
function inTurns(post: (turn: number) => void): void {
  for (let left = posts; left > 0; left -= pace) {
    const turn = Math.min(left, pace);
    post(turn);
    const id = start + first + ((turn - 1) % count);
    const last = Atomics.load(words, id); // this thread's, or a later one
    const word = id + SEEN;
    for (let seen = Atomics.load(words, word); seen < last; seen = Atomics.load(words, word))
      Atomics.wait(words, word, seen, 1);
  }
}
