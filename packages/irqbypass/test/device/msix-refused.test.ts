/** What refuses a store or an enable of MSI-X, whatever it is: all is as before, and what was raised is pending. On every kind of VM and eventfd. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Eventfd,
  type EventfdContext,
  Host,
  IrqBypassError,
  type Irqfd,
  Msix,
  Vcpu,
  VfioPciDevice,
  type VfioPciOptions,
  Vm,
} from "irqbypass";
import { KvmVm, kvm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { kvmTests } from "../kvm/available.js";
import { bytesOf, ENABLE, entry, FUNCTION_MASK } from "../reports/msix-worlds.js";
import { liveRecords } from "../support/host.js";

interface World {
  readonly host: Host;
  readonly vm: Vm | KvmVm;
  /** Makes an eventfd of the kind, or opens one again. */
  create(host?: Host): EventfdContext;
  again(eventfd: EventfdContext): EventfdContext;
  irqfd(eventfd: EventfdContext, gsi: number): Irqfd;
  /** A device, and its MSI-X with what makes eventfds. */
  device(options: VfioPciOptions, createEventfd?: () => EventfdContext): Guest;
  /** Every "vcpu:vector" that has come since the last look, in order. */
  arrived(): string[];
}

interface Guest {
  readonly nic: VfioPciDevice;
  readonly msix: Msix<EventfdContext>;
  store(number: number, ...words: readonly number[]): void;
  load(number: number): number[];
  signal(...numbers: readonly number[]): void;
  /** The numbers of the vectors that are pending. */
  pending(): number[];
}

const capacity = { device: 8, vm: 4, route: 256, eventfd: 64, producer: 64, consumer: 64 };

function worldOf(isKvm: boolean, isLinux: boolean): World {
  const options = { capacity, ...(isKvm || isLinux ? { kinds: [linux(), ...(isKvm ? [kvm()] : [])] } : {}) };
  const host = Host.create(options);
  const vm = isKvm ? new KvmVm(host, { vcpus: 2 }) : new Vm(host, { vcpus: 2 });
  const create = (of = host) => (isLinux ? LinuxEventfd.create(of) : Eventfd.create(of));
  const vcpus = vm instanceof Vm ? [0, 1].map((index) => Vcpu.open(host, vm.vcpu(index).handle)) : [];
  vm.routeMsi({ vcpu: 0, vector: 0x30 }).dispose(); // it has a table of its own from here on
  return {
    host,
    vm,
    create,
    again: ({ handle }) => (isLinux ? LinuxEventfd.open(host, handle as number) : Eventfd.open(host, handle)),
    irqfd: (eventfd, gsi) => (vm as Vm).irqfd(eventfd as Eventfd, gsi),
    device(how, createEventfd = create) {
      const nic = new VfioPciDevice(host, how);
      const msix = new Msix(vm as Vm, nic, createEventfd as () => Eventfd) as Msix<EventfdContext>;
      return {
        nic,
        msix,
        store: (number, ...words) => msix.table.write(number * 16, bytesOf(...words)),
        load: (number) => [...new Uint32Array(msix.table.read(number * 16, 16).buffer)],
        signal(...numbers) {
          for (const number of numbers) nic.vector("msix", number).signal();
        },
        pending: () =>
          Array.from({ length: nic.irqInfo("msix").count }, (_, number) => number).filter(
            (number) => nic.vector("msix", number).pending,
          ),
      };
    },
    arrived() {
      const found =
        vm instanceof KvmVm
          ? vm.machine.vcpus.flatMap((vcpu, index) =>
              requestedVectors(vcpu.lapic()).map((vector) => `${index}:${vector}`),
            )
          : vcpus.flatMap((vcpu, index) => {
              const own: string[] = [];
              for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
                own.push(`${index}:${vector}`);
                vcpu.eoi();
              }
              return own;
            });
      if (vm instanceof KvmVm) vm.reset(); // its vCPUs do not run
      return found.sort();
    },
  };
}

/** A call is refused: the guest finds everything as before, and nothing is left over. */
function refused({ host }: World, { msix, pending }: Guest, call: () => void, how: object): void {
  const seen = () => {
    const { device: _, ...live } = liveRecords(host); // a table keeps the room that it has
    const { control, table } = msix;
    return { live, control, table: [...table.read(0, Math.min(4096, table.length))], pending: pending() };
  };
  const before = seen();
  for (let times = 0; times < 3; times++) {
    assert.throws(call, how);
    assert.deepEqual(seen(), before);
    assert.deepEqual(host.audit().findings, []);
  }
}

const KINDS = [
  ["a Vm and Eventfds", false, false, {}],
  ["a Vm and LinuxEventfds", false, true, {}],
  ["a KvmVm and LinuxEventfds", true, true, kvmTests],
] as const;

