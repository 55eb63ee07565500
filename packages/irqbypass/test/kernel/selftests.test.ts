/**
 * What the kernel's own selftests of eventfds, irqfds and interrupts do, step by step, on a kernel and on the software VM.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Producer } from "#src/bypass/producer.js";
import { Eventfd } from "#src/eventfd/eventfd.js";
import { errorCode, IrqBypassError } from "#src/host/errors.js";
import { KVM_IRQFD } from "#src/kvm/ioctl.js";
import { kvm as kvmKind } from "#src/kvm/kind.js";
import { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine } from "#src/kvm/machine.js";
import { KvmVm } from "#src/kvm/vm.js";
import { LinuxEventfd } from "#src/linux/eventfd.js";
import { eventfdInfo } from "#src/linux/eventfd-info.js";
import { O_CLOEXEC, O_NONBLOCK, O_RDWR } from "#src/linux/ffi.js";
import { linux as linuxKind } from "#src/linux/kind.js";
import { loadFfi } from "#src/linux/koffi.js";
import { Host } from "#src/vm/host.js";
import { Vcpu } from "#src/vm/vcpu.js";
import { Vm } from "#src/vm/vm.js";
import { kvmTests } from "../kvm/available.js";
import { eventually } from "../kvm/eventually.js";
import { linux } from "../linux/available.js";
import { PATIENCE_MS, TestThread } from "../support/worker.js";
import type { AntagonistData, Outcomes } from "./antagonist.js";

const CAPACITY = { eventfd: 64, producer: 8, consumer: 64, vm: 4, vcpu: 16, route: 64, routing: 8 };
const ROUNDS = 10_000;
const INTERRUPTS = 1000;
const DEASSIGN = 1;

/** Two VMs and eventfds, on either side. An eventfd is named by a number that the other thread can use. */
interface Side extends Disposable {
  readonly data: Omit<AntagonistData, "control" | "eventfd">;
  create(): number;
  close(eventfd: number): void;
  /** Returns "ok" or the errno. */
  assign(vm: number, eventfd: number, gsi: number): string;
  deassign(vm: number, eventfd: number, gsi: number): string;
}

function kernelSide(): Side {
  const kvm = Kvm.open();
  const machines = [0, 1].map(() => new KvmMachine(kvm));
  for (const machine of machines) machine.createVcpu();
  const { ffi } = kvm;
  const call = (vm: number, eventfd: number, gsi: number, flags: number) => {
    const argument = Uint32Array.of(eventfd, gsi, flags, 0, 0, 0, 0, 0);
    const result = ffi.ioctlBuffer(machines[vm]!.fd, KVM_IRQFD.request, argument);
    return result === 0 ? "ok" : errorCode(result);
  };
  return {
    data: { vms: machines.map(({ fd }) => fd) },
    create: () => ffi.eventfd(0, O_CLOEXEC),
    close: (eventfd) => void ffi.close(eventfd),
    assign: (vm, eventfd, gsi) => call(vm, eventfd, gsi, 0),
    deassign: (vm, eventfd, gsi) => call(vm, eventfd, gsi, DEASSIGN),
    [Symbol.dispose]() {
      for (const machine of machines) machine[Symbol.dispose]();
      kvm[Symbol.dispose]();
    },
  };
}

function softwareSide(): Side {
  const host = Host.create({ capacity: CAPACITY });
  const vms = [0, 1].map(() => new Vm(host));
  const tokens = new Map<number, Eventfd>();
  const code = (call: () => void): string => {
    try {
      call();
      return "ok";
    } catch (error) {
      if (error instanceof IrqBypassError) return error.code;
      throw error;
    }
  };
  return {
    data: { host: host.handle, vms: vms.map(({ handle }) => handle) },
    create() {
      const token = Eventfd.create(host);
      tokens.set(token.handle, token);
      return token.handle;
    },
    close(eventfd) {
      tokens.get(eventfd)!.close();
      tokens.delete(eventfd);
    },
    assign: (vm, eventfd, gsi) => code(() => vms[vm]!.irqfd(tokens.get(eventfd)!, gsi)),
    deassign: (vm, eventfd, gsi) => code(() => vms[vm]!.deassign(tokens.get(eventfd)!, gsi)),
    [Symbol.dispose]() {
      for (const vm of vms) vm.dispose();
      const { eventfd, consumer } = host.pools;
      assert.deepEqual([eventfd.live, consumer.live], [0, 0]);
      host.dispose();
    },
  };
}

