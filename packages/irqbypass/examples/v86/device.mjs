// The worker with both devices: signals one after the other, each when the guest has taken the one before.
const node = globalThis.process?.versions?.node !== undefined;
const port = node ? (await import("node:worker_threads")).parentPort : globalThis;

port[node ? "once" : "addEventListener"]("message", async (message) => {
  port.postMessage(await drive(node ? message : message.data));
});
if (!node) port.postMessage("ready");

async function drive({ library, host: handle, eventfds, done, interrupts }) {
  const { Eventfd, Host, Producer } = await import(library);
  const host = Host.attach(handle);
  const devices = eventfds.map((handle) => {
    const eventfd = Eventfd.open(host, handle);
    const producer = Producer.create(host);
    producer.register(eventfd);
    return { eventfd, producer };
  });
  const times = [];
  for (let sent = 0; sent < interrupts; sent++) {
    Atomics.wait(done, 0, sent, 3); // long enough for the guest to halt, or to be in the middle of its work
    const before = performance.now();
    devices[sent % devices.length].producer.signal();
    while (Atomics.load(done, 0) === sent) Atomics.wait(done, 0, sent);
    times.push(1000 * (performance.now() - before));
  }
  for (const { eventfd, producer } of devices) {
    producer.dispose();
    eventfd.close();
  }
  host.dispose();
  return times.sort((a, b) => a - b)[interrupts >> 1];
}
