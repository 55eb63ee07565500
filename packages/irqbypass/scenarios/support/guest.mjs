// What the scenarios share: a small guest on a host that several threads see.

import { override } from "atomics-explorer";
import { Eventfd, Producer, Vcpu, Vm } from "irqbypass";
import { rewrittenModule } from "#scenarios/support/compiled.js";
import { hosts, runCompiled } from "#scenarios/support/hosts.js";
import {
  Consumer,
  Eventfd as E,
  Header,
  READER_SLEEPS,
  RelayState,
  WAKEUP_VECTOR,
} from "#src/host/layout.js";
import { Pending } from "#src/host/pending.js";
import { relayOne, runRelay } from "#src/vm/relay.js";

/** The vector that every interrupt here has, and where its bit is. */
export const VECTOR = 0x41;
export const BIT = 1 << (VECTOR & 31);
const PIR = 16 + (VECTOR >>> 5);

/**
 * A host with one VM of two vCPUs, whose GSI 24 goes to the first of them, and an eventfd. The first thread made it all.
 */
export function guest(world, names, options) {
  const seen = hosts(world, names, options);
  const host = seen[names[0]];
  const vm = new Vm(host, { vcpus: 2 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: VECTOR } }]);
  const eventfd = Eventfd.create(host);
  const made = { hosts: seen, host, vm, eventfd };
  world.beside?.(made);
  return made;
}

/** A connected interrupt of the same guest that stays as it is. */
export function neighbour({ host, vm }) {
  const eventfd = Eventfd.create(host);
  vm.irqfd(eventfd, 24);
  producer(host, eventfd);
}

/**
 * A scenario with the compiled fast path, and more twins. `beside` is called for its guest as soon as that is made. Which bug
 * of Linux a twin has, the original says.
 */
export function compiled(scenario, { twins = {}, beside } = {}) {
  const inWasm = (setup) => withBeside(withModule(setup), beside);
  const kept = Object.entries(scenario.twins).map(([name, { sentence, setup }]) => [
    name,
    { sentence, setup: inWasm(setup) },
  ]);
  return {
    ...scenario,
    sentence: `In WebAssembly: ${scenario.sentence}`,
    setup: inWasm(scenario.setup),
    twins: { ...Object.fromEntries(kept), ...twins },
  };
}

/** A setup whose hosts run the compiled fast path, each of its accesses of memory as a call; or a module that is broken. */
export const withModule =
  (setup, module = rewrittenModule()) =>
  (world) => {
    runCompiled(world, module);
    return setup(world);
  };

/** A setup in whose guest something more is done. */
export const withBeside = (setup, beside) => (world) => {
  world.beside = beside;
  return setup(world);
};

/** The producer of `eventfd`, registered by the thread of `host`. */
export function producer(host, eventfd) {
  const own = Eventfd.open(host, eventfd.handle);
  const made = Producer.create(host);
  made.register(own);
  return made;
}

/** The vCPU with an index, taken onto the thread of `host`. */
export const openVcpu = (host, vm, index = 0) => Vcpu.open(host, vm.vcpu(index).handle);

/** A connected interrupt: the device's producer, if there is a thread of that name, and the irqfd of the VM. */
export function connected(world, names, options) {
  const made = guest(world, names, options);
  const { hosts, vm, eventfd } = made;
  const vcpu = openVcpu(made.host, vm);
  const irqfd = vm.irqfd(eventfd, 24);
  const source = hosts.device === undefined ? undefined : producer(hosts.device, eventfd);
  return { ...made, vcpu, irqfd, source };
}

/** Takes interrupts until each vector was seen, and sleeps in between. Returns how many it took. */
export function serve(vcpu, vectors = [VECTOR]) {
  const seen = new Set();
  let taken = 0;
  while (seen.size < vectors.length) {
    expect(vcpu.wait() === "interrupt", "the wait ended with no interrupt");
    for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
      expect(vectors.includes(vector), `vector ${vector} was never posted`);
      seen.add(vector);
      taken += 1;
      vcpu.eoi();
    }
  }
  return taken;
}

/** Puts other words under a vCPU's code and its thread's sleep. */
export function playVcpu(host, change) {
  host.words = override(host.words, change(host.words));
  host.thread.words = host.words;
}

/** What the relay would do now; for checks in scenarios without its thread. */
export const relayNow = (host) => host.pending.takeAll((irqfd) => relayOne(host, irqfd));

