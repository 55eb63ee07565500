/** vCPUs: taking interrupts by priority, waiting, kicks, and moving to another thread. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { Eventfd, Host, Producer, Vcpu, VfioPciDevice, Vm, type VmOptions } from "irqbypass";
import { Vcpu as V } from "#src/host/layout.js";
import { harvest, post } from "#src/posting/descriptor.js";
import * as fast from "#src/posting/fast-path.js";
import { smallHost } from "../support/host.js";
import { PATIENCE_MS, TestThread } from "../support/worker.js";
import type { VcpuWork } from "./vcpu-worker.js";

let host: Host;
beforeEach(() => {
  host = smallHost();
});

function open(options: VmOptions = {}): { vm: Vm; vcpu: Vcpu; send: (...vectors: number[]) => void } {
  const vm = new Vm(host, options);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  return {
    vm,
    vcpu,
    send: (...vectors) => {
      for (const vector of vectors) post(host.words, vcpu.file, vector);
    },
  };
}

describe("a vCPU with a local APIC", () => {
  it("serves the highest vector first, and the next after its EOI", () => {
    const { vcpu, send } = open();
    send(0x30, 0x80, 0x55, 0x81);
    const order: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      order.push(vcpu.acknowledge());
      vcpu.eoi();
    }
    assert.deepEqual(order, [0x81, 0x80, 0x55, 0x30, undefined]);
  });

  it("lets a vector of a higher class interrupt one in service, and none of its own class", () => {
    const { vcpu, send } = open();
    send(0x41);
    assert.equal(vcpu.acknowledge(), 0x41);
    send(0x4f);
    assert.equal(vcpu.acknowledge(), undefined);
    assert.equal(vcpu.ppr, 0x40);
    send(0x50);
    assert.equal(vcpu.acknowledge(), 0x50);
    assert.equal(vcpu.ppr, 0x50);
    vcpu.eoi(); // of 0x50, the highest in service
    assert.equal(vcpu.acknowledge(), undefined);
    vcpu.eoi();
    assert.equal(vcpu.acknowledge(), 0x4f);
    vcpu.eoi();
    vcpu.eoi(); // nothing is in service: nothing happens
    assert.equal(vcpu.ppr, 0);
  });

  it("says whether acknowledge would give something, and changes nothing by it", () => {
    const { vcpu, send } = open();
    const looked = () => {
      const words = [...Array(V.words).keys()].map((word) => host.words.load(vcpu.record + word));
      const found = vcpu.hasInterrupt();
      assert.deepEqual(
        [...Array(V.words).keys()].map((word) => host.words.load(vcpu.record + word)),
        words,
      );
      return found;
    };
    assert.equal(looked(), false);
    send(0x41, 0x42, 0x61);
    assert.equal(looked(), true);
    assert.equal(vcpu.acknowledge(), 0x61);
    assert.equal(looked(), false, "what is requested is below what is in service");
    send(0x55);
    assert.equal(looked(), false, "so is what is posted");
    send(0x70);
    assert.equal(looked(), true, "what is posted is above it");
    assert.deepEqual([vcpu.acknowledge(), looked()], [0x70, false]);
    vcpu.eoi();
    assert.equal(looked(), false);
    vcpu.eoi();
    assert.equal(vcpu.pending(), false);
    assert.equal(looked(), true, "an EOI uncovers it, though nothing is posted");
    vcpu.tpr = 0x50;
    assert.equal(looked(), false);
    vcpu.tpr = 0x4f;
    assert.equal(looked(), true, "0x55 is of a higher class");
    const order = [vcpu.acknowledge(), looked()];
    vcpu.eoi();
    vcpu.tpr = 0;
    assert.deepEqual([...order, looked(), vcpu.acknowledge(), looked()], [0x55, false, true, 0x42, false]);
    vcpu.eoi();
    assert.deepEqual([looked(), vcpu.acknowledge(), looked()], [true, 0x41, false]);
  });

  it("says nothing of an NMI and of a kick, which a wait of 0 tells of", () => {
    const { vm, vcpu } = open();
    vm.setGsiRouting([{ gsi: 3, msi: { address: 0xfee00000, data: 0x400 } }]);
    vm.setIrqLine(3, true);
    vcpu.kick();
    assert.equal(vcpu.hasInterrupt(), false);
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "nmi");
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "kicked");
    assert.equal(vcpu.hasInterrupt(), false);
  });

  it("holds back what its task priority covers, in classes of 16", () => {
    const { vcpu, send } = open();
    send(0x45, 0x62);
    for (const [tpr, ppr] of [
      [0xf0, 0xf0],
      [0x62, 0x62],
      [0x60, 0x60],
    ] as const) {
      vcpu.tpr = tpr;
      assert.equal(vcpu.ppr, ppr);
      assert.equal(vcpu.acknowledge(), undefined);
      assert.equal(vcpu.wait({ timeoutMs: 0 }), "timeout");
    }
    vcpu.tpr = 0x5f;
    assert.equal(vcpu.tpr, 0x5f);
    assert.equal(vcpu.acknowledge(), 0x62);
    assert.equal(vcpu.ppr, 0x60); // in service is higher
    vcpu.tpr = 0x65;
    assert.equal(vcpu.ppr, 0x65); // of one class, the task priority counts
    vcpu.eoi();
    vcpu.tpr = 0;
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "interrupt");
    assert.equal(vcpu.acknowledge(), 0x45);
  });

  it("has one request of a vector beside one in service", () => {
    const { vcpu, send } = open();
    send(0x70);
    assert.equal(vcpu.acknowledge(), 0x70);
    send(0x70, 0x70, 0x70);
    assert.equal(vcpu.acknowledge(), undefined);
    vcpu.eoi();
    assert.equal(vcpu.acknowledge(), 0x70);
    vcpu.eoi();
    assert.equal(vcpu.acknowledge(), undefined);
  });

  it("refuses a task priority that is none, and take", () => {
    const { vcpu } = open();
    for (const priority of [-1, 256, 0.5, Number.NaN]) {
      assert.throws(
        () => {
          vcpu.tpr = priority;
        },
        { code: "EINVAL" },
      );
    }
    assert.throws(() => vcpu.take(new Uint32Array(8)), {
      code: "EINVAL",
      message: /apic: false.*acknowledge/,
    });
  });
});

describe("a bare vCPU", () => {
  it("gives all that was posted at once, added to what is there", () => {
    const { vcpu, send } = open({ apic: false });
    const into = new Uint32Array(8);
    into[0] = 1;
    assert.equal(vcpu.take(into), false);
    assert.equal(vcpu.hasInterrupt(), false);
    send(3, 0x41, 255);
    assert.equal(vcpu.pending(), true);
    assert.equal(vcpu.hasInterrupt(), true);
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "interrupt");
    assert.equal(vcpu.take(into), true);
    assert.deepEqual([...into], [1 | (1 << 3), 0, 2, 0, 0, 0, 0, 0x80000000]);
    assert.equal(vcpu.take(into), false);
    assert.equal(vcpu.pending(), false);
    assert.equal(vcpu.hasInterrupt(), false);
    send(3);
    const signed = new Int32Array(8);
    assert.equal(vcpu.take(signed), true);
    assert.deepEqual([...signed], [8, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("gives what was half taken when its thread ended to the next thread", () => {
    const { vm, vcpu, send } = open({ apic: false });
    send(3, 200);
    harvest(host.words, vcpu.file, vcpu.record + V.irr); // the first half of a take
    vcpu.put();
    send(201);
    const next = Vcpu.open(host, vm.vcpu(0).handle);
    assert.equal(next.wait({ timeoutMs: 0 }), "interrupt");
    const into = new Uint32Array(8);
    assert.equal(next.take(into), true);
    assert.deepEqual([...into], [8, 0, 0, 0, 0, 0, 3 << 8, 0]);
    assert.equal(next.take(into), false);
  });

  it("shows its ON bit to compiled code, by address", () => {
    const { vcpu, send } = open({ apic: false });
    const words = new Int32Array(host.handle.memory.buffer);
    assert.equal(words[vcpu.onAddress / 4]! & 1, 0);
    send(9);
    assert.equal(words[vcpu.onAddress / 4]! & 1, 1);
    vcpu.take(new Uint32Array(8));
    assert.equal(words[vcpu.onAddress / 4]! & 1, 0);
  });

  it("has no local APIC to ask, and takes into eight words", () => {
    const { vcpu } = open({ apic: false });
    for (const call of [() => vcpu.acknowledge(), () => vcpu.eoi(), () => vcpu.ppr]) {
      assert.throws(call, { code: "EINVAL", message: /made with apic: false: use take/ });
    }
    assert.throws(() => vcpu.take(new Uint32Array(7)), { code: "EINVAL", message: /take needs 8 words/ });
  });
});

describe("a wait", () => {
  it("ends with what is there already, before it looks at the time", async () => {
    const { vcpu, send } = open();
    send(0x41);
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "interrupt");
    assert.equal(await vcpu.waitAsync({ timeoutMs: 0 }), "interrupt");
    vcpu.acknowledge();
    vcpu.eoi();
    assert.equal(vcpu.wait({ timeoutMs: 1 }), "timeout");
    assert.equal(await vcpu.waitAsync({ timeoutMs: 1 }), "timeout");
    assert.equal(vcpu.inspect().nv, 0xf2, "it is not blocked any more");
  });

  it("ends with a kick, also one that came before, once", async () => {
    const { vm, vcpu, send } = open();
    vm.vcpu(0).kick();
    vm.vcpu(0).kick();
    assert.equal(vcpu.wait(), "kicked");
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "timeout");
    vm.vcpu(0).kick();
    send(0x41);
    assert.equal(vcpu.wait(), "interrupt"); // first; the kick waits for the next one
    vcpu.acknowledge();
    assert.equal(await vcpu.waitAsync(), "kicked");
    setImmediate(() => vm.vcpu(0).kick());
    assert.equal(await vcpu.waitAsync({ timeoutMs: PATIENCE_MS }), "kicked");
  });

  it("without blocking ends with an interrupt, and with the reason of its AbortSignal", async () => {
    const { vcpu, send } = open();
    const waiting = vcpu.waitAsync({ timeoutMs: PATIENCE_MS });
    assert.equal(vcpu.inspect().nv, 0xf1, "it is blocked");
    send(0x41);
    assert.equal(await waiting, "interrupt");
    assert.equal(vcpu.inspect().nv, 0xf2);
    vcpu.acknowledge();
    const reason = new Error("enough");
    const controller = new AbortController();
    const aborted = vcpu.waitAsync({ signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(aborted, reason);
    assert.equal(vcpu.inspect().nv, 0xf2);
    await assert.rejects(vcpu.waitAsync({ signal: AbortSignal.abort(reason) }), reason);
  });

  it("goes on over interrupts that the task priority holds back", async () => {
    const { vcpu, send } = open();
    vcpu.tpr = 0x80;
    const waiting = vcpu.waitAsync({ timeoutMs: PATIENCE_MS });
    send(0x41);
    await new Promise(setImmediate);
    send(0x91);
    assert.equal(await waiting, "interrupt");
    assert.equal(vcpu.acknowledge(), 0x91);
  });

  it("ends with EBADF when the vCPU is put meanwhile, and leaves the next one's wait alone", async () => {
    const { vm, vcpu } = open();
    const waiting = vcpu.waitAsync();
    vcpu.put();
    using next = Vcpu.open(host, vm.vcpu(0).handle);
    const blocked = next.waitAsync({ timeoutMs: PATIENCE_MS });
    assert.equal(next.inspect().nv, 0xf1);
    await assert.rejects(waiting, { code: "EBADF", message: /was put: open it again/ });
    assert.equal(next.inspect().nv, 0xf1, "it is blocked still");
    post(host.words, next.file, 0x41);
    assert.equal(await blocked, "interrupt");
  });
});

describe("opening and putting", () => {
  it("lets one thread run a vCPU at a time", () => {
    const { vm, vcpu } = open({ vcpus: 2 });
    const { handle } = vm.vcpu(0);
    const other = Host.attach(host.handle);
    for (const thread of [host, other]) {
      assert.throws(() => Vcpu.open(thread, handle), {
        code: "EBUSY",
        message: /vCPU 0 .* put it there first/,
      });
    }
    vcpu.put();
    vcpu.put();
    using there = Vcpu.open(other, handle);
    assert.equal(there.index, 0);
    assert.equal(there.inspect().ndst, other.thread.lockId);
    Vcpu.open(host, vm.vcpu(1).handle).put();
  });

  it("loses nothing that was posted before, between and after", () => {
    const vm = new Vm(host);
    const { handle, file } = vm.vcpu(0);
    post(host.words, file, 0x31);
    const first = Vcpu.open(host, handle);
    post(host.words, file, 0x42);
    assert.equal(first.wait({ timeoutMs: 0 }), "interrupt"); // taken into IRR, not served
    post(host.words, file, 0x53);
    first.put();
    post(host.words, file, 0x64);
    using second = Vcpu.open(Host.attach(host.handle), handle);
    const found: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      found.push(second.acknowledge());
      second.eoi();
    }
    assert.deepEqual(found, [0x64, 0x53, 0x42, 0x31, undefined]);
  });

  it("is refused for a vCPU that is gone, or no vCPU", () => {
    const vm = new Vm(host, { vcpus: 2 });
    const { handle } = vm.vcpu(1);
    for (const index of [-1, 2, 0.5]) {
      assert.throws(() => vm.vcpu(index), { code: "EINVAL", message: /VM 0 has vCPUs 0 to 1/ });
    }
    // @ts-expect-error: the types say so too
    assert.throws(() => Vcpu.open(host, vm.handle), { code: "ESTALE" });
    vm.dispose();
    assert.throws(() => Vcpu.open(host, handle), { code: "ESTALE" });
  });

  it("is over for every call after put", () => {
    for (const apic of [true, false]) {
      const { vcpu } = open({ apic });
      vcpu.put();
      const calls = [
        () => vcpu.wait(),
        () => vcpu.acknowledge(),
        () => vcpu.eoi(),
        () => vcpu.take(new Uint32Array(8)),
        () => vcpu.ppr,
        () => {
          vcpu.tpr = 1;
        },
      ];
      for (const call of calls) assert.throws(call, { code: "EBADF", message: /was put: open it again/ });
    }
  });

  it("moves to another thread and back while it is posted to, and its poster notices nothing", async () => {
    const vm = new Vm(host);
    const { handle, file } = vm.vcpu(0);
    const work: VcpuWork = { host: host.handle, vcpu: handle };
    const threads = [0, 1].map(() => new TestThread(new URL("./vcpu-worker.js", import.meta.url), work));
    for (let i = 0; i < 40; i++) {
      const vector = 32 + i * 5;
      const thread = threads[i % 2]!;
      if (i % 3 === 0) fast.post(host, file, vector); // before it is loaded
      thread.worker.postMessage("run");
      if (i % 3 !== 0) fast.post(host, file, vector); // at about the time it is
      assert.equal(await thread.next(), vector);
    }
    for (const { worker } of threads) worker.postMessage("end");
    await Promise.all(threads.map(({ done }) => done));
    vm.dispose();
  });
});

describe("a VM", () => {
  it("has 1 to 255 vCPUs, as many as APIC ids that are not the broadcast", () => {
    for (const vcpus of [0, -1, 0.5, 256, Number.NaN]) {
      assert.throws(() => new Vm(host, { vcpus }), { code: "EINVAL", message: /a VM has 1 to 255 vCPUs/ });
    }
    assert.equal(host.pools.vm.live, 0);
    const wide = smallHost({ capacity: { vcpu: 255 } });
    const vm = new Vm(wide, { vcpus: 255 });
    vm.setGsiRouting([{ gsi: 1, msi: { vcpu: 254, vector: 64 } }]);
    assert.equal(vm.vcpu(254).index, 254);
  });

  it("that finds no room is ENOMEM, and leaves nothing", () => {
    const small = smallHost({ capacity: { vcpu: 4, vm: 2 } });
    new Vm(small, { vcpus: 2 });
    assert.throws(() => new Vm(small, { vcpus: 3 }), { code: "ENOMEM", subject: "vcpu" });
    assert.deepEqual([small.pools.vm.live, small.pools.vcpu.live], [1, 2]);
    new Vm(small, { vcpus: 2 });
    assert.throws(() => new Vm(small), { code: "ENOMEM", subject: "vm" });
  });

  it("is opened in another thread by its handle", () => {
    const vm = new Vm(host, { vcpus: 3 });
    const same = Vm.open(Host.attach(host.handle), vm.handle);
    assert.deepEqual([same.id, same.vcpus, same.handle], [vm.id, 3, vm.handle]);
    const { handle } = vm;
    vm.dispose();
    assert.throws(() => Vm.open(host, handle), { code: "ESTALE" });
  });

  it("and its vCPUs keep the host from being disposed, and are named", () => {
    const { vm, vcpu } = open();
    assert.throws(() => host.dispose(), {
      code: "EBUSY",
      message: /vCPU 0 of VM 0, VM 0 .* must be disposed or put first/,
    });
    vcpu.put();
    assert.throws(() => host.dispose(), { code: "EBUSY", message: /^EBUSY: VM 0/ });
    vm.dispose();
    host.dispose();
    host.dispose();
  });

  it("and so do producers, of their own or of a device, which is named once", () => {
    const producer = Producer.create(host);
    producer.register(Eventfd.create(host));
    new VfioPciDevice(host, { msix: 1 }); // without a trigger it ends with its thread
    const nic = new VfioPciDevice(host, { msix: 40 }); // more than a record holds
    nic.setTrigger("msix", 1, Eventfd.create(host));
    nic.setTrigger("msix", 39, Eventfd.create(host));
    assert.throws(() => host.dispose(), {
      code: "EBUSY",
      message: "EBUSY: producer 0, device 1 must be disposed or put first",
    });
    producer.dispose();
    nic.dispose();
    host.dispose();
  });
});

describe("a vCPU that goes idle on an event loop", () => {
  const turns = async (count = 5) => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  };

  it("is called once for what comes, takes nothing of it, and can be armed again", async () => {
    const { vcpu, send } = open();
    let calls = 0;
    for (let round = 1; round <= 50; round++) {
      await new Promise<void>((resolve) => {
        assert.equal(
          vcpu.arm(() => {
            calls += 1;
            resolve();
          }),
          true,
        );
        send(0x41);
        send(0x42);
      });
      assert.equal(calls, round);
      assert.equal(vcpu.disarm(), false);
      assert.deepEqual([vcpu.acknowledge(), vcpu.eoi(), vcpu.acknowledge()], [0x42, undefined, 0x41]);
      vcpu.eoi();
    }
    await turns();
    assert.equal(calls, 50);
    assert.deepEqual(host.audit().findings, []);
  });

  it("is not armed where an interrupt, an NMI or a kick is pending", () => {
    const { vm, vcpu, send } = open();
    const never = () => assert.fail("called");
    send(0x41);
    assert.equal(vcpu.arm(never), false);
    assert.equal(vcpu.hasInterrupt(), true);
    vcpu.acknowledge(); // in service: what is not above it does not count
    send(0x42);
    assert.equal(vcpu.arm(never), true);
    assert.equal(vcpu.disarm(), true);
    vcpu.kick();
    assert.deepEqual(
      [vcpu.arm(never), vcpu.arm(never), vcpu.wait({ timeoutMs: 0 })],
      [false, false, "kicked"],
    );
    vm.setGsiRouting([{ gsi: 3, msi: { address: 0xfee00000, data: 0x400 } }]);
    vm.setIrqLine(3, true);
    assert.deepEqual([vcpu.arm(never), vcpu.arm(never), vcpu.wait({ timeoutMs: 0 })], [false, false, "nmi"]);
    assert.deepEqual([vcpu.arm(never), vcpu.disarm(), vcpu.disarm()], [true, true, false]);
  });

  it("is called for a kick and an NMI, and not for what is below the processor priority", async () => {
    const { vm, vcpu, send } = open();
    vm.setGsiRouting([{ gsi: 3, msi: { address: 0xfee00000, data: 0x400 } }]);
    send(0x41);
    vcpu.acknowledge();
    let calls = 0;
    const called = () => {
      calls += 1;
    };
    vcpu.arm(called);
    for (const vector of [0x42, 0x31, 0x4f]) {
      send(vector);
      await turns();
    }
    assert.equal(calls, 0);
    vcpu.kick();
    await turns();
    assert.deepEqual([calls, vcpu.wait({ timeoutMs: 0 })], [1, "kicked"]);
    vcpu.arm(called);
    vm.setIrqLine(3, true);
    await turns();
    assert.deepEqual([calls, vcpu.wait({ timeoutMs: 0 })], [2, "nmi"]);
    vcpu.arm(called);
    send(0x51);
    await turns();
    assert.deepEqual([calls, vcpu.acknowledge()], [3, 0x51]);
  });

  it("is never called after disarm, also where a wake-up is under way", async () => {
    const { vcpu, send } = open();
    for (let round = 0; round < 20; round++) {
      assert.equal(
        vcpu.arm(() => assert.fail("called")),
        true,
      );
      send(0x41);
      assert.equal(vcpu.disarm(), true);
      await turns(2);
      vcpu.acknowledge();
      vcpu.eoi();
    }
    const { nv } = vcpu.inspect();
    assert.equal(nv, 0xf2);
  });

  it("leaves one wait for any number of idles that nobody ended", async () => {
    const { vcpu, send } = open();
    let waits = 0;
    const { waitAsync } = host.words;
    host.words.waitAsync = function (...wait) {
      waits += 1;
      return waitAsync.apply(this, wait);
    };
    for (let i = 0; i < 1000; i++) {
      vcpu.arm(() => {});
      vcpu.disarm();
    }
    assert.equal(waits, 1);
    await new Promise<void>((resolve) => {
      vcpu.arm(resolve);
      send(0x41);
    });
    assert.equal(waits, 1);
  });

  it("is a wait: another one beside it is EBUSY, and what it cannot call EINVAL", async () => {
    const { vcpu } = open();
    vcpu.arm(() => {});
    const busy = { code: "EBUSY", message: /armed/ };
    assert.throws(() => vcpu.arm(() => {}), busy);
    assert.throws(() => vcpu.wait({ timeoutMs: 0 }), busy);
    await assert.rejects(vcpu.waitAsync(), busy);
    vcpu.disarm();
    const waits = vcpu.waitAsync();
    assert.throws(() => vcpu.arm(() => {}), { code: "EBUSY", message: /waitAsync/ });
    vcpu.kick();
    assert.equal(await waits, "kicked");
    for (const bad of [undefined, null, 3, {}])
      assert.throws(() => vcpu.arm(bad as unknown as () => void), { code: "EINVAL" });
    assert.throws(() => vcpu.arm(() => {}, { ref: 1 as unknown as boolean }), { code: "EINVAL" });
    assert.throws(() => vcpu.arm(() => {}, { reff: true } as object), { code: "EINVAL" });
  });

  it("is settled by put, without which this thread does not leave the host", async () => {
    const { vm, vcpu, send } = open();
    vcpu.arm(() => assert.fail("called"));
    vcpu.put();
    send(0x41);
    await turns();
    assert.throws(() => vcpu.disarm(), { code: "EBADF" });
    const again = Vcpu.open(host, vm.vcpu(0).handle);
    assert.equal(again.acknowledge(), 0x41);
    again.put();
    const other = Host.attach(host.handle);
    const theirs = Vcpu.open(other, vm.vcpu(0).handle);
    theirs.tpr = 0xff;
    theirs.arm(() => assert.fail("called"));
    assert.throws(() => other.dispose(), { code: "EBUSY" });
    theirs.put();
    other.dispose();
    await turns();
  });

  it("says what the platform lacks, with nothing changed", () => {
    const { vcpu } = open();
    const { waitAsync } = Atomics;
    try {
      Object.defineProperty(Atomics, "waitAsync", { value: undefined, configurable: true, writable: true });
      assert.throws(() => vcpu.arm(() => {}), {
        code: "EOPNOTSUPP",
        message: /Atomics\.waitAsync: wait in a worker/,
      });
      assert.equal(vcpu.inspect().nv, 0xf2);
    } finally {
      Object.defineProperty(Atomics, "waitAsync", { value: waitAsync, configurable: true, writable: true });
    }
  });

  it("keeps the event loop alive while it is armed, unless ref is false", async () => {
    const script = (end: string) => `
      import { Host, Vcpu, Vm } from "irqbypass";
      const vcpu = Vcpu.open(...[Host.create()].flatMap((host) => [host, new Vm(host).vcpu(0).handle]));
      process.on("exit", () => console.log("exit"));
      ${end}`;
    const run = (end: string) =>
      promisify(execFile)(process.execPath, ["--input-type=module", "-e", script(end)], {
        cwd: import.meta.dirname,
      });
    const [free, held, disarmed] = await Promise.all([
      run("vcpu.arm(() => console.log('called'), { ref: false });"),
      run("vcpu.arm(() => console.log('called')); setTimeout(() => vcpu.kick(), 20).unref();"),
      run("vcpu.arm(() => console.log('called')); vcpu.disarm();"),
    ]);
    assert.deepEqual([free.stdout, held.stdout, disarmed.stdout], ["exit\n", "called\nexit\n", "exit\n"]);
  });
});
