// The machine around the kernel: a worker for each CPU, one for the timer, one for the device. The same in Node and in a page, whose
// main thread may not block, and does not.

const node = globalThis.process?.versions?.node !== undefined;
const { Worker } = node ? await import("node:worker_threads") : globalThis;
const CPUS = 2;
const STACK = 16384;

/**
 * Runs the kernel, whose WebAssembly is `bytes`, until it has finished so many packets, and says what each CPU did. `library` is
 * from where a worker imports irqbypass.
 */
export async function run({ bytes, packets, library = "irqbypass" }) {
  const module = await WebAssembly.compile(bytes);
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const kernel = new WebAssembly.Instance(module, imports(memory)).exports;
  kernel.boot();
  const files = Array.from({ length: CPUS }, (_, cpu) => kernel.file_of(cpu));
  const shared = kernel.shared_words();
  const common = { module, memory, files, shared, library };
  // The stacks are at the end of the memory, far behind the kernel's data.
  const stacks = files.map((_, cpu) => memory.buffer.byteLength - cpu * STACK);
  const cpus = files.map((_, cpu) => start({ ...common, role: "cpu", cpu, stack: stacks[cpu] }));
  const timer = start({ ...common, role: "timer" });
  const words = new Int32Array(memory.buffer, shared, 3 + 5 * CPUS);
  const ticked = async () => {
    while (files.some((_, cpu) => words[3 + 5 * cpu] === 0)) await new Promise((go) => setTimeout(go, 1));
  };
  // The device comes last, so that all are there for its packets; whoever ends before that has failed.
  await Promise.race([ticked(), ...[...cpus, timer].map(({ finished }) => finished)]);
  const device = start({ ...common, role: "device", packets });
  await device.finished;
  const { InterruptFile } = await import(library);
  Atomics.store(words, 0, 1);
  for (const byteOffset of files) InterruptFile.open(memory, byteOffset).kick();
  await Promise.all([...cpus, timer].map(({ finished }) => finished));
  for (const worker of [...cpus, timer, device]) await worker.terminate();
  const counts = (cpu) => {
    const [ticks, packets, ipis, slept, deadlines] = words.slice(3 + 5 * cpu);
    return { ticks, packets, ipis, slept, deadlines };
  };
  return { sent: words[1], done: words[2], cpus: files.map((_, cpu) => counts(cpu)) };
}

/** Starts worker.mjs, and sends it its data as soon as it listens. */
function start(data) {
  const worker = new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
  const listen = (name, then) => (node ? worker.on(name, then) : worker.addEventListener(name, then));
  const finished = new Promise((resolve, reject) => {
    listen("error", (event) => reject(node ? event : new Error(event.message)));
    listen("message", (event) =>
      (node ? event : event.data) === "ready" ? worker.postMessage(data) : resolve(),
    );
  });
  return { finished, terminate: () => worker.terminate() };
}

/** What the kernel imports: its memory, and the time. */
export function imports(memory) {
  return { env: { memory }, host: { now_ns: () => BigInt(Math.round(performance.now() * 1e6)) } };
}
