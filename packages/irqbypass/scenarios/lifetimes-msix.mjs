// MSI-X tables that end while others open them, make the next one or store, and one whose end a thread dies in.
import { override } from "atomics-explorer";
import { Eventfd, Msix, VfioPciDevice, Vm } from "irqbypass";
import { hosts } from "#scenarios/support/hosts.js";
import { MsixState, Msix as Table } from "#src/host/layout.js";
import { dies, mortal } from "./support/death.mjs";
import { expect, guest, outcome } from "./support/guest.mjs";

const ENABLE = 0x8000;
const ENDED = ["ESTALE", "EBADF"];
/** The bytes of an entry, masked: it is connected to nothing. */
const ENTRY = new Uint8Array(Uint32Array.of(0xfee00000, 0, 0x41, 1).buffer);

const join = (host, vm, nic) => new Msix(vm, nic, () => Eventfd.create(host));

/** Throws where memory is not sound, or a table has what was stored to the one before. */
function sound(host, ...next) {
  for (const { control, table } of next) {
    expect((control & ENABLE) === 0, "the next table is enabled");
    expect(table.read(0, 16)[0] === 0, "the next table has what was stored to the one before");
  }
  const { findings } = host.audit();
  expect(findings.length === 0, findings[0]?.message);
}

/** A device with MSI-X of the `vmm`'s, which `other` has open: in records that what comes next gets. */
function machine(world, break_ = () => {}) {
  const seen = hosts(world, ["vmm", "other"]);
  const vm = new Vm(seen.vmm);
  const nic = new VfioPciDevice(seen.vmm, { msix: 1 });
  const msix = join(seen.vmm, vm, nic);
  const theirs = VfioPciDevice.open(seen.other, nic.handle);
  const theirVm = Vm.open(seen.other, vm.handle);
  const opens = () => Msix.open(theirVm, msix.handle, () => Eventfd.create(seen.other));
  break_(seen.other, msix.shared.record);
  return { seen, vm, nic, msix, theirs, theirVm, opens, keeps: [vm, nic, msix, theirs, theirVm] };
}

/** A thread that does not see that a table is ending. */
function seesNoEnd(host, table) {
  const { words } = host;
  const state = table + Table.state;
  host.words = override(words, {
    load: (word) => (word === state ? words.load(word) & ~MsixState.ending : words.load(word)),
  });
}

/** The `vmm` disposes one and makes the next in its record; `other` opens the first by its handle, and enables it. */
function opened(world, break_) {
  const { seen, vm, nic, msix, theirVm, keeps } = machine(world, break_);
  const { handle } = msix;
  const after = {};
  return {
    threads: {
      vmm() {
        msix.dispose();
        after.next = join(seen.vmm, vm, nic);
      },
      other: () =>
        outcome(
          () => {
            Msix.open(theirVm, handle, () => Eventfd.create(seen.other)).control = ENABLE;
          },
          ...ENDED,
        ),
    },
    keeps: [...keeps, after],
    end: () => sound(seen.vmm, after.next),
  };
}

/** Threads: vmm, other. */
export const open = {
  sentence:
    "An MSI-X that is opened beside its end is that one or refused, never the next one in its record.",
  mutexes: "assumed",
  setup: (world) => opened(world),
  twins: {
    "opens-what-ends": {
      sentence: "opens one that is ending, with the life that the next one in its record begins with",
      setup: (world) => opened(world, seesNoEnd),
    },
  },
};

/** The `vmm` disposes the device, or MSI-X alone; `other` makes the device's next one. */
function remade(world, what, break_) {
  const made = machine(world, break_);
  const { seen, msix, nic, theirs, theirVm, keeps } = made;
  return {
    threads: {
      vmm: () => made[what].dispose(),
      other: () => outcome(() => join(seen.other, theirVm, theirs), ...ENDED),
    },
    keeps,
    end() {
      msix.dispose();
      nic.dispose();
      sound(seen.vmm);
      const { pools, mutex } = seen.vmm;
      mutex.guard(() => expect(pools.device.live === 0, "a record of it is still there"));
    },
  };
}

const again = (what, sentence) => ({
  sentence,
  mutexes: "assumed",
  setup: (world) => remade(world, what),
  twins: {
    "ends-what-ends": {
      sentence: "takes the one that is ending for one that is there, and ends it once more",
      setup: (world) => remade(world, what, seesNoEnd),
    },
  },
});

/** Threads: vmm, other. */
export const replace = again(
  "msix",
  "An MSI-X that a thread disposes and another one replaces ends once, and the next one is whole.",
);

/** Threads: vmm, other. */
export const device = again(
  "nic",
  "An MSI-X that is made beside the end of its device goes with that, or is refused.",
);

/** The `vmm` disposes one and makes the next in its record; `other`, which has the first open, stores to that. */
function storedBeside(world, play = () => {}) {
  const { seen, vm, nic, msix, opens, keeps } = machine(world);
  const again = opens();
  play(again);
  const after = {};
  return {
    threads: {
      vmm() {
        msix.dispose();
        after.next = join(seen.vmm, vm, nic);
      },
      other: () => outcome(() => again.table.write(0, ENTRY), ...ENDED),
    },
    keeps: [...keeps, again, after],
    end: () => sound(seen.vmm, after.next),
  };
}

/** Threads: vmm, other. */
export const store = {
  sentence: "A store beside the end of an MSI-X is in that or refused, never in the next one in its record.",
  mutexes: "assumed",
  setup: (world) => storedBeside(world),
  twins: {
    "looks-outside": {
      sentence: "looks whether it is there before it takes the mutex, and not under it",
      setup: (world) =>
        storedBeside(world, ({ shared }) => {
          shared.guard = (section) => {
            shared.check();
            return shared.mutex.enclose(section);
          };
        }),
    },
  },
};

/** The victim dies while it disposes one; the survivor opens it, and makes the next one. */
function endDies(world, play) {
  return dies(
    world,
    ({ host, vm, victim }) => {
      const nic = new VfioPciDevice(host, { msix: 1 });
      const msix = join(host, vm, nic);
      const { handle } = msix;
      msix.table.write(0, ENTRY);
      const create = () => Eventfd.create(host);
      const theirs = Msix.open(Vm.open(victim, vm.handle), handle, create);
      const after = {};
      return {
        victim: () => theirs.dispose(),
        survivor() {
          outcome(() => Msix.open(vm, handle, create).control, ...ENDED);
          after.next = join(host, vm, nic);
        },
        keeps: [nic, msix, theirs, vm, after],
        check() {
          const { next } = after;
          next.control = ENABLE;
          next.control = 0;
          sound(host, next);
          expect(host.mutex.guard(() => host.pools.device.live) === 2, "a record of the first is left");
        },
      };
    },
    play,
    [],
    (...args) => guest(...args, { capacity: { device: 3 } }), // the next one's record, and one that nobody has given back yet
  );
}

/** Threads: survivor, victim. */
export const death = {
  conserves: "nothing is signalled",
  sentence:
    "A thread dies while it disposes an MSI-X: whoever opens it is refused or has it, and the next one is whole.",
  ...mortal,
  preemptions: 3,
  setup: (world) => endDies(world),
  twins: {
    "no-heal": {
      sentence: "takes the table's mutex over, and leaves the end where it is",
      setup: (world) =>
        endDies(world, ({ hosts: all }) => {
          for (const host of Object.values(all)) host.repair.device = () => {};
        }),
    },
  },
};

/** The same in every schedule. */
export const deathWhole = { ...death, preemptions: undefined, long: true };
