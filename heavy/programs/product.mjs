// All that a page does with the library. In whatever bundle it comes, it answers the same.
import { Epoll, Eventfd, Host, InterruptFile, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { spawn, startWorker } from "./workers.mjs";

const GSI = 24;
const VECTOR = 0x41;
const LIMIT = { timeoutMs: 30_000 };

const create = (options = {}) => Host.create({ ...options, ...(spawn === undefined ? {} : { spawn }) });

/** Has a worker do a job on a host. */
async function start(host, name, job, given) {
  const worker = startWorker();
  const said = [];
  let wake = () => {};
  worker.addEventListener("message", ({ data }) => {
    said.push(data);
    wake();
  });
  worker.addEventListener("error", ({ message }) => {
    said.push({ error: message ?? "could not be loaded" });
    wake();
  });
  const next = async () => {
    while (said.length === 0)
      await new Promise((resolve) => {
        wake = resolve;
      });
    const message = said.shift();
    if (message.error !== undefined) throw new Error(`${name}: ${message.error}`);
    return message;
  };
  worker.postMessage({ host: host.handle, name, job, given });
  await next();
  return { worker, result: async () => (await next()).result };
}

/** A guest with one interrupt of a device, both in this thread. */
function guest(host) {
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: VECTOR } }]);
  const eventfd = Eventfd.create(host);
  const irqfd = vm.irqfd(eventfd, GSI);
  const nic = new VfioPciDevice(host, { msix: 1 });
  nic.setTrigger("msix", 0, eventfd);
  return { vm, eventfd, irqfd, signal: () => nic.vector("msix", 0).signal(), nic };
}

function end(host, { vm, eventfd, nic }) {
  nic.dispose();
  vm.dispose();
  eventfd.close();
  const { findings } = host.audit();
  host.dispose();
  return findings;
}

