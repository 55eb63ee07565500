// Compiles the kernel with clang and runs it in Node's workers: node main.mjs [packets]
import { Worker } from "node:worker_threads";
import { build } from "./build.mjs";
import { run } from "./machine.mjs";

/** Starts worker.mjs with its data. */
function start(data) {
  const worker = new Worker(new URL("./worker.mjs", import.meta.url));
  worker.postMessage(data);
  const finished = new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { finished, terminate: () => worker.terminate() };
}

const packets = Number(process.argv[2] ?? 10_000);
console.log(JSON.stringify(await run({ bytes: build(), packets, start, library: "irqbypass" })));
