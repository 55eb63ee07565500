// The relay's thread: asked for by one thread, started by the host's creator while that waits for something else, and ended.

import { override } from "atomics-explorer";
import { conserves } from "#scenarios/support/conservation.js";
import { askForRelay } from "#src/eventfd/relay-state.js";
import { Header, RelayState } from "#src/host/layout.js";
import { relayRounds } from "#src/vm/relay.js";
import { RelayKeeper } from "#src/vm/relay-keeper.js";
import { expect, guest } from "./support/guest.mjs";

// Words of the header that nobody else uses here: threads that were started and have not begun, interrupts that arrived, and
// of what the relay waits on whether it is open, and whether somebody does.
const STARTED = Header.ticks;
const ARRIVED = Header.looking;
const OPEN = Header.looking + 1;
const INSIDE = Header.looking + 2;

/** A guest on a host that has no relay yet, and what the creator has of one whose "threads" wait until they are started. */
function scene(world, names, close = () => {}) {
  const { hosts, vm, eventfd } = guest(world, names);
  const { creator } = hosts;
  const irqfd = vm.irqfd(eventfd, 24);
  creator.words.store(Header.relays, RelayState.none); // as if another thread were the first to need it
  const thread = {
    name: "irqbypass/relay-worker",
    start() {
      creator.words.add(STARTED, 1);
      creator.words.notify(STARTED);
      return { postMessage() {}, once() {} };
    },
  };
  const keeper = new RelayKeeper(creator, 0, { thread, wake: () => creator.pending.ring(), close });
  creator.thread.serve = () => keeper.serve();
  return { hosts, keeper, irqfd, eventfd };
}

/** Waits until this thread is started. */
function begin({ words }) {
  for (;;) {
    const started = words.load(STARTED);
    if (started === 0) words.wait(STARTED, 0, Infinity);
    else if (words.compareExchange(STARTED, started, started - 1) === started) return;
  }
}

/** The relay, which notes what it takes. */
function relays(host) {
  const { words, thread, pending } = host;
  begin(host);
  relayRounds(host, 0, (goesOn) => () => {
    pending.takeAll((irqfd) => {
      words.store(thread.writing, irqfd);
      if (pending.claim(irqfd, thread.record)) {
        words.add(ARRIVED, 1);
        words.notify(ARRIVED);
        pending.settle(irqfd, thread.record);
      }
      thread.leave(thread.writing);
    });
    pending.sleep(1000, (...park) => words.wait(...park), goesOn);
  });
}

/** The creator waits for what only an interrupt leads to; another thread needs the relay for it. */
function asks(world, play = () => {}) {
  const { hosts, keeper, irqfd } = scene(world, ["creator", "asker", "relay"]);
  const { creator, asker, relay } = hosts;
  const { record } = irqfd;
  play(hosts);
  return {
    threads: {
      creator() {
        while (creator.words.load(ARRIVED) === 0) creator.thread.park(ARRIVED, 0, Infinity);
      },
      asker() {
        askForRelay(asker, 0);
        asker.pending.raise(record);
      },
      relay: () => relays(relay),
    },
    daemons: ["relay"],
    keeps: [keeper],
  };
}

/** The relay may die, and another thread repairs after it; the creator starts another one at the end. */
function dies(world, play = () => {}) {
  const { hosts, keeper, irqfd, eventfd } = scene(world, ["creator", "survivor", "relay"]);
  const { creator, survivor, relay } = hosts;
  const { record } = irqfd;
  const { thread } = relay;
  const slot = relay.threadId;
  askForRelay(survivor, 0);
  keeper.serve();
  play(hosts);
  const { words } = creator;
  return {
    threads: {
      creator: () => "waits",
      survivor() {
        survivor.pending.raise(record);
        if (survivor.thread.isDead(thread.record)) survivor.threadLost(slot);
      },
      relay: () => relays(relay),
    },
    daemons: ["relay"],
    keeps: [keeper],
    end: conserves(() => {
      if (creator.thread.isDead(thread.record)) {
        creator.threadLost(slot);
        const state = words.load(Header.relays);
        expect((state & RelayState.mask) !== RelayState.running, "the relay of a dead thread runs");
      }
      // Twice where it had arrived when its thread died, before that could say so: the next relay injects it again.
      return { host: creator, eventfd, taken: words.load(ARRIVED), most: 2 };
    }),
  };
}

