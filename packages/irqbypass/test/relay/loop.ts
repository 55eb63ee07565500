/**
 * A process of its own, whose main thread creates a host and then never returns to its event loop: it waits as its arguments say
 * while others need a relay. Prints how many interrupts of how many came.
 */
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { Epoll, Eventfd, type EventfdContext, Host, type HostHandle, Producer, Vcpu, Vm } from "irqbypass";
import { EventfdFile, LinuxEventfd, linux, loadFfi } from "irqbypass/linux";
import { PATIENCE_MS } from "../support/worker.js";

/** How the main thread spends its time: in waits of the library, or in calls that never wait. */
type Loop =
  | "Vcpu.wait"
  | "Eventfd.read"
  | "LinuxEventfd.read"
  | "LinuxEventfd.write"
  | "Vcpu.acknowledge"
  | "Vcpu.pending"
  | "Eventfd.tryRead"
  | "LinuxEventfd.tryRead"
  | "Epoll.tryWait"
  | "Producer.create";

const INTERRUPTS = 20;
const GSI = 24;
const FULL = 2n ** 64n - 2n;

interface Work {
  readonly part: "device" | "guest";
  readonly host: HostHandle;
  readonly vm: number;
  readonly vcpu: number;
  readonly source: number;
  readonly isLinux: boolean;
  readonly assigns: boolean;
  readonly loop: Loop;
  /** What the guest tells the main thread by, for loops that wait for that. */
  readonly done: number;
  /** How many interrupts were handled. */
  readonly handled: SharedArrayBuffer;
}

const open = (host: Host, handle: number, isLinux: boolean): EventfdContext =>
  isLinux ? LinuxEventfd.open(host, handle) : Eventfd.open(host, handle);

/** Writes once, and again when that was handled. */
function device(host: Host, { vm, source, isLinux, assigns, handled }: Work): void {
  const eventfd = open(host, source, isLinux);
  if (assigns) Vm.open(host, vm).irqfd(eventfd, GSI);
  const words = new Int32Array(handled);
  for (let sent = 0; sent < INTERRUPTS; sent++) {
    eventfd.write();
    while (Atomics.load(words, 0) === sent) Atomics.wait(words, 0, sent, PATIENCE_MS);
  }
  Atomics.wait(words, 0, INTERRUPTS); // who ends gives its irqfd back, which is not the matter here
}

/** Handles the interrupts, where the main thread waits for something else. */
function guest(host: Host, work: Work): void {
  const vcpu = Vcpu.open(host, work.vcpu);
  const words = new Int32Array(work.handled);
  const done = open(host, work.done, work.loop.startsWith("Linux"));
  // A LinuxEventfd does not read one that blocks.
  const file = done instanceof LinuxEventfd ? EventfdFile.dup(loadFfi(), done.fd) : undefined;
  for (;;) {
    vcpu.wait();
    while (vcpu.acknowledge() !== undefined) vcpu.eoi();
    Atomics.add(words, 0, 1);
    Atomics.notify(words, 0);
    if (work.loop === "LinuxEventfd.write") file?.read();
    else done.write();
  }
}

/** A turn of each loop; whether there may be something to acknowledge after it. */
function turns(
  host: Host,
  done: EventfdContext,
  vcpu: Vcpu | undefined,
): Readonly<Record<Loop, () => boolean>> {
  let epoll: Epoll | undefined;
  const watching = () => {
    if (epoll !== undefined) return epoll;
    epoll = Epoll.create(host);
    epoll.add(done);
    return epoll;
  };
  const always = (call: () => unknown) => () => {
    call();
    return true;
  };
  return {
    "Vcpu.wait": always(() => vcpu!.wait({ timeoutMs: PATIENCE_MS })),
    "Vcpu.acknowledge": always(() => {}),
    "Vcpu.pending": () => vcpu!.pending(),
    "Eventfd.read": always(() => done.read({ timeoutMs: PATIENCE_MS })),
    "LinuxEventfd.read": always(() => done.read({ timeoutMs: PATIENCE_MS })),
    "LinuxEventfd.write": always(() => done.write()),
    "Eventfd.tryRead": always(() => done.tryRead()),
    "LinuxEventfd.tryRead": always(() => done.tryRead()),
    "Epoll.tryWait": always(() => watching().tryWait()),
    "Producer.create": always(() => Producer.create(host).dispose()),
  };
}

function main([loop, kind, asker]: readonly string[]): void {
  const host = Host.create({ kinds: [linux()] });
  const isLinux = kind === "linux";
  const make = (): EventfdContext => (isLinux ? LinuxEventfd.create(host) : Eventfd.create(host));
  const vm = new Vm(host);
  vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: 0x41 } }]);
  const source = make();
  const writes = loop === "LinuxEventfd.write";
  const done =
    loop?.startsWith("Linux") === true
      ? LinuxEventfd.create(host, { semaphore: writes, nonblocking: !writes })
      : Eventfd.create(host);
  if (writes) done.write(FULL);
  const handled = new SharedArrayBuffer(4);
  const words = new Int32Array(handled);
  const work: Omit<Work, "part"> = {
    host: host.handle,
    vm: vm.handle,
    vcpu: vm.vcpu(0).handle,
    source: source.handle,
    isLinux,
    assigns: asker === "another thread",
    loop: loop as Loop,
    done: done.handle,
    handled,
  };
  if (!work.assigns) vm.irqfd(source, GSI);
  const start = (part: Work["part"]) =>
    new Worker(new URL(import.meta.url), { workerData: { ...work, part } satisfies Work });
  start("device");
  const vcpu = loop?.startsWith("Vcpu") === true ? Vcpu.open(host, work.vcpu) : undefined;
  if (vcpu === undefined) start("guest");
  const turn = turns(host, done, vcpu)[work.loop];
  const deadline = Date.now() + PATIENCE_MS;
  let came = 0;
  while (came < INTERRUPTS && Date.now() < deadline) {
    if (turn() && vcpu !== undefined) {
      while (vcpu.acknowledge() !== undefined) {
        vcpu.eoi();
        Atomics.add(words, 0, 1);
        Atomics.notify(words, 0);
      }
    }
    came = Atomics.load(words, 0);
  }
  process.stdout.write(`${came} of ${INTERRUPTS}`);
  process.exit(0);
}

if (isMainThread) main(process.argv.slice(2));
else {
  const work = workerData as Work;
  const host = Host.attach(work.host, { kinds: [linux()] });
  if (work.part === "device") device(host, work);
  else guest(host, work);
}