/**
 * A world in which every plain access is a step and no rule is held: for a twin whose bug begins with an access without
 * its lock. Elsewhere that access itself is the violation; here the explorer goes on to what comes of it.
 */
export function lawless(world) {
  return {
    memory: (...args) => world.memory(...args),
    words: (...args) => world.words(...args),
    thread: (...args) => world.thread(...args),
    adopt(...args) {
      const words = world.adopt(...args);
      return override(words, {
        get: (word) => words.load(word),
        set: (word, value) => words.store(word, value),
      });
    },
    get discipline() {
      return world.discipline;
    },
    set discipline(rules) {
      world.discipline = {
        name: (word) => rules.name(word),
        isMutex: (word) => rules.isMutex(word),
        objection: () => undefined,
      };
    },
  };
}

/** Is the interrupt posted to this vCPU, or taken into its local APIC already? For checks. */
export function arrived(host, vm, index = 0, vector = VECTOR) {
  const { record } = vm.vcpu(index);
  const bank = vector >>> 5;
  return (
    ((host.words.load(record + 16 + bank) | host.words.get(record + 32 + bank)) & (1 << (vector & 31))) !== 0
  );
}

/** The word of the descriptor with the interrupt's bit. */
export const pirWord = (vm, index = 0) => vm.vcpu(index).record + PIR;

/** The control word of a vCPU's descriptor: ON, SN and the notification vector. */
export const controlWord = (record) => record + 16 + 8;
/** Does this value of it ask for the wake-up vector? */
export const asksForWakeUp = (control) => ((control >>> 16) & 0xff) === WAKEUP_VECTOR;

/** The relay thread's part; a daemon. */
export function relay(host) {
  host.words.store(Header.relays, RelayState.starting);
  return () => runRelay(host);
}

/** Claims an injection that is due, and does not make it. */
export function forgets({ pending }) {
  const claim = pending.claim.bind(pending);
  pending.claim = (irqfd, thread) => {
    if (claim(irqfd, thread)) pending.settle(irqfd, thread);
    return false;
  };
}

/** Waits for nobody who has announced this irqfd. */
export function waitsForNobody({ thread }, irqfd) {
  const fenceAll = thread.fenceAll.bind(thread);
  thread.fenceAll = (word, record) => record === irqfd.record || fenceAll(word, record);
}

/** Takes an irqfd for idle that has an injection due, or one at which another thread is. */
export const overlooksDue = (host, irqfd) => overlooks(host, irqfd, (state) => state === Pending.due);
export const overlooksOther = (host, irqfd) => overlooks(host, irqfd, (state) => state > Pending.due);

function overlooks(host, irqfd, hides) {
  const { words } = host;
  const pending = irqfd.record + Consumer.pending;
  host.words = override(words, {
    load(word) {
      const seen = words.load(word);
      return word === pending && hides(seen) ? Pending.idle : seen;
    },
  });
}

/** `Kind.open` of whoever finds the record of a handle, and takes a reference to it in another step. */
export const opensUnlocked = (Kind, pool) => (host, handle) => {
  const record = host.mutex.guard(() => host.pools[pool].open(handle));
  const own = Kind.create(host);
  own.record = record;
  return own;
};

export function expect(holds, sentence) {
  if (!holds) throw new Error(sentence);
}

/** What a call came to: "done", or the code of its refusal. Everything else is a fault. */
export function outcome(call, ...codes) {
  try {
    call();
    return "done";
  } catch (error) {
    expect(codes.includes(error.code), `${error.message}, where one of ${codes} may be`);
    return error.code;
  }
}

/** Words of a reader of the eventfd who does not say that it sleeps. */
export function sleepsUnsaid(words, eventfd) {
  return {
    compareExchange: (word, expected, value) =>
      word === eventfd + E.sequence ? words.load(word) : words.compareExchange(word, expected, value),
    wait: (word, expected, timeoutMs) => words.wait(word, expected & ~READER_SLEEPS, timeoutMs),
    waitAsync: (word, expected, timeoutMs) => words.waitAsync(word, expected & ~READER_SLEEPS, timeoutMs),
  };
}

/** Takes a vCPU onto the thread as soon as the one that runs it has put it. */
export function openWhenPut(host, handle) {
  for (;;) {
    try {
      return Vcpu.open(host, handle);
    } catch (error) {
      if (error.code !== "EBUSY") throw error;
      host.words.relax();
    }
  }
}

/** What lets a thread into what a mutex guards without taking it. */
export const noMutex = { guard: (section) => section(), enclose: (section) => section(), held: () => true };