/** Threads: creator, asker, relay. */
export const ask = {
  sentence:
    "A relay that another thread asks for is started while the host's creator waits for something else.",
  timeouts: "stuck",
  setup: (world) => asks(world),
  twins: {
    "serves-nobody": {
      sentence: "waits without looking whether somebody needs a relay",
      setup: (world) =>
        asks(world, ({ creator }) => {
          creator.thread.serve = undefined;
        }),
    },
    "looks-once": {
      sentence: "looks once, and then sleeps until it is woken",
      setup: (world) =>
        asks(world, ({ creator: { thread } }) => {
          const { serve } = thread;
          thread.serve = () => serve() && Infinity;
        }),
    },
  },
};

/** Threads: creator, survivor, relay. */
export const death = {
  sentence:
    "A relay that dies is repaired after: another one is wanted, and the interrupt that it had taken is due again.",
  kills: ["relay"],
  timeouts: "stuck",
  preemptions: 2,
  setup: (world) => dies(world),
  twins: {
    "still-runs": {
      sentence: "leaves it said that the relay runs",
      setup: (world) =>
        dies(world, ({ creator, survivor }) => {
          for (const host of [creator, survivor]) {
            const { words } = host;
            host.words = override(words, {
              compareExchange: (word, expected, value) =>
                word === Header.relays && value === RelayState.wanted
                  ? expected
                  : words.compareExchange(word, expected, value),
            });
          }
        }),
    },
  },
};

/** Two threads are started, as if the first were slow; the creator leaves. */
function stops(world, play = () => {}) {
  const closes =
    (host) =>
    ({ words } = host) => {
      expect(words.load(INSIDE) === 0, "closed while a relay waits on it");
      words.store(OPEN, 0);
    };
  let creatorCloses;
  const { hosts, keeper } = scene(world, ["creator", "asker", "first", "second"], () => creatorCloses());
  const { creator, asker, first, second } = hosts;
  creatorCloses = closes(creator);
  creator.words.store(OPEN, 1);
  keeper.patienceMs = 0;
  const relay = (host) => () => {
    const { words, pending } = host;
    begin(host);
    const ran = relayRounds(host, 0, (goesOn) => {
      expect(words.add(INSIDE, 1) === 0, "two relays at once");
      return () => pending.sleep(1000, (...park) => words.wait(...park), goesOn);
    });
    if (!ran) return;
    words.add(INSIDE, -1);
    if (words.load(Header.relays) === RelayState.stopping) closes(host)();
  };
  play(hosts, keeper);
  return {
    threads: {
      creator() {
        keeper.serve();
        keeper.serve();
        keeper.end();
      },
      asker: () => askForRelay(asker, 0),
      first: relay(first),
      second: relay(second),
    },
    daemons: ["first", "second"],
    keeps: [keeper],
    end() {
      expect(creator.words.load(OPEN) === 0, "what the relay waited on stays open");
    },
  };
}

/** Threads: creator, asker, first, second. */
export const stop = {
  sentence:
    "Of two threads started as the relay one relays; whoever ends last closes what it waits on, once nobody does.",
  timeouts: "stuck",
  preemptions: 2,
  conserves: "nothing is signalled",
  setup: (world) => stops(world),
  twins: {
    "claims-blindly": {
      sentence: "relays whatever the state is",
      setup: (world) =>
        stops(world, (hosts) => {
          for (const host of [hosts.first, hosts.second]) {
            const { words } = host;
            host.words = override(words, {
              compareExchange(word, expected, value) {
                if (word !== Header.relays) return words.compareExchange(word, expected, value);
                words.store(word, value);
                return expected;
              },
            });
          }
        }),
    },
    "leaves-it-open": {
      sentence: "leaves it to a relay that has not begun to close what it waits on",
      setup: (world) =>
        stops(world, (_hosts, { relay }) => {
          relay.close = undefined;
        }),
    },
    "looks-too-early": {
      sentence: "looks whether it is to end before it reads the doorbell",
      setup: (world) =>
        stops(world, (hosts) => {
          for (const { pending } of [hosts.first, hosts.second]) {
            const sleep = pending.sleep.bind(pending);
            pending.sleep = (timeoutMs, park) => sleep(timeoutMs, park);
          }
        }),
    },
    "closes-at-once": {
      sentence: "closes what the relay waits on without a look whether it relays",
      setup: (world) =>
        stops(world, (_hosts, { relay }) => {
          relay.wake = relay.close;
        }),
    },
  },
};