for (const [name, isKvm, isLinux, options] of KINDS) {
  const inWorld = (act: (world: World) => void) => () => {
    const world = worldOf(isKvm, isLinux);
    act(world);
    assert.deepEqual(world.host.audit().findings, []);
  };
  const up = (world: World, createEventfd?: () => EventfdContext, how: VfioPciOptions = { msix: 3 }) => {
    const guest = world.device(how, createEventfd);
    guest.msix.control = ENABLE;
    return guest;
  };

  describe(`createEventfd, with ${name},`, options, () => {
    it(
      "is to give each vector one of its own: not the same twice",
      inWorld((world) => {
        let one: EventfdContext | undefined;
        const both = world.device({ msix: 2 }, () => {
          one = one?.closed ? world.create() : (one ?? world.create());
          return one;
        });
        both.store(0, ...entry(0, 0x41));
        both.store(1, ...entry(0, 0x42));
        both.signal(0, 1);
        refused(world, both, () => (both.msix.control = ENABLE), {
          code: "EBUSY",
          message: /createEventfd gave/,
        });
        assert.deepEqual(world.arrived(), []);
      }),
    );

    it(
      "nor one that is another vector's, of this MSI-X or of another one",
      inWorld((world) => {
        let one: EventfdContext | undefined;
        const guest = up(world, () => (one ??= world.create()));
        guest.store(0, ...entry(0, 0x41));
        const other = up(world, () => one!);
        for (const who of [guest, other])
          refused(world, who, () => who.store(1, ...entry(0, 0x42)), {
            code: "EBADF",
            message: /createEventfd gave/,
          });
        guest.signal(0);
        assert.deepEqual(world.arrived(), ["0:65"]);
      }),
    );

    it(
      "nor two handles of one eventfd: the vector that has it keeps it",
      inWorld((world) => {
        const one = world.create();
        const guest = up(world, () => world.again(one));
        guest.store(0, ...entry(0, 0x41));
        refused(world, guest, () => guest.store(1, ...entry(0, 0x42)), { code: "EBUSY" });
        guest.signal(0, 1);
        assert.deepEqual([world.arrived(), guest.pending()], [["0:65"], [1]]);
      }),
    );

    it(
      "nor one that somebody else's irqfd listens to: that stays",
      inWorld((world) => {
        const one = world.create();
        const { gsi } = world.vm.routeMsi({ vcpu: 1, vector: 0x70 });
        const irqfd = world.irqfd(one, gsi);
        const guest = up(world, () => world.again(one));
        refused(world, guest, () => guest.store(0, ...entry(0, 0x41)), { code: "EBUSY" });
        assert.equal(irqfd.gsi, gsi);
        guest.msix.control = 0;
        guest.store(0, ...entry(0, 0x41));
        refused(world, guest, () => (guest.msix.control = ENABLE), { code: "EBUSY" });
        assert.equal(irqfd.gsi, gsi);
        guest.msix.dispose();
        assert.equal(irqfd.gsi, gsi);
      }),
    );

    it(
      "nor a closed one, one of another host, or none; what it has given is closed",
      inWorld((world) => {
        const closed = world.create();
        closed.close();
        const other = worldOf(isKvm, isLinux);
        const foreign: EventfdContext[] = [];
        const makeForeign = () => {
          const made = other.create();
          foreign.push(made);
          return made;
        };
        const failure = new IrqBypassError("ENOMEM", "of its own");
        for (const [give, code] of [
          [() => closed, "EBADF"],
          [makeForeign, "EXDEV"],
          [() => ({}) as EventfdContext, "EINVAL"],
          [
            () => {
              throw failure;
            },
            "ENOMEM",
          ],
        ] as const) {
          const guest = up(world, give);
          refused(world, guest, () => guest.store(0, ...entry(0, 0x41)), { code });
          guest.msix.dispose();
        }
        assert.deepEqual(
          foreign.map((one) => one.closed),
          [true, true, true],
        );
        assert.equal(other.host.pools.eventfd.live, 0);
      }),
    );

    it(
      "may store to the same entry itself: one of the two connects it",
      inWorld((world) => {
        let inner = true;
        const guest: Guest = up(world, () => {
          const made = world.create();
          if (inner) {
            inner = false;
            guest.store(0, ...entry(0, 0x42));
          }
          return made;
        });
        guest.store(0, ...entry(0, 0x41));
        guest.signal(0);
        assert.deepEqual([world.arrived(), world.host.pools.eventfd.live], [["0:65"], 1]);
      }),
    );
  });

  describe(`what refuses MSI-X, with ${name},`, options, () => {
    it(
      "leaves all as before, where the host has no interrupt for a vector more",
      inWorld((world) => {
        const guest = up(world, undefined, { msix: 3, hostInterrupts: 1 });
        guest.store(0, ...entry(0, 0x41));
        guest.signal(1);
        refused(world, guest, () => guest.store(1, ...entry(0, 0x42)), { code: "ENOSPC" });
        guest.signal(0);
        assert.deepEqual([world.arrived(), guest.pending()], [["0:65"], [1]]);
      }),
    );

    it(
      "leaves each entry of a store over several as it was, and what is raised goes by that",
      inWorld((world) => {
        const guest = up(world, undefined, { msix: 3, hostInterrupts: 1 });
        const both = () => guest.store(0, ...entry(1, 0x51), ...entry(1, 0x52));
        guest.signal(0, 1);
        refused(world, guest, both, { code: "ENOSPC" });
        assert.deepEqual(world.arrived(), []);
        guest.store(0, ...entry(0, 0x41)); // connected, and led elsewhere by the store that is refused
        assert.deepEqual(world.arrived(), ["0:65"]);
        refused(world, guest, both, { code: "ENOSPC" });
        refused(world, guest, () => guest.store(0, ...entry(1, 0x51, 1), ...entry(1, 0x52)), {
          code: "ENOSPC",
        });
        guest.signal(0);
        assert.deepEqual([world.arrived(), guest.pending()], [["0:65"], [1]]);
        guest.store(0, ...entry(1, 0x53), ...entry(1, 0x54, 1));
        guest.signal(0);
        assert.deepEqual(world.arrived(), ["1:83"]);
      }),
    );

    it(
      "lets nothing through: what is pending stays so while MSI-X is off, or held by the function mask",
      inWorld((world) => {
        const guest = world.device({ msix: 3, hostInterrupts: 1 });
        guest.store(0, ...entry(0, 0x41), ...entry(0, 0x42));
        guest.signal(0, 1);
        refused(world, guest, () => (guest.msix.control = ENABLE), { code: "ENOSPC" });
        assert.deepEqual([world.arrived(), guest.pending()], [[], [0, 1]]);
        guest.msix.control = ENABLE | FUNCTION_MASK;
        refused(world, guest, () => (guest.msix.control = ENABLE), { code: "ENOSPC" });
        assert.deepEqual([world.arrived(), guest.pending(), guest.nic.functionMask], [[], [0, 1], true]);
        guest.store(1, ...entry(0, 0x42, 1));
        guest.msix.control = ENABLE;
        assert.deepEqual([world.arrived(), guest.pending(), guest.nic.functionMask], [["0:65"], [1], false]);
      }),
    );

    it(
      "gives every eventfd back, also of a device that takes all its vectors at once",
      inWorld((world) => {
        const guest = world.device({ msix: 40, dynamicMsix: false }, undefined);
        const room = Array.from({ length: 4 }, () => new VfioPciDevice(world.host)); // the rest of the pool
        refused(world, guest, () => (guest.msix.control = ENABLE), {
          code: "ENOMEM",
          message: /capacity\.device/,
        });
        assert.equal(world.host.pools.eventfd.live, 0);
        for (const one of room) one.dispose();
      }),
    );

    it(
      "is of the VM's end at once",
      inWorld((world) => {
        const guest = world.device({ msix: 2 });
        const vm = isKvm ? new KvmVm(world.host) : new Vm(world.host);
        const nic = new VfioPciDevice(world.host, { msix: 2 });
        const create = world.create as () => Eventfd;
        const msix = new Msix(vm as Vm, nic, create);
        const { handle } = msix;
        vm.dispose();
        assert.throws(() => (msix.control = ENABLE), { code: "EBADF", message: /was disposed/ });
        assert.throws(() => new Msix(vm as Vm, nic, create), { code: "EBADF", message: /was disposed/ });
        assert.throws(() => Msix.open(vm as Vm, handle, create), { code: "EBADF", message: /was disposed/ });
        const newer = isKvm ? new KvmVm(world.host) : new Vm(world.host);
        assert.throws(() => Msix.open(newer as Vm, handle, create), {
          code: "EBADF",
          message: /this MSI-X is of a VM that was disposed: make another one/,
        });
        assert.throws(() => Msix.open(world.vm as Vm, handle, create), { code: "EBADF" });
        const others = guest.msix.handle;
        assert.throws(() => Msix.open(newer as Vm, others, create), { code: "EINVAL", message: /pass that/ });
        msix.control = 0;
        msix.dispose();
        newer.dispose();
      }),
    );
  });

  describe(`a vector of MSI-X, with ${name},`, options, () => {
    it(
      "ends what is its own, and not what another VM's irqfd has of its eventfd by then",
      inWorld((world) => {
        const vm = (isKvm ? new KvmVm(world.host) : new Vm(world.host)) as Vm;
        const nic = new VfioPciDevice(world.host, { msix: 2 });
        const one = world.create();
        const msix = new Msix(vm, nic, () => world.again(one) as Eventfd);
        msix.control = ENABLE;
        msix.table.write(0, bytesOf(...entry(0, 0x41)));
        const { gsi } = vm.route(24); // the vector's
        vm.dispose();
        const newer = (isKvm ? new KvmVm(world.host) : new Vm(world.host)) as Vm;
        newer.setGsiRouting([{ gsi, msi: { vcpu: 0, vector: 0x60 } }]);
        const irqfd = newer.irqfd(one as Eventfd, gsi);
        msix.dispose();
        assert.equal(irqfd.gsi, gsi);
        newer.dispose();
        nic.dispose();
      }),
    );

    it(
      "is connected again by the guest's next store, whatever part of it somebody took away",
      inWorld((world) => {
        const one = world.create();
        const [guest, twin] = [up(world), up(world, () => world.again(one))];
        guest.store(0, ...entry(0, 0x41));
        guest.nic.disable("msix");
        guest.signal(0);
        assert.deepEqual([world.arrived(), guest.pending()], [[], [0]]);
        guest.store(0, ...entry(0, 0x42));
        assert.deepEqual([world.arrived(), guest.pending()], [["0:66"], []]);
        guest.nic.setTrigger("msix", 0, null);
        guest.signal(0);
        guest.store(0, ...entry(1, 0x42));
        assert.deepEqual(world.arrived(), ["1:66"]);
        const gsis = () => world.host.pools.route.live;
        const routes = gsis();
        twin.store(0, ...entry(0, 0x43));
        assert.equal(gsis(), routes + 1);
        world.vm.setGsiRouting([]);
        twin.store(0, ...entry(0, 0x44));
        twin.signal(0);
        assert.deepEqual(world.arrived(), ["0:68"]);
      }),
    );

    it("has its eventfd to itself: who waits for that through the handle that was given hears that it is closed", async () => {
      const world = worldOf(isKvm, isLinux);
      const given = world.create();
      const waits = given.readAsync();
      const guest = up(world, () => given);
      guest.store(0, ...entry(0, 0x41));
      await assert.rejects(waits, { code: "EBADF" });
      guest.signal(0);
      assert.deepEqual(world.arrived(), ["0:65"]);
    });

    it(
      "is nobody's that has left: an audit names nothing of it",
      inWorld((world) => {
        const { host, vm } = world;
        const guest = up(world);
        const kinds = isKvm || isLinux ? { kinds: [linux(), ...(isKvm ? [kvm()] : [])] } : {};
        const there = Host.attach(host.handle, kinds);
        const theirs = (vm instanceof Vm ? Vm : KvmVm).open(there, vm.handle as number) as Vm;
        const create = (() => world.create(there)) as () => Eventfd;
        Msix.open(theirs, guest.msix.handle, create).table.write(0, bytesOf(...entry(0, 0x41)));
        there.dispose();
        assert.deepEqual(host.audit().left, []);
        guest.signal(0);
        assert.deepEqual(world.arrived(), ["0:65"]);
      }),
    );
  });
}

