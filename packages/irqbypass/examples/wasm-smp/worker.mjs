// One worker of the machine: a CPU, the timer or the device, by the message that it gets.
import { imports } from "./machine.mjs";

const node = globalThis.process?.versions?.node !== undefined;
const port = node ? (await import("node:worker_threads")).parentPort : globalThis;
const roles = { cpu, timer, device };

port[node ? "once" : "addEventListener"]("message", async (message) => {
  const data = node ? message : message.data;
  const { InterruptFile } = await import(data.library);
  await roles[data.role](data, InterruptFile);
  port.postMessage("finished");
});
port.postMessage("ready");

/** The kernel's own code, on a stack of its own. It runs until the kernel stops: a CPU needs no event loop. */
function cpu({ module, memory, cpu, stack }) {
  const kernel = new WebAssembly.Instance(module, imports(memory)).exports;
  kernel.__stack_pointer.value = stack;
  kernel.run(cpu);
}

/** A tick for each CPU, about every millisecond. */
function timer({ memory, files, shared }, InterruptFile) {
  const cpus = files.map((byteOffset) => InterruptFile.open(memory, byteOffset));
  const stop = new Int32Array(memory.buffer, shared, 1);
  while (Atomics.wait(stop, 0, 0, 1) === "timed-out") for (const one of cpus) if (stop[0] === 0) one.post(0);
}

/** Puts packets into the ring and raises its interrupt; now and then it waits until all are done, so that the CPUs sleep. */
function device({ memory, files, shared, packets }, InterruptFile) {
  const [words, file] = [new Int32Array(memory.buffer, shared, 3), InterruptFile.open(memory, files[0])];
  for (let sent = 1; sent <= packets; sent++) {
    Atomics.add(words, 1, 1);
    file.post(33);
    if (sent % 100 !== 0 && sent !== packets) continue;
    for (let done = Atomics.load(words, 2); done < sent; done = Atomics.load(words, 2))
      Atomics.wait(words, 2, done);
  }
}