const PARTS = {
  /** Each path, with each way in which this thread and a worker wait for a vCPU. */
  async paths() {
    const host = create();
    const made = guest(host);
    const seen = [];
    for (const bypass of [true, false]) {
      host.bypass = bypass;
      const waits = await start(host, "vcpu", "wait", made.vm.vcpu(0).handle);
      made.signal();
      seen.push(`${made.irqfd.path}: worker ${await waits.result()}`);
      const vcpu = Vcpu.open(host, made.vm.vcpu(0).handle);
      const woken = vcpu.waitAsync(LIMIT);
      made.signal();
      seen.push(`${made.irqfd.path}: page ${await woken} ${vcpu.acknowledge()}`);
      vcpu.eoi();
      const called = new Promise((resolve) => {
        if (!vcpu.arm(resolve)) throw new Error("it was pending already");
      });
      made.signal();
      await called;
      seen.push(`${made.irqfd.path}: armed ${vcpu.acknowledge()}`);
      vcpu.eoi();
      vcpu.put();
    }
    host.bypass = true;
    return { seen, fastPath: host.fastPath, findings: end(host, made) };
  },

  /** Every other way of waiting: each in a worker by the form that blocks, and here by the other. */
  async waits() {
    const host = create();
    const eventfd = Eventfd.create(host);
    const epoll = Epoll.create(host);
    epoll.add(eventfd, { data: 7 });
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const file = InterruptFile.create(memory, 64);
    const seen = {};
    const reads = await start(host, "reader", "read", eventfd.handle);
    eventfd.write(3);
    seen.read = await reads.result();
    const readAsync = eventfd.readAsync(LIMIT);
    eventfd.write(4);
    seen.readAsync = Number(await readAsync);
    const polls = await start(host, "poller", "epoll", epoll.handle);
    eventfd.write();
    seen.epoll = await polls.result();
    eventfd.tryRead();
    const pollAsync = epoll.waitAsync(LIMIT);
    eventfd.write();
    seen.epollAsync = await pollAsync;
    const blocks = await start(host, "cpu", "block", { memory, byteOffset: 64 });
    file.post(3);
    seen.block = await blocks.result();
    file.harvest(new Uint32Array(8));
    const blockAsync = file.blockAsync(LIMIT);
    file.post(4);
    seen.blockAsync = await blockAsync;
    epoll.close();
    eventfd.close();
    const { findings } = host.audit();
    host.dispose();
    return { seen, findings };
  },

  /** A worker is ended in the middle of a storm: its end proves itself, and everybody else goes on. */
  async death() {
    const host = create({ name: "page" });
    const vm = new Vm(host);
    vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: VECTOR } }]);
    const eventfd = Eventfd.create(host);
    const irqfd = vm.irqfd(eventfd, GSI);
    const device = await start(host, "device", "storm", eventfd.handle);
    const proofOf = () => host.threads().find(({ name }) => name === "device")?.proof;
    await until(() => proofOf() === "lock" && host.threads().some(({ name }) => name === "relay"));
    const { id } = host.threads().find(({ name }) => name === "device");
    const path = await irqfd.bypassed(LIMIT);
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    await vcpu.waitAsync(LIMIT);
    vcpu.acknowledge();
    vcpu.eoi();
    await vcpu.waitAsync(LIMIT); // and another, which nobody takes until the end
    device.worker.terminate();
    const refused = refusal(() => host.threadLost(id)); // it may run for seconds yet
    const reason = await irqfd.relayed(LIMIT);
    await until(() => proofOf() === undefined);
    vcpu.wait({ timeoutMs: 0 });
    const vector = vcpu.acknowledge();
    vcpu.put();
    irqfd.dispose();
    vm.dispose();
    eventfd.close();
    const { findings } = host.audit();
    const threads = host.threads().map(({ name }) => name);
    host.dispose();
    return { path, refused, reason, vector, threads, findings };
  },

  /** A worker that blocks is ended. */
  async blocked() {
    const host = create({ name: "page" });
    const vm = new Vm(host);
    const vcpu = await start(host, "vcpu", "hold", vm.vcpu(0).handle);
    const found = () => host.threads().find(({ name }) => name === "vcpu");
    await until(() => found().proof === "lock" && found().waitsFor !== undefined);
    const { has, waitsFor } = found();
    vcpu.worker.terminate();
    await until(() => found() === undefined);
    vm.dispose();
    const { findings } = host.audit();
    host.dispose();
    return { has, waitsFor, findings };
  },

  /**
   * One that blocked as soon as it had attached. Its lock was asked for, and is looked up where the browser has heard of that;
   * where it has not, nothing proves the end, and this page says it when it knows it: Chromium ends a worker within two seconds.
   */
  async atOnce() {
    const host = create({ name: "page" });
    const vm = new Vm(host);
    const vcpu = await start(host, "vcpu", "holdAtOnce", vm.vcpu(0).handle);
    const found = () => host.threads().find(({ name }) => name === "vcpu");
    await pause(2500);
    const { id, proof } = found();
    const before = refusal(() => vm.dispose());
    vcpu.worker.terminate();
    if (proof === "none") {
      await pause(3000);
      host.threadLost(id);
    }
    await until(() => found() === undefined);
    vm.dispose();
    const { findings } = host.audit();
    host.dispose();
    return { proof, before, findings };
  },

  /** Two hosts in one page know nothing of each other. */
  async two() {
    const hosts = [create(), create()];
    const guests = hosts.map(guest);
    const seen = [];
    for (const [number, made] of guests.entries()) {
      const vcpu = Vcpu.open(hosts[number], made.vm.vcpu(0).handle);
      const others = Vcpu.open(hosts[1 - number], guests[1 - number].vm.vcpu(0).handle);
      const woken = vcpu.waitAsync(LIMIT);
      made.signal();
      seen.push(`${await woken} ${vcpu.acknowledge()} ${others.wait({ timeoutMs: 0 })}`);
      vcpu.eoi();
      for (const one of [vcpu, others]) one.put();
    }
    return { seen, findings: hosts.flatMap((host, number) => end(host, guests[number])) };
  },

  /** A relay that cannot run: its irqfd says so, and the console's reader what to do. */
  async relay() {
    const host = create();
    const vm = new Vm(host);
    const irqfd = vm.irqfd(Eventfd.create(host), GSI);
    await pause(500);
    return irqfd.reason;
  },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(settled) {
  const deadline = performance.now() + LIMIT.timeoutMs; // against a hang
  while (!settled()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${settled}`);
    await pause(5);
  }
}

function refusal(call) {
  try {
    return `${call()}`;
  } catch (error) {
    return error.code;
  }
}

globalThis.program = async (parts) => {
  const said = {};
  for (const part of parts) said[part] = await PARTS[part]();
  return said;
};
