// A level that every EOI requests again, until the next one is left to the relay: an EOI beside the relay's look at who waits.
import { override } from "atomics-explorer";
import { conserves } from "#scenarios/support/conservation.js";
import { Header, Vm as V } from "#src/host/layout.js";
import { DelayedEois } from "#src/vm/delayed-eois.js";
import { expect, guest, openVcpu, VECTOR } from "./support/guest.mjs";

const PIN = 10;
const MANY = 9999;

/** The vCPU makes the last EOI that is one too many while the relay looks, which is new or has `looked` before. */
function delays(world, looked, break_ = () => {}) {
  const { hosts, host, vm } = guest(world, ["vcpu", "relay"]);
  const { record } = vm.life;
  vm.setGsiRouting([{ gsi: PIN, irqchip: { chip: "ioapic", pin: PIN } }]);
  vm.ioapic.redirect(PIN, { vcpu: 0, vector: VECTOR, level: true });
  const vcpu = openVcpu(host, vm);
  vm.setIrqLine(PIN, true);
  vcpu.acknowledge();
  host.words.set(record + V.eois + PIN, MANY);
  let now = 0;
  hosts.relay.words = override(hosts.relay.words, {
    clock() {
      now += 100;
      return now;
    },
  });
  break_(hosts, record);
  const relay = new DelayedEois(hosts.relay);
  if (looked) relay.serve(0);
  else host.words.store(Header.delayed, 1); // as who repairs after its forerunner leaves it
  return {
    threads: {
      vcpu: () => vcpu.eoi(),
      relay: () => void relay.serve(0),
    },
    keeps: [vcpu, vm, relay],
    end: conserves({ host, vm, sent: 1, most: 2 }, () => {
      relay.serve(0);
      relay.serve(0);
      expect(vcpu.hasInterrupt(), "the line is up, and its interrupt never comes again");
    }),
  };
}

/** Threads: vcpu, relay. */
export const delayed = {
  sentence: "A level whose delivery an EOI leaves to a new relay is delivered, whenever that looks.",
  mutexes: "assumed",
  setup: (world) => delays(world, false),
  twins: {
    "forgets-late": {
      sentence: "looks which VMs wait, and forgets after that that some do",
      setup: (world) => delays(world, false, forgetsLate),
    },
  },
};

/** Threads: vcpu, relay. */
export const again = {
  sentence: "A level whose delivery an EOI leaves to the relay is delivered, whenever that looks again.",
  mutexes: "assumed",
  setup: (world) => delays(world, true),
  twins: {
    "says-first": {
      sentence: "says that some VM waits before it says which",
      setup: (world) => delays(world, true, saysFirst),
    },
  },
};

/** The relay clears the header's word when it has looked. */
function forgetsLate({ relay }) {
  const { words } = relay;
  const look = relay.forEachLive.bind(relay);
  relay.words = override(words, {
    store(word, value) {
      if (word !== Header.delayed || value !== 0) words.store(word, value);
    },
  });
  relay.forEachLive = (pool, visit) => {
    look(pool, visit);
    words.store(Header.delayed, 0);
  };
}

function saysFirst({ vcpu }, vm) {
  const { words } = vcpu;
  vcpu.words = override(words, {
    store(word, value) {
      if (word === vm + V.delayed) return;
      words.store(word, value);
      if (word === Header.delayed) words.store(vm + V.delayed, 1);
    },
  });
}
