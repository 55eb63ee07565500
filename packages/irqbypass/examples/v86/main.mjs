// A v86 machine in Node, busy and then idle, with its devices in a worker: node main.mjs [interrupts] [the folder of v86]
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { run } from "./machine.mjs";

const [interrupts = 500, folder] = process.argv.slice(2);
const build =
  folder === undefined ? import.meta.resolve("v86") : pathToFileURL(`${folder}/build/libv86.mjs`).href;
const { V86 } = await import(build);
const wasm = readFileSync(new URL("v86.wasm", build));

/** Starts device.mjs with its data; resolves with what it says. */
function start(data) {
  const worker = new Worker(new URL("./device.mjs", import.meta.url));
  worker.postMessage(data);
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

for (const busy of [true, false])
  console.log(
    JSON.stringify(
      await run({ V86, wasm, library: "irqbypass", start, busy, interrupts: Number(interrupts) }),
    ),
  );
