// The worker with both devices of the example, as it is without irqbypass: each interrupt is a message.
const node = globalThis.process?.versions?.node !== undefined;
const port = node ? (await import("node:worker_threads")).parentPort : globalThis;

port[node ? "once" : "addEventListener"]("message", (message) => {
  const { done, interrupts } = node ? message : message.data;
  const times = [];
  for (let sent = 0; sent < interrupts; sent++) {
    Atomics.wait(done, 0, sent, 3);
    const before = performance.now();
    port.postMessage({ device: sent % 2 });
    while (Atomics.load(done, 0) === sent) Atomics.wait(done, 0, sent);
    times.push(1000 * (performance.now() - before));
  }
  port.postMessage(times.sort((a, b) => a - b)[interrupts >> 1]);
});
if (!node) port.postMessage("ready");
