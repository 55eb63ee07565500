// Interrupts of a v86 machine, posted and by message, busy and idle, in one run: the same in Node and in a page.
import { run } from "../../packages/irqbypass/examples/v86/machine.mjs";
import { machineByMessage } from "./by-message.mjs";

const node = globalThis.process?.versions?.node !== undefined;
const { Worker } = node ? await import("node:worker_threads") : globalThis;
const EXAMPLE = new URL("../../packages/irqbypass/examples/v86/device.mjs", import.meta.url);
const BY_MESSAGE = new URL("./message-device.mjs", import.meta.url);
/** What the two devices of the example raise: a vector, and a line for the second. */
const RAISES = [[0x41], [0x2e, 14]];

/** In a page `v86` is where v86's build folder is; in Node V86 and wasm are given. Rows of { busy, posted, message }, in us. */
export default async function compare({ v86, V86, wasm, library, interrupts }) {
  V86 ??= (await import(`${v86}/libv86.mjs`)).V86;
  wasm ??= await (await fetch(`${v86}/v86.wasm`)).arrayBuffer();
  const common = { V86, wasm, library, interrupts };
  const rows = [];
  for (const busy of [true, false]) {
    const posted = await run({ ...common, busy, start: (data) => start(EXAMPLE, data) });
    const { create, raise } = machineByMessage();
    const messages = (data) => start(BY_MESSAGE, data, ({ device }) => raise(...RAISES[device]));
    const message = await run({ ...common, busy, start: messages, create });
    rows.push({ busy, posted: posted.medianUs, message: message.medianUs });
  }
  return rows;
}

/** Starts a worker with its data; resolves with the number that it says, and hands on what else it says. */
function start(url, data, said = () => {}) {
  const worker = new Worker(url, { type: "module" });
  if (node) worker.postMessage(data);
  return new Promise((resolve, reject) => {
    const hear = (message) => {
      if (typeof message === "number") {
        resolve(message);
        if (!node) worker.terminate();
      } else if (message === "ready") worker.postMessage(data);
      else said(message);
    };
    if (node) worker.on("message", hear).on("error", reject);
    else {
      worker.onmessage = (event) => hear(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
    }
  });
}