for (const [name, make, options] of [
  ["kernel", kernelSide, kvmTests],
  ["software VM", softwareSide, {}],
] as const) {
  describe(`irqfd_test on the ${name}`, options, () => {
    it("has an eventfd in one VM under one GSI, and deassigns what was never assigned", () => {
      using side = make();
      const eventfd = side.create();
      assert.equal(side.assign(0, eventfd, 10), "ok");
      assert.equal(side.assign(0, eventfd, 11), "EBUSY");
      assert.equal(side.assign(1, eventfd, 12), "EBUSY");
      for (const gsi of [11, 12, 13, 14, 10]) assert.equal(side.deassign(0, eventfd, gsi), "ok");
      side.close(eventfd);
    });

    it("is right beside a thread that assigns and deassigns the same eventfds", async () => {
      using side = make();
      const control = new Int32Array(new SharedArrayBuffer(8));
      const current = new Float64Array(new SharedArrayBuffer(8));
      let eventfd = side.create();
      current[0] = eventfd;
      const data: AntagonistData = { ...side.data, control, eventfd: current };
      const antagonist = new TestThread(new URL("./antagonist.js", import.meta.url), data);
      assert.equal(await antagonist.next(), "running");
      const taken = { first: 0, second: 0, neither: 0 };
      for (let round = 0; round < ROUNDS; round++) {
        for (const vm of [0, 1]) {
          const first = side.assign(vm, eventfd, 0x20);
          const second = side.assign(vm, eventfd, 0x21);
          assert.ok(first === "ok" || first === "EBUSY", first);
          assert.ok(second === "EBUSY" || (second === "ok" && first === "EBUSY"), `${first}, then ${second}`);
          taken[first === "ok" ? "first" : second === "ok" ? "second" : "neither"]++;
          assert.equal(side.deassign(vm, eventfd, 0x20), "ok");
          assert.equal(side.deassign(vm, eventfd, 0x21), "ok");
        }
        const old = eventfd;
        eventfd = side.create();
        current[0] = eventfd;
        side.close(old);
      }
      Atomics.store(control, 0, 1);
      const outcomes = (await antagonist.next()) as Outcomes;
      await antagonist.done;
      side.close(eventfd);
      // A handle that is gone is ESTALE, a descriptor EBADF.
      const allowed = ["assign ok", "assign EBUSY", "assign EBADF", "assign ESTALE"];
      allowed.push("deassign ok", "deassign EBADF", "deassign ESTALE");
      for (const outcome of Object.keys(outcomes)) assert.ok(allowed.includes(outcome), outcome);
      assert.ok(taken.first > 0 && outcomes["assign ok"]! > 0, "both threads had it at times");
    });
  });
}

/** Numbers that look random and are the same in each run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

/** GSI 24 to 4095, vector 32 to 255, for each interrupt another; and which ones are preceded by an empty table. */
function* interrupts(vcpus: number, seed: number) {
  const random = numbers(seed);
  const gsi = 24 + (random.next().value % (4096 - 24));
  for (let i = 0; i < INTERRUPTS; i++) {
    const vector = 32 + (random.next().value % (256 - 32));
    yield { i, gsi, vector, vcpu: i % vcpus, empty: (i & 8) !== 0, nmi: (i & 4) !== 0 };
  }
}

