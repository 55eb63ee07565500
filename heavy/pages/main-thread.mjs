// What a page's main thread may not do, and the form of each call that works there.
import {
  Epoll,
  Eventfd,
  Host,
  InterruptFile,
  Producer,
  Vcpu,
  VfioPciDevice,
  Vm,
} from "../../packages/irqbypass/build/src/index.js";

const HOST_MUTEX = 32; // Header.mutex: the word of the host's mutex
const SOMEBODY = 2 << 1; // the lock id of a thread that has it
const LIMIT = { timeoutMs: 10_000 };

export default async function main({ what }) {
  const host = Host.create({ name: "page", spawn: () => ({ postMessage() {}, addEventListener() {} }) });
  Host.attach(host.handle); // the thread whose mutex it is: the second of this host
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  const epoll = Epoll.create(host);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const file = InterruptFile.create(memory, 64);
  const made = { host, vm, eventfd, epoll, vcpu, file };
  return { waits, busy, missing }[what](made);
}

/** Each wait that would block, and its other form. */
async function waits({ eventfd, epoll, vcpu, file }) {
  const blocking = {
    "vcpu.wait": () => vcpu.wait(),
    "eventfd.read": () => eventfd.read(),
    "epoll.wait": () => epoll.wait(),
    "file.block": () => file.block(),
    "file.imports": () => file.imports().interrupt_file.block(64, -1n),
  };
  const said = Object.fromEntries(Object.entries(blocking).map(([name, call]) => [name, refusal(call)]));
  const looks = [
    vcpu.wait({ timeoutMs: 0 }),
    eventfd.read({ timeoutMs: 0 }),
    epoll.wait({ timeoutMs: 0 }),
    file.block({ timeoutMs: 0 }),
  ];
  const limit = { timeoutMs: 5 };
  const others = [
    await vcpu.waitAsync(limit),
    await eventfd.readAsync(limit),
    await epoll.waitAsync(limit),
    await file.blockAsync(limit),
  ];
  return { said, looks, others };
}

/** Calls that take a mutex, while somebody has it: refused, and then made when it is given back. */
async function busy({ host, vm, eventfd, epoll }) {
  const calls = {
    "Eventfd.create": () => Eventfd.create(host),
    "Eventfd.open": () => Eventfd.open(host, eventfd.handle),
    "Epoll.create": () => Epoll.create(host),
    "epoll.add": () => epoll.add(eventfd),
    "Producer.create": () => Producer.create(host),
    "new Vm": () => new Vm(host),
    "Vm.open": () => Vm.open(host, vm.handle),
    "new VfioPciDevice": () => new VfioPciDevice(host, { msix: 1 }),
    "vm.irqfd": () => vm.irqfd(eventfd, 24),
    "vm.setGsiRouting": () => vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x42 } }]),
    "host.interrupts": () => host.interrupts(),
    "host.threads": () => host.threads(),
    "host.bypass": () => {
      host.bypass = true;
    },
  };
  const said = {};
  for (const [name, call] of Object.entries(calls)) {
    host.words.store(HOST_MUTEX, SOMEBODY);
    const first = refusal(call);
    const later = host.whenFree(call, LIMIT);
    host.words.store(HOST_MUTEX, 0);
    await later;
    said[name] = first;
  }
  return { said, findings: host.audit().findings };
}

/** Where there is no Atomics.waitAsync: each wait says so, and nothing else is an error. */
async function missing({ eventfd, epoll, vcpu, file }) {
  const { waitAsync } = Atomics;
  delete Atomics.waitAsync;
  try {
    const host = Host.create(); // a whole one, with its relay's keeper
    const said = {
      "vcpu.waitAsync": await rejection(() => vcpu.waitAsync()),
      "vcpu.arm": refusal(() => vcpu.arm(() => {})),
      "eventfd.readAsync": await rejection(() => eventfd.readAsync()),
      "epoll.waitAsync": await rejection(() => epoll.waitAsync()),
      "file.blockAsync": await rejection(() => file.blockAsync()),
    };
    const looked = await eventfd.readAsync({ timeoutMs: 0 });
    host.dispose();
    return { said, looked };
  } finally {
    Atomics.waitAsync = waitAsync;
  }
}

function refusal(call) {
  try {
    call();
    return "nothing";
  } catch (error) {
    return String(error.message);
  }
}

const rejection = (call) =>
  call().then(
    () => "nothing",
    (error) => String(error.message),
  );
