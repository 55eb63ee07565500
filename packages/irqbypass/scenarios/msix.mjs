// MSI-X as bytes, stored to by threads that are not the device's: beside each other, beside a signal, and by one that dies.
import { override } from "atomics-explorer";
import { Eventfd, Msix, VfioPciDevice, Vm } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { holdsCount } from "#src/eventfd/listen.js";
import { Eventfd as E, Reference } from "#src/host/layout.js";
import { dies, mortal } from "./support/death.mjs";
import { arrived, expect, guest, openVcpu, outcome, VECTOR } from "./support/guest.mjs";

const ENABLE = 0x8000;
const [NEW, NEWER] = [0x42, 0x43];

/** The bytes of an entry that leads to a vector of the first vCPU. */
const entry = (vector, control = 0) => new Uint8Array(Uint32Array.of(0xfee00000, 0, vector, control).buffer);

/** What an entry says, as a guest loads it. */
function said(msix) {
  const [address, high, data, control] = new Uint32Array(msix.table.read(0, 16).buffer);
  expect(address === 0xfee00000 && high === 0, `the entry says 0x${address.toString(16)}`);
  return { data, control };
}

/** A device of `owner`, whose thread signals, with MSI-X that the threads of `others` have open as well. */
function machine(
  { hosts, vm },
  owner,
  others,
  { before = entry(VECTOR), control = ENABLE, dynamicMsix = true } = {},
) {
  openVcpu(hosts[owner], vm);
  vm.routeMsi({ vcpu: 0, vector: 0x60 }).dispose(); // it has a table of its own from here on
  const nic = new VfioPciDevice(hosts[owner], { msix: 1, dynamicMsix });
  const msix = new Msix(vm, nic, () => Eventfd.create(hosts[owner]));
  if (before !== null) msix.table.write(0, before);
  msix.control = control;
  const theirs = others.map((name) => {
    const host = hosts[name];
    return Msix.open(Vm.open(host, vm.handle), msix.handle, () => Eventfd.create(host));
  });
  return { nic, msix, theirs, vector: nic.vector("msix", 0) };
}

/** What is pending in the vector, or has come by one of these vectors beside the one that the ledger looks for. */
const elsewhere = (host, vm, vector, ...others) =>
  (vector.pending ? 1 : 0) + others.filter((one) => arrived(host, vm, 0, one)).length;

/** Two vCPUs' threads store to one entry, and the device signals after them. Threads: a, b. */
function stores(world, play = () => {}) {
  const made = guest(world, ["a", "b"]);
  const { hosts, vm } = made;
  const on = machine(made, "a", ["a", "b"]);
  const [a, b] = on.theirs;
  play(on);
  return {
    threads: {
      a: () => a.table.write(0, entry(NEW)),
      b: () => b.table.write(0, entry(NEWER)),
    },
    keeps: [vm, on.nic, on.msix, a, b],
    end: conserves(
      () => {
        on.vector.signal();
        const { data } = said(on.msix);
        return { host: hosts.a, vm, vector: data };
      },
      () => {
        const { findings } = hosts.a.audit();
        expect(findings.length === 0, findings[0]?.message);
      },
    ),
  };
}

/** Nobody waits for another one's store. */
const noMutex = ({ theirs }) => {
  for (const { shared } of theirs) shared.mutex.enclose = (section) => section();
};

/** Threads: a, b. */
export const stored = {
  sentence:
    "Two threads store to one entry: the device signals by what a load says then, and by nothing else.",
  mutexes: "assumed",
  setup: (world) => stores(world),
  twins: {
    "no-mutex": {
      sentence: "stores to the table without its mutex",
      setup: (world) => stores(world, noMutex),
    },
  },
};

/** What waits in a trigger that leads nowhere yet. */
function waiting(host, { shared }) {
  const reference = shared.reference(0);
  return reference !== 0 && holdsCount(host, host.words.get(reference + Reference.eventfd)) ? 1 : 0;
}

/** The VMM's thread resets the device, whose vector the guest has masked, and the device signals. Threads: vmm, device. */
function resets(world, play = () => {}) {
  const made = guest(world, ["device", "vmm"]);
  const { hosts, vm } = made;
  const on = machine(made, "device", []);
  on.msix.table.write(12, [1]);
  const theirs = VfioPciDevice.open(hosts.vmm, on.nic.handle);
  play(theirs);
  return {
    threads: { vmm: () => theirs.reset(), device: () => on.vector.signal() },
    keeps: [vm, on.nic, on.msix, theirs],
    end: conserves(
      () => ({ host: hosts.device, vm, sent: 0, most: 0 }),
      () => expect(on.vector.masked, "its table says that it is masked"),
    ),
  };
}

/** Threads: vmm, device. */
export const reset = {
  sentence:
    "A device is reset under a table that masks its vector: nothing is delivered until the guest unmasks it.",
  mutexes: "assumed",
  setup: (world) => resets(world),
  twins: {
    "clears-masks": {
      sentence: "clears the mask bits of a device whose table has them",
      setup: (world) =>
        resets(world, (nic) =>
          Object.defineProperty(nic.vector("msix", 0), "isTabled", { get: () => false }),
        ),
    },
  },
};

