// A worker of the v86 tests, started in Node and in a page alike.
const node = globalThis.process?.versions?.node !== undefined;
const { Worker } = node ? await import("node:worker_threads") : globalThis;

const EXAMPLE = new URL("../../packages/irqbypass/examples/v86/device.mjs", import.meta.url);

/** Starts the worker with both devices of the example. */
export const startExample = (data) => start(EXAMPLE, data);

/** Starts a worker with its data; resolves with the number that it says, and hands on what else it says. */
export function start(url, data, said = () => {}) {
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
