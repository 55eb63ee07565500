// The same in a page: its main thread may not block, and does not. `bytes` are those of the kernel.
import { run } from "./machine.mjs";

export default function ({ bytes, packets, library }) {
  return run({ bytes: new Uint8Array(bytes), packets, start, library });
}

/** Starts worker.mjs, and sends it its data as soon as it listens. */
function start(data) {
  const worker = new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
  const finished = new Promise((resolve, reject) => {
    worker.addEventListener("error", (event) => reject(new Error(event.message)));
    worker.addEventListener("message", ({ data: said }) =>
      said === "ready" ? worker.postMessage(data) : resolve(),
    );
  });
  return { finished, terminate: () => worker.terminate() };
}