describe("irq_test", () => {
  for (const device of [false, true]) {
    const how = device ? "from a device" : "through the eventfd";

    it(
      `on a KVM guest, ${how}: each interrupt reaches the vCPU of the new route, and no other`,
      kvmTests,
      async () => {
        const VCPUS = 2;
        using host = Host.create({ kinds: [linuxKind(), kvmKind()], capacity: CAPACITY });
        using vm = new KvmVm(host, { vcpus: VCPUS });
        using eventfd = LinuxEventfd.create(host);
        using producer = Producer.create(host);
        vm.start();
        const { count } = vm.tables(0);
        const all = Array.from({ length: VCPUS }, (_, vcpu) => vm.tables(vcpu).count);
        const total = () => all.reduce((sum, table) => table.reduce((one, n) => one + n, sum), 0);
        assert.equal(total(), 0);
        for (const { i, gsi, vector, vcpu, empty } of interrupts(VCPUS, 7)) {
          if (i === 0) vm.irqfd(eventfd, gsi);
          if (i === 0 && device) producer.register(eventfd);
          if (empty) vm.setGsiRouting([]);
          vm.setGsiRouting([{ gsi, msi: { vcpu, vector } }]);
          const table = all[vcpu]!;
          const seen = table[vector]!;
          if (device) producer.signal();
          else eventfd.write();
          eventually(
            () => Atomics.load(table, vector) === seen + 1,
            () => `interrupt ${i} (vector ${vector}, vCPU ${vcpu}) arrived`,
          );
          assert.equal(total(), i + 1, "and nothing went astray");
        }
        assert.equal(device ? producer.path : "irqfd", device ? "injected" : "irqfd");
        assert.ok(count.length > 0);
        await vm.stop();
      },
    );

    it(`on a software VM, ${how}, with NMIs: each reaches the vCPU of the new route, and no other`, async () => {
      const VCPUS = 2;
      using host = Host.create({ capacity: CAPACITY });
      using vm = new Vm(host, { vcpus: VCPUS });
      using eventfd = Eventfd.create(host);
      using producer = Producer.create(host);
      const vcpus = Array.from({ length: VCPUS }, (_, index) => Vcpu.open(host, vm.vcpu(index).handle));
      for (const { i, gsi, vector, vcpu, empty, nmi } of interrupts(VCPUS, 9)) {
        if (i === 0) vm.irqfd(eventfd, gsi);
        if (i === 0 && device) producer.register(eventfd);
        if (empty) vm.setGsiRouting([]);
        const data = nmi ? (4 << 8) | vector : vector;
        vm.setGsiRouting([{ gsi, msi: { address: (0xfee00000 | (vcpu << 12)) >>> 0, data } }]);
        if (device) producer.signal();
        else eventfd.write();
        const target = vcpus[vcpu]!;
        assert.equal(await target.waitAsync({ timeoutMs: PATIENCE_MS }), nmi ? "nmi" : "interrupt", `${i}`);
        if (!nmi) {
          assert.equal(target.acknowledge(), vector);
          target.eoi();
        }
        for (const one of vcpus) assert.equal(one.wait({ timeoutMs: 0 }), "timeout", "nothing went astray");
      }
      for (const one of vcpus) one.put();
    });
  }
});

describe("eventfd_test", linux, () => {
  const F_GETFD = 1;
  const F_GETFL = 3;
  const FD_CLOEXEC = 1;
  const EFD_SEMAPHORE = 1;
  const ffi = linux.skip === false ? loadFfi() : undefined!;
  let fd = -1;
  before(() => assert.ok(ffi));
  after(() => assert.equal(fd, -1));

  for (const [what, flags, cloexec, nonblocking] of [
    ["no flag", 0, false, false],
    ["EFD_CLOEXEC", O_CLOEXEC, true, false],
    ["EFD_NONBLOCK", O_NONBLOCK, false, true],
    ["both", O_CLOEXEC | O_NONBLOCK, true, true],
  ] as const) {
    it(`with ${what} has the flags of a descriptor that say so`, () => {
      fd = ffi.eventfd(0, flags);
      const status = ffi.fcntl(fd, F_GETFL, 0);
      assert.equal(status & 3, O_RDWR);
      assert.equal((status & O_NONBLOCK) !== 0, nonblocking);
      assert.equal((ffi.fcntl(fd, F_GETFD, 0) & FD_CLOEXEC) !== 0, cloexec);
      assert.equal(eventfdInfo(fd).nonblocking, nonblocking);
      ffi.close(fd);
      fd = -1;
    });
  }

  it("with EFD_SEMAPHORE says so in its fdinfo, beside its count and its id", () => {
    fd = ffi.eventfd(0, EFD_SEMAPHORE);
    const text = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
    assert.match(text, /^eventfd-semaphore: 1$/m);
    assert.match(text, /^eventfd-count: +0$/m);
    assert.match(text, /^eventfd-id: \d+$/m);
    ffi.close(fd);
    fd = -1;
  });

  it("refuses a flag that it does not know", () => {
    assert.equal(errorCode(ffi.eventfd(0, 2)), "EINVAL");
  });
});
