/** The waits of one vCPU, or of an interrupt file, beside each other, beside what its own thread does, and without a local APIC. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Epoll, Eventfd, Host, InterruptFile, Vcpu, Vm, type VmOptions } from "irqbypass";
import { KICKED, ON, WAKEUP_VECTOR } from "#src/host/layout.js";
import { createMemory } from "#src/host/wasm.js";
import { settledOrLate } from "../support/late.js";

const VECTOR = 0x41;

function open(options: VmOptions = {}) {
  const host = Host.create();
  const vm = new Vm(host, options);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const buffer = host.handle.memory.buffer as SharedArrayBuffer;
  return {
    host,
    vm,
    vcpu,
    file: InterruptFile.open(host.handle.memory, vcpu.fileAddress),
    word: new Int32Array(buffer, vcpu.onAddress, 1),
    send: (vector: number) => vm.signalMsi({ vcpu: 0, vector }),
    [Symbol.dispose]() {
      assert.deepEqual(host.audit().findings, []);
      vcpu.put();
      vm.dispose();
      host.dispose();
    },
  };
}

describe("an asynchronous wait beside one that blocks", () => {
  for (const bare of [false, true]) {
    const what = bare ? "a vCPU without a local APIC" : "a vCPU";
    it(`of ${what} is woken by a post and by a kick after it`, async () => {
      using t = open({ apic: !bare });
      for (const [wake, act] of [
        ["interrupt", () => t.send(VECTOR)],
        ["kicked", () => t.vm.vcpu(0).kick()],
      ] as const) {
        const waiting = [t.vcpu.waitAsync(), t.vcpu.waitAsync()];
        assert.equal(t.vcpu.wait({ timeoutMs: 2 }), "timeout");
        assert.equal(t.file.block({ timeoutMs: 2 }), "timeout");
        act();
        assert.equal(await settledOrLate(Promise.race(waiting)), wake);
        if (wake === "kicked") t.vm.vcpu(0).kick();
        await settledOrLate(Promise.all(waiting));
        if (bare) t.vcpu.take(new Uint32Array(8));
        else if (t.vcpu.acknowledge() !== undefined) t.vcpu.eoi();
      }
      assert.notEqual(t.vcpu.inspect().nv, WAKEUP_VECTOR, "it asks to be woken still");
    });
  }

  it("of an interrupt file is woken by a post and by a kick after it", async () => {
    const file = InterruptFile.create(createMemory(1), 0);
    for (const [wake, act] of [
      ["kicked", () => file.kick()],
      ["interrupt", () => file.post(VECTOR)],
    ] as const) {
      const waiting = file.blockAsync();
      assert.equal(file.block({ timeoutMs: 2 }), "timeout");
      act();
      assert.equal(await settledOrLate(waiting), wake);
    }
  });
});

describe("the word of a vCPU that compiled code polls", () => {
  const says = (word: Int32Array) => Atomics.load(word, 0) & ON;

  it("says that an interrupt is there until it is taken, whatever has waited or been armed meanwhile", async () => {
    using t = open();
    for (let round = 0; round < 3; round++) {
      t.send(VECTOR);
      assert.equal(says(t.word), ON);
      assert.equal(
        t.vcpu.arm(() => {}),
        false,
      );
      assert.equal(t.vcpu.wait({ timeoutMs: 0 }), "interrupt");
      assert.equal(t.vcpu.wait(), "interrupt");
      assert.equal(await t.vcpu.waitAsync(), "interrupt");
      assert.deepEqual([says(t.word), t.vcpu.pending(), t.vcpu.hasInterrupt()], [ON, true, true]);
      assert.equal(t.vcpu.acknowledge(), VECTOR);
      t.vcpu.eoi();
      assert.deepEqual([says(t.word), t.vcpu.hasInterrupt()], [0, false]);
    }
  });

  it("says it beside one that the priority holds back, and does not keep a wait for that from sleeping", () => {
    using t = open();
    t.vcpu.tpr = 0x4f;
    t.send(VECTOR);
    assert.equal(t.vcpu.wait({ timeoutMs: 5 }), "timeout");
    t.send(0x51);
    assert.equal(t.vcpu.wait(), "interrupt");
    assert.equal(says(t.word), ON);
    assert.equal(t.vcpu.acknowledge(), 0x51);
  });
});

describe("a vCPU without a local APIC", () => {
  it("is not held back by its state: what is posted ends each of its waits", async () => {
    using t = open({ apic: false });
    for (const state of ["uninitialized", "init-received", "runnable"] as const) {
      t.vcpu.state = state;
      t.send(VECTOR);
      assert.equal(t.vcpu.hasInterrupt(), true);
      assert.equal(t.vcpu.wait(), "interrupt");
      assert.equal(await settledOrLate(t.vcpu.waitAsync()), "interrupt");
      assert.equal(
        t.vcpu.arm(() => {}),
        false,
      );
      assert.equal(t.vcpu.take(new Uint32Array(8)), true);
    }
  });

  it("hears of an INIT and of a start-up, and of its devices after them as before", () => {
    using t = open({ apic: false, vcpus: 2 });
    using other = Vcpu.open(t.host, t.vm.vcpu(1).handle);
    const eventfd = Eventfd.create(t.host);
    t.vm.setGsiRouting([{ gsi: 1, msi: { vcpu: 1, vector: VECTOR } }]);
    const irqfd = t.vm.irqfd(eventfd, 1);
    const told = (data: number) => t.vm.signalMsi({ address: 0xfee01000, data });
    told(0x4500); // INIT
    assert.equal(other.wait({ timeoutMs: 0 }), "init");
    assert.equal(other.state, "init-received");
    assert.equal(t.vm.signalMsi({ vcpu: 1, vector: 0x50 }), 1);
    assert.deepEqual(irqfd.reasons.includes("no-vcpu"), false);
    told(0x4612); // start-up
    assert.equal(other.wait({ timeoutMs: 0 }), "start-up");
    const taken = new Uint32Array(8);
    assert.deepEqual([other.take(taken), taken[2]], [true, 1 << (0x50 - 64)]);
    eventfd.close();
  });

  it("sleeps beside what an interrupt file's poster left in it, and takes that", () => {
    using t = open({ apic: false });
    t.vcpu.state = "uninitialized";
    assert.equal(t.vcpu.wait({ timeoutMs: 2 }), "timeout");
    t.file.post(VECTOR);
    assert.equal(t.vcpu.wait(), "interrupt");
    assert.equal(t.vcpu.take(new Uint32Array(8)), true);
  });
});

describe("what a vCPU's own thread does, while it is armed or waits asynchronously,", () => {
  const CHANGES: Readonly<Record<string, (t: ReturnType<typeof open>) => () => void>> = {
    "a lower task priority": ({ vcpu, send }) => {
      vcpu.tpr = 0x4f;
      send(VECTOR);
      return () => {
        vcpu.tpr = 0;
      };
    },
    "an end of interrupt": ({ vcpu, send }) => {
      send(VECTOR);
      assert.equal(vcpu.acknowledge(), VECTOR);
      send(VECTOR - 1);
      return () => vcpu.eoi();
    },
    "an end of interrupt by its register": ({ vcpu, send }) => {
      send(VECTOR);
      assert.equal(vcpu.acknowledge(), VECTOR);
      send(VECTOR - 1);
      return () => vcpu.apic.writeMsr(0x80b, 0);
    },
    "its state": ({ vcpu, send }) => {
      vcpu.state = "uninitialized";
      send(VECTOR);
      return () => {
        vcpu.state = "runnable";
      };
    },
    "a task priority by its register": ({ vcpu, send }) => {
      vcpu.tpr = 0x4f;
      send(VECTOR);
      return () => vcpu.apic.writeMsr(0x808, 0);
    },
  };
  for (const [what, prepare] of Object.entries(CHANGES)) {
    it(`${what}, ends that where an interrupt can be delivered by it`, async () => {
      using t = open();
      const change = prepare(t);
      let called = 0;
      const armed = new Promise<void>((resolve) => {
        const callback = () => {
          called += 1;
          resolve();
        };
        assert.equal(t.vcpu.arm(callback), true);
      });
      change();
      assert.equal(called, 0, "not from within the call");
      await settledOrLate(armed);
      assert.equal(t.vcpu.hasInterrupt(), true);
      while (t.vcpu.acknowledge() !== undefined) t.vcpu.eoi();
      const again = prepare(t);
      const waiting = t.vcpu.waitAsync();
      again();
      assert.equal(await settledOrLate(waiting), "interrupt");
      while (t.vcpu.acknowledge() !== undefined) t.vcpu.eoi();
    });
  }
});

describe("a wait whose signal is aborted already", () => {
  it("rejects with its reason, and takes nothing of what is there", async () => {
    using t = open();
    const signal = AbortSignal.abort(new Error("no more"));
    const eventfd = Eventfd.create(t.host, { initial: 3 });
    const epoll = Epoll.create(t.host);
    epoll.add(eventfd, { edge: true });
    t.vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: VECTOR } }]);
    const irqfd = t.vm.irqfd(Eventfd.create(t.host), 24);
    t.vm.vcpu(0).kick();
    for (const timeoutMs of [0, Infinity])
      for (const wait of [
        () => t.vcpu.waitAsync({ signal, timeoutMs }),
        () => t.file.blockAsync({ signal, timeoutMs }),
        () => eventfd.readAsync({ signal, timeoutMs }),
        () => epoll.waitAsync({ signal, timeoutMs }),
        () => irqfd.relayed({ signal, timeoutMs }),
        () => t.host.whenFree(() => assert.fail("called"), { signal, timeoutMs }),
      ])
        await assert.rejects(wait, /no more/);
    assert.equal(Atomics.load(t.word, 0) & KICKED, KICKED);
    assert.equal(t.vcpu.wait({ timeoutMs: 0 }), "kicked");
    assert.deepEqual([epoll.tryWait().length, eventfd.tryRead()], [1, 3n]);
    epoll.close();
  });
});
