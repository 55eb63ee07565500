import { Epoll, Eventfd, Host, InterruptFile, Vcpu, Vm } from "irqbypass";
import { type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measure, timed } from "../harness/timing.js";

const CALLS = 1000;
const VECTOR = 0x41;
const NOW = { timeoutMs: 0 };

/** A vCPU and an eventfd for which nothing has come. */
function quiet() {
  const host = Host.create();
  const vm = new Vm(host);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const eventfd = Eventfd.create(host);
  const epoll = Epoll.create(host);
  epoll.add(eventfd);
  return { host, vcpu, eventfd, epoll };
}

/** Rounds of one call, which finds what `make` has left there. */
const calls =
  (make: (made: ReturnType<typeof quiet>) => () => unknown): Prepare =>
  (parameters) => {
    const call = make(quiet());
    const many = timed(() => {
      for (let i = 0; i < CALLS; i++) call();
    });
    return () => ({ values: { call: measure(roundMs(parameters), CALLS, many)[0]! } });
  };

/** The trial's contestants, the yardstick first. */
const CONTESTANTS = {
  "a bare load": () => {
    const words = new Int32Array(new SharedArrayBuffer(64));
    return () => Atomics.load(words, 0);
  },
  "vcpu.hasInterrupt(), nothing there":
    ({ vcpu }) =>
    () =>
      vcpu.hasInterrupt(),
  "vcpu.hasInterrupt(), one posted": ({ host, vcpu }) => {
    InterruptFile.open(host.handle.memory, vcpu.fileAddress).post(VECTOR);
    return () => vcpu.hasInterrupt();
  },
  "vcpu.wait() of 0":
    ({ vcpu }) =>
    () =>
      vcpu.wait(NOW),
  "eventfd.read() of 0":
    ({ eventfd }) =>
    () =>
      eventfd.read(NOW),
  "epoll.wait() of 0":
    ({ epoll }) =>
    () =>
      epoll.wait(NOW),
  "vcpu.arm() and disarm()": ({ vcpu }) => {
    const called = () => {};
    return () => {
      vcpu.arm(called);
      vcpu.disarm();
    };
  },
} satisfies Record<string, (made: ReturnType<typeof quiet>) => () => unknown>;

export const wait: Suite = {
  name: "wait",
  about: "One look of a thread for which nothing has come, by each way to look, beside a bare atomic load.",
  measures: [{ key: "call", title: "a look", unit: "ns" }],
  contestants: Object.fromEntries(Object.entries(CONTESTANTS).map(([name, make]) => [name, calls(make)])),
  trials: () => [{ title: "looks of one thread", parameters: {}, contestants: Object.keys(CONTESTANTS) }],
};
