// The example in a page, on its main thread, which may not block, and does not.
import { run } from "../../packages/irqbypass/examples/v86/machine.mjs";

/** `v86` is where v86's build folder is. */
export default async function ({ v86, library, busy, interrupts }) {
  const { V86 } = await import(`${v86}/libv86.mjs`);
  const wasm = await (await fetch(`${v86}/v86.wasm`)).arrayBuffer();
  return run({ V86, wasm, library, start, busy, interrupts });
}

/** Starts device.mjs, and sends it its data as soon as it listens. */
function start(data) {
  const worker = new Worker(new URL("../../packages/irqbypass/examples/v86/device.mjs", import.meta.url), {
    type: "module",
  });
  return new Promise((resolve, reject) => {
    worker.addEventListener("error", (event) => reject(new Error(event.message)));
    worker.addEventListener("message", ({ data: said }) =>
      said === "ready" ? worker.postMessage(data) : resolve(said),
    );
  });
}