describe("an entry of MSI-X in a VM without long ids", () => {
  it("leads where the same message does that a VMM sends", () => {
    const host = Host.create();
    const vm = new Vm(host, { apic: { longIds: false } });
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    const nic = new VfioPciDevice(host, { msix: 1 });
    const msix = new Msix(vm, nic, () => Eventfd.create(host));
    msix.control = ENABLE;
    for (const addressHigh of [1, 0, 0x100]) {
      msix.table.write(0, bytesOf(0xfee00000, addressHigh, 0x41, 0));
      nic.vector("msix", 0).signal();
      vm.signalMsi({ address: 0xfee00000, addressHigh, data: 0x42 });
      assert.deepEqual(
        [vcpu.acknowledge(), vcpu.eoi(), vcpu.acknowledge(), vcpu.eoi()],
        [0x42, 0, 0x41, 0].map((v) => v || undefined),
      );
    }
    assert.deepEqual(host.audit().findings, []);
  });
});

describe("the bytes of a store", () => {
  it("are to be ones that have numbers: what has none is told what to pass", () => {
    const host = Host.create();
    const msix = new Msix(new Vm(host), new VfioPciDevice(host, { msix: 1 }), () => Eventfd.create(host));
    for (const bytes of [
      new DataView(new ArrayBuffer(4)),
      new ArrayBuffer(4),
      new SharedArrayBuffer(4),
      new Set([1]),
      new Map(),
      {},
    ] as unknown as number[][])
      for (const part of [msix.table, msix.pba])
        assert.throws(() => part.write(0, bytes), {
          code: "EINVAL",
          message: /pass bytes, such as new Uint8Array\(4\)/,
        });
  });
});