/** The victim stores while the survivor's device signals; what the entry says after the repair is where the device's next signal goes. */
function storeDies(world, victim, how, play = () => {}) {
  return dies(world, (made) => {
    const { hosts, host, vm } = made;
    const on = machine(made, "survivor", ["victim"], how);
    play({ ...made, ...on });
    if (how?.signal === "before") on.vector.signal();
    if (how?.signal === "loopback")
      on.nic.setIrqs({ index: "msix", start: 0, count: 1, action: "trigger", data: "none" });
    const [theirs] = on.theirs;
    return {
      victim: () => victim(theirs),
      survivor: () => {
        if (how?.signal === undefined) on.vector.signal();
      },
      keeps: [on.nic, on.msix, theirs, vm, hosts],
      signals: () => ({ host, vm, taken: elsewhere(host, vm, on.vector, NEW) + waiting(host, on.msix) }),
      check() {
        on.msix.table.write(0, entry(NEWER)); // the guest's next store brings back what there was no time for
        if ((on.msix.control & ENABLE) === 0) on.msix.control = ENABLE;
        on.vector.signal();
        expect(arrived(host, vm, 0, NEWER), "the device is not connected any more");
        on.msix.dispose();
        const { findings, live } = host.audit();
        expect(findings.length === 0, findings[0]?.message);
        expect(live.reference === 1 && live.consumer === 0, "what a vector was connected to is left");
      },
    };
  });
}

/** Nobody makes whole what the mutex of a table guards. */
const noHealTable = ({ hosts, msix }) => {
  for (const host of Object.values(hosts)) {
    const { device } = host.repair;
    host.repair.device = (record, dead) => {
      if (record !== msix.shared.record) device.call(host.repair, record, dead);
    };
  }
};

const NO_HEAL = "takes the table's mutex over, and leaves what it guards as it is";
const dying = (sentence, victim, how) => ({
  sentence,
  ...mortal,
  setup: (world) => storeDies(world, victim, how),
  twins: {
    "no-heal": { sentence: NO_HEAL, setup: (world) => storeDies(world, victim, how, noHealTable) },
  },
});

/** Threads: survivor, victim. */
export const retarget = dying(
  "A thread dies while it stores another message: the entry has the old one or the new one, and the signal goes by that.",
  (msix) => msix.table.write(0, entry(NEW)),
);

/** Threads: survivor, victim. */
export const connects = dying(
  "A thread dies while it unmasks a vector for the first time: the signal is an interrupt or pending, and nothing is left over.",
  (msix) => msix.table.write(0, entry(NEW)),
  { before: null, signal: "before" },
);

/** What is in the counter of an eventfd is not seen when that is taken away. */
const blind = ({ hosts, msix }) => {
  const { shared } = msix;
  const { words } = hosts.survivor;
  const counter = words.get(shared.reference(0) + Reference.eventfd) + E.counter;
  for (const host of Object.values(hosts)) {
    const { words } = host;
    host.words = override(words, { load64: (word) => (word === counter ? 0n : words.load64(word)) });
  }
};

const keepsWaiting = dying(
  "A thread dies while it unmasks a vector in whose trigger something waits: that is an interrupt, or pending.",
  (msix) => msix.table.write(0, entry(NEW)),
  { before: null, signal: "loopback", dynamicMsix: false },
);

/** Threads: survivor, victim. */
export const waits = {
  ...keepsWaiting,
  twins: {
    ...keepsWaiting.twins,
    blind: {
      sentence: "closes the eventfd of a trigger that it replaces with what waits in it",
      setup: (world) =>
        storeDies(
          world,
          (msix) => msix.table.write(0, entry(NEW)),
          { before: null, signal: "loopback", dynamicMsix: false },
          blind,
        ),
    },
  },
};

/** Threads: survivor, victim. */
export const disables = dying(
  "A thread dies while it disables MSI-X: what the vectors were connected to is there or gone, and no signal is lost.",
  (msix) => {
    msix.control = 0;
  },
  { signal: "before" },
);

/** Threads `vmm`, which enables MSI-X and is refused, and `device`, which signals. */
function refuses(world, play = () => {}) {
  const { hosts, vm } = guest(world, ["device", "vmm"]);
  openVcpu(hosts.device, vm);
  vm.routeMsi({ vcpu: 0, vector: 0x60 }).dispose(); // it has a table of its own from here on
  const nic = new VfioPciDevice(hosts.device, { msix: 2, hostInterrupts: 1 });
  const msix = new Msix(vm, nic, () => Eventfd.create(hosts.device));
  const theirs = Msix.open(Vm.open(hosts.vmm, vm.handle), msix.handle, () => Eventfd.create(hosts.vmm));
  msix.table.write(0, [...entry(NEW), ...entry(NEWER)]);
  const [vector, second] = [0, 1].map((number) => nic.vector("msix", number));
  second.signal();
  play(theirs);
  return {
    threads: {
      device: () => vector.signal(),
      vmm: () => outcome(() => (theirs.control = ENABLE), "ENOSPC"),
    },
    keeps: [vm, nic, msix, theirs],
    end: conserves(
      () => ({
        host: hosts.device,
        vm,
        sent: 2,
        taken: [vector, second].filter((one) => one.pending).length,
      }),
      () => {
        expect(theirs.control === 1, "it is enabled");
        expect(vector.pending && second.pending, "a signal came while MSI-X was off");
        const { findings, live } = hosts.device.audit();
        expect(findings.length === 0, findings[0]?.message);
        expect(live.consumer === 0, "a vector is still connected");
      },
    ),
  };
}

/** Threads: device, vmm. */
export const refused = {
  sentence:
    "MSI-X that is refused to be enabled lets no signal through: what is raised before, beside and after it is pending.",
  mutexes: "assumed",
  preemptions: 2,
  setup: (world) => refuses(world),
  twins: {
    "not-held": {
      sentence: "connects one vector after the other without the function mask",
      setup: (world) =>
        refuses(world, ({ device }) => Object.defineProperty(device, "functionMask", { set() {} })),
    },
  },
};
