import { Epoll, Eventfd, type EventfdContext, Host } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { available } from "../harness/linux.js";
import { type Native, type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measureBy, processor, timed } from "../harness/timing.js";

/** So many that a processor clock, of microseconds, is exact enough. */
const OPERATIONS = 1_000;
const MAX_EVENTS = 8;

/** Signals one of `eventfds` after the other, and calls `take` with each, which finds and reads it. */
function rounds(
  ms: number,
  eventfds: readonly EventfdContext[],
  take: (signalled: EventfdContext) => void,
): ReturnType<Prepare> {
  let next = 0;
  const operations = timed(() => {
    for (let i = 0; i < OPERATIONS; i++) {
      next = (next + 7) % eventfds.length;
      const eventfd = eventfds[next]!;
      eventfd.signal();
      take(eventfd);
    }
  });
  return () => ({ values: { epoll: measureBy(processor, ms, OPERATIONS, operations)[0]! } });
}

/** By one wait of an epoll that watches all of them. */
function watched(host: Host, eventfds: readonly EventfdContext[], ms: number): ReturnType<Prepare> {
  const epoll = Epoll.create(host);
  for (const [data, eventfd] of eventfds.entries()) epoll.add(eventfd, { data });
  return rounds(ms, eventfds, () => {
    for (const data of epoll.wait({ maxEvents: MAX_EVENTS })) eventfds[data]!.tryRead();
  });
}

const shared = ({ n }: Parameters<Prepare>[0]) => {
  const host = Host.create({ capacity: { eventfd: n! } });
  return { host, eventfds: Array.from({ length: n! }, () => Eventfd.create(host)) };
};

const irqbypass: Prepare = (parameters) => {
  const { host, eventfds } = shared(parameters);
  return watched(host, eventfds, roundMs(parameters));
};

/** Without an epoll, a thread waits for one eventfd; this one knows for which. */
const oneWait: Prepare = (parameters) =>
  rounds(roundMs(parameters), shared(parameters).eventfds, (eventfd) => eventfd.read());

/** It does not know, and asks one after the other. */
const asking: Prepare = (parameters) => {
  const { eventfds } = shared(parameters);
  return rounds(roundMs(parameters), eventfds, () => {
    for (const eventfd of eventfds) eventfd.tryRead();
  });
};

const ofLinux: Prepare = (parameters) => {
  const host = Host.create({ kinds: [linux()], capacity: { eventfd: parameters.n! } });
  const eventfds = available(() => Array.from({ length: parameters.n! }, () => LinuxEventfd.create(host)));
  return watched(host, eventfds, roundMs(parameters));
};

const native: Native = {
  source: "epoll.c",
  arguments: (parameters) => [String(parameters.n), String(roundMs(parameters))],
};

/** The trial that the target is of. */
export const EPOLL_TRIAL = "64 watched, one of them ready";

export const epoll: Suite = {
  name: "epoll",
  about:
    "One of N eventfds is signalled, found, and read, by one thread: what a device with so many queues pays for each signal, without the sleep. In processor time.",
  measures: [{ key: "epoll", title: "signal, wait, read", unit: "ns" }],
  contestants: {
    irqbypass,
    "epoll_wait in C": native,
    "Linux eventfds": ofLinux,
    "a wait for each": oneWait,
    "asking each": asking,
  },
  trials: (quick) => [
    {
      title: EPOLL_TRIAL,
      parameters: { n: 64 },
      contestants: ["irqbypass", "epoll_wait in C", "Linux eventfds", "a wait for each", "asking each"],
    },
    ...(quick
      ? []
      : [
          {
            title: "10,000 watched, one of them ready",
            parameters: { n: 10_000 },
            contestants: ["irqbypass", "epoll_wait in C", "a wait for each"],
          },
        ]),
  ],
};
