// A write at any moment of the end of an irqfd: what ends it reads the counter out, and takes nothing along that is not known.
import { Eventfd } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { Consumer, Eventfd as E, LEAVING, Thread } from "#src/host/layout.js";
import { guest, openVcpu, relay } from "./support/guest.mjs";

/** The VMM deassigns by `end`, while another thread writes once. */
function ends(world, { end = (irqfd) => irqfd.dispose(), semaphore = false, play = () => {} } = {}) {
  const { hosts, vm } = guest(world, ["vmm", "device", "relay"]);
  openVcpu(hosts.vmm, vm);
  const eventfd = Eventfd.create(hosts.vmm, { semaphore });
  const irqfd = vm.irqfd(eventfd, 24, { bypass: "off" });
  const own = Eventfd.open(hosts.device, eventfd.handle);
  play(hosts.vmm);
  return {
    threads: {
      vmm: () => void end(irqfd),
      device: () => own.write(),
      relay: relay(hosts.relay),
    },
    daemons: ["relay"],
    keeps: [irqfd, own, vm, eventfd],
    end: conserves({ host: hosts.vmm, vm, eventfd }),
  };
}

/** Listens as the shipped code does, and ends that in another way. */
function stopsBy(host, stop) {
  const { words, thread } = host;
  const start = (memory, _irqfd, eventfd) => {
    memory.thread.fenceAll(Thread.writing, eventfd);
    return words.load64(eventfd + E.counter) !== 0n;
  };
  host.kinds = [{ ...host.kinds[0], listen: { start, stop } }];
  return { words, thread };
}

/** Takes the irqfd off, waits for writers that saw it, and throws away what is in the counter then. */
function takesOffFirst(host) {
  const { words, thread } = stopsBy(host, (_memory, irqfd, eventfd) => {
    words.compareExchange(eventfd + E.irqfd, irqfd, irqfd | LEAVING);
    thread.fenceAll(Thread.writing, eventfd);
    words.store(irqfd + Consumer.listening, 2);
    words.store64(eventfd + E.counter, 0n);
  });
}

/** Threads: vmm, device, relay. */
export const write = {
  sentence: "A write at any moment of a deassign is an interrupt, or is in the counter when both are over.",
  mutexes: "assumed",
  setup: (world) => ends(world),
  twins: {
    "takes-off-first": {
      sentence: "takes the irqfd off first, and reads the counter out after it",
      setup: (world) => ends(world, { play: takesOffFirst }),
    },
    "leaves-it": {
      sentence: "throws away an injection that nobody has begun",
      setup: (world) =>
        ends(world, {
          play: (host) => {
            host.pending.claim = (irqfd) => {
              host.words.store(irqfd + Consumer.pending, 0);
              return false;
            };
          },
        }),
    },
  },
};
