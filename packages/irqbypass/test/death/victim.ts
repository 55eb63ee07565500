/** A thread that does everything at random until it is ended: by whoever started it, or by itself. */
import { parentPort, workerData } from "node:worker_threads";
import { Epoll, Eventfd, Host, IrqBypassError, Producer, Vcpu, Vm } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { type Random, random } from "./random.js";
import type { VictimWork } from "./work.js";

const work = workerData as VictimWork;
const host = Host.attach(work.host, { kinds: work.real ? [linux()] : [] });
const vm = Vm.open(host, work.vm);
const pick = random(work.seed);
const GSI = 24;

/** What the operations meet that others have, or have not any more. */
const EXPECTED = new Set([
  "EBUSY",
  "EEXIST",
  "ENOENT",
  "ENOMEM",
  "ESTALE",
  "EINVAL",
  "EBADF",
  "ETIMEDOUT",
  "EMFILE",
  "EAGAIN",
]);

const create = () =>
  work.real && pick(2) === 0 ? LinuxEventfd.create(host) : Eventfd.create(host, { initial: pick(2) });

const operations: readonly ((pick: Random) => void)[] = [
  function interrupt() {
    const eventfd = create();
    const producer = Producer.create(host);
    const [first, second] = pick(2) === 0 ? [0, 1] : [1, 0];
    const steps = [() => producer.register(eventfd, 7), () => vm.irqfd(eventfd, GSI + pick(3))];
    steps[first]!();
    steps[second]!();
    for (let signals = pick(20); signals > 0; signals--) producer.signal();
    if (pick(2) === 0) vm.deassign(eventfd, GSI);
    producer.dispose();
    eventfd.close();
  },
  function relayed() {
    const eventfd = create();
    const irqfd = vm.irqfd(eventfd, GSI + pick(3), { bypass: "off" });
    for (let writes = pick(8); writes > 0; writes--) eventfd.write(pick(3));
    irqfd.dispose();
    eventfd.close();
  },
  function shared() {
    const eventfd = Eventfd.open(host, work.eventfds[pick(work.eventfds.length)]!);
    if (pick(2) === 0) eventfd.write();
    else eventfd.tryRead();
    vm.irqfd(eventfd, GSI + pick(3)).dispose();
    eventfd.close();
  },
  function route() {
    const vcpu = pick(2);
    vm.setGsiRouting([
      { gsi: GSI, msi: { vcpu, vector: 0x50 + pick(4) } },
      { gsi: GSI + 1, msi: { vcpu: 1 - vcpu, vector: 0x60 } },
      { gsi: GSI + 2, irqchip: { chip: "ioapic", pin: 4 } },
      { gsi: 10, msi: { vcpu: 2, vector: 0x41 } }, // that of the device whose signals are counted
    ]);
  },
  function machine() {
    const own = new Vm(host, { vcpus: 1 + pick(3) });
    own.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: 0x70 } }]);
    const eventfd = create();
    own.irqfd(eventfd, 1);
    own.dispose();
    eventfd.close();
  },
  function run() {
    const vcpu = Vcpu.open(host, vm.vcpu(pick(2)).handle);
    for (let turns = pick(6); turns > 0; turns--) {
      if (vcpu.wait({ timeoutMs: 1 }) !== "interrupt") continue;
      while (vcpu.acknowledge() !== undefined) vcpu.eoi();
    }
    vcpu.put();
  },
  function read() {
    const eventfd = Eventfd.open(host, work.eventfds[pick(work.eventfds.length)]!);
    try {
      eventfd.read({ timeoutMs: 2 });
    } finally {
      eventfd.close();
    }
  },
  function doorbell() {
    const eventfd = create();
    const options = { address: 0xfe000000 + 4 * pick(4), length: 4 } as const;
    try {
      const mine = vm.ioeventfd(options, eventfd); // another victim may have one there
      for (let stores = pick(20); stores > 0; stores--) vm.write("mmio", 0xfe000000 + 4 * pick(4), 4, stores);
      if (pick(2) === 0) vm.deassignIoeventfd(options, eventfd);
      else eventfd.close(); // it goes on taking stores
      mine.dispose();
    } finally {
      eventfd.close();
    }
  },
  function epoll() {
    const eventfd = Eventfd.open(host, work.eventfds[pick(work.eventfds.length)]!);
    const own = create();
    const waits = Epoll.create(host);
    waits.add(eventfd, { edge: pick(2) === 0 });
    waits.add(own);
    if (pick(2) === 0) own.write();
    else eventfd.write();
    waits.wait({ timeoutMs: 1 });
    if (pick(2) === 0) waits.remove(eventfd);
    const ends = [own, waits, eventfd];
    const first = pick(3);
    for (let step = 0; step < 3; step++) ends[(first + step) % 3]!.close();
  },
  function line() {
    vm.setIrqLine(GSI + 2, pick(2) === 1);
  },
];

parentPort?.postMessage("ready");
for (let turns = 0; ; turns++) {
  if (turns === work.turns) {
    if (work.end === "exit") process.exit(3);
    throw new Error("the victim ends itself");
  }
  try {
    operations[pick(operations.length)]!(pick);
  } catch (error) {
    if (!(error instanceof IrqBypassError) || !EXPECTED.has(error.code)) throw error;
  }
}
