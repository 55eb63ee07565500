/** What is called from inside a callback of the manager: refused before anything is changed, or done whole. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Eventfd,
  Host,
  IrqBypassError,
  type Kind,
  Producer,
  type Refusal,
  VfioPciDevice,
  Vm,
} from "irqbypass";
import { nodePlatform } from "#src/host/platform-node.js";
import { SMALL, smallHost } from "../support/host.js";
import { TestThread } from "../support/worker.js";
import { wordsOf } from "./words.js";

/** A host with a pair that connects in `enter`, which runs `call` in the device's stop callback and returns what came of it. */
function stage() {
  let call: (() => unknown) | undefined;
  let came: unknown;
  const stop = () => {
    if (call === undefined) return;
    const now = call;
    call = undefined;
    try {
      came = now();
    } catch (error) {
      came = error;
    }
  };
  const kinds: Kind[] = [{ name: "k", producer: { stop } }];
  const host = smallHost({ kinds });
  const vm = new Vm(host);
  const eventfd = Eventfd.create(host);
  const producer = Producer.create(host, "k");
  vm.irqfd(eventfd, 1);
  const enter = (inside: () => unknown): unknown => {
    call = inside;
    came = undefined;
    producer.register(eventfd);
    producer.unregister();
    return came;
  };
  const end = () => {
    producer.dispose();
    vm.dispose();
    eventfd.close();
    assert.deepEqual(host.audit().findings, []);
    host.dispose();
  };
  return { host, kinds, vm, eventfd, producer, enter, end };
}

function refused(came: unknown, code = "EDEADLK"): IrqBypassError {
  assert.ok(came instanceof IrqBypassError, String(came));
  assert.equal(came.code, code);
  return came;
}

describe("in a callback", () => {
  it("a VM cannot be disposed, with or without an irqfd, and can after it (d1, d1b)", () => {
    for (const assigned of [false, true]) {
      const { host, enter, end } = stage();
      const other = new Vm(host);
      const e = Eventfd.create(host);
      const irqfd = assigned ? other.irqfd(e, 1) : undefined;
      const before = wordsOf(host);
      const error = refused(enter(() => same(host, () => other.dispose())));
      assert.match(
        error.message,
        /held by this very thread, which runs the callback producer stop: call this after/,
      );
      assert.equal(wordsOf(host).length, before.length);
      assert.deepEqual(host.audit().findings, []);
      other.setGsiRouting([]);
      assert.equal(irqfd?.path, assigned ? "relayed" : undefined);
      other.dispose();
      if (irqfd !== undefined) assert.throws(() => irqfd.path, { code: "EBADF" });
      e.close();
      end();
    }
  });

  it("the switch stays as it is, and every pair on its way (d2)", () => {
    const { host, vm, enter, end } = stage();
    vm.setGsiRouting([{ gsi: 2, msi: { vcpu: 0, vector: 66 } }]);
    const e = Eventfd.create(host);
    const irqfd = vm.irqfd(e, 2);
    const other = Producer.create(host);
    other.register(e);
    for (const on of [false, true]) {
      refused(enter(() => same(host, () => (host.bypass = on))));
      assert.deepEqual([host.bypass, irqfd.path], [true, "posted"]);
    }
    other.dispose();
    e.close();
    end();
  });

  it("an eventfd and a device stay open, and close after it (d5)", () => {
    const { host, enter, end } = stage();
    const [e2, e3] = [Eventfd.create(host), Eventfd.create(host)];
    const device = new VfioPciDevice(host, { msix: 1 });
    device.setTrigger("msix", 0, e3);
    refused(enter(() => same(host, () => e2.close())));
    refused(enter(() => same(host, () => device.dispose())));
    assert.equal(e2.closed, false);
    device.vector("msix", 0).signal();
    assert.equal(e3.count, 1n);
    device.dispose();
    e2.close();
    e3.close();
    end();
  });

  it("no VM's mutex is taken inside of the host's (d4)", () => {
    const { host, vm, enter, end } = stage();
    const io = vm.ioapic;
    for (const call of [
      () => vm.setIrqLine(5, true),
      () => io.write(0x20, 1),
      () => io.redirect(3, { vcpu: 0, vector: 50 }),
      () => io.read(0x20),
      () => io.lines,
      () => vm.setGsiRouting([]),
    ])
      refused(enter(() => same(host, call)));
    end();
  });

  it("what signals and what only looks is done", () => {
    const { host, vm, eventfd, enter, end } = stage();
    const e = Eventfd.create(host);
    assert.equal(
      enter(() => {
        e.write(3);
        e.signal();
        vm.vcpu(0).kick();
        return [e.tryRead(), e.count, eventfd.closed, vm.vcpus];
      })?.toString(),
      "4,0,false,1",
    );
    e.close();
    end();
  });

  it("nothing waits, neither for itself nor for others", async () => {
    const { host, enter, end } = stage();
    const e = Eventfd.create(host, { initial: 1 });
    refused(enter(() => same(host, () => e.read())));
    await assert.rejects(enter(() => e.readAsync()) as Promise<bigint>, { code: "EDEADLK" });
    e.close();
    end();
  });

  it("a second view of the host in the same thread is no way round", () => {
    const { host, kinds, enter, end } = stage();
    const second = Host.attach(host.handle, { kinds });
    const other = new Vm(host);
    const same2 = Vm.open(second, other.handle);
    const e = Eventfd.create(second);
    for (const call of [
      () => same2.dispose(),
      () => e.close(),
      () => second.interrupts(),
      () => (second.bypass = false),
      () => second.threadLost(9),
    ])
      refused(enter(call));
    assert.equal(host.bypass, true);
    e.close();
    same2.dispose();
    second.dispose();
    end();
  });

  it("nor where the thread may not block", () => {
    const { host, kinds, enter, end } = stage();
    const second = Host.attach(host.handle, {
      kinds,
      platform: { ...nodePlatform()!, mayBlock: false },
    });
    refused(enter(() => Eventfd.create(second)));
    second.dispose();
    end();
  });
});

describe("an add callback", () => {
  const returned: readonly (readonly [string, unknown, RegExp])[] = [
    ["null", null, /addConsumer.*null was passed|null/],
    ["a word", "no", /no was passed/],
    ["a promise", Promise.resolve(undefined), /code undefined/],
    ["a code that is none", { code: "EBOGUS" }, /the code EBOGUS/],
    ["a reason that is none", { code: "EIO", reason: "refuse" }, /the reason refuse: did you mean refused/],
    ["the reason none", { code: "EIO", reason: "none" }, /the reason none/],
    ["a misspelt part", { code: "EIO", reasn: "refused" }, /did you mean .*reason/],
  ];
  for (const side of ["producer", "consumer"] as const) {
    for (const [what, value, message] of returned) {
      it(`of the ${side} that returns ${what} refuses, and says so (d3)`, () => {
        const add = () => value as Refusal;
        const kind: Kind =
          side === "producer"
            ? { name: "k", producer: { addConsumer: add } }
            : { name: "k", consumer: { addProducer: add, delProducer() {} } };
        const host = smallHost({ kinds: [kind] });
        const vm = new Vm(host);
        const e = Eventfd.create(host);
        const producer = Producer.create(host, side === "producer" ? "k" : undefined);
        if (side === "producer") vm.irqfd(e, 1);
        else host.manager.registerConsumer(consumerOf(host), e.record);
        for (let again = 0; again < 2; again++) {
          assert.throws(() => producer.register(e), {
            name: "IrqBypassError",
            code: "EINVAL",
            side,
            reason: "refused",
            message,
          });
          assert.equal(producer.registered, false);
        }
        if (side === "producer") assert.deepEqual(host.audit().findings, []);
        producer.dispose();
      });
    }
  }
});

describe("what a callback throws", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (const [what, error] of [
    ["nothing", undefined],
    ["a word", "no"],
    ["a proxy that was revoked", proxy],
  ] as const) {
    it(`refuses the connection, and leaves nothing half done: ${what}`, () => {
      const addConsumer = () => {
        throw error;
      };
      const host = smallHost({ kinds: [{ name: "k", producer: { addConsumer } }] });
      const vm = new Vm(host);
      const e = Eventfd.create(host);
      vm.irqfd(e, 1);
      const producer = Producer.create(host, "k");
      assert.throws(() => producer.register(e), { name: "IrqBypassError", code: "EIO", side: "producer" });
      assert.deepEqual([producer.registered, host.audit().findings], [false, []]);
      producer.dispose();
    });
  }
});

describe("two threads, one of which drives lines in a callback", () => {
  it("both go on (d4)", async () => {
    const { host, vm, enter, end } = stage();
    const thread = new TestThread(new URL("./router.js", import.meta.url), {
      host: host.handle,
      vm: vm.handle,
    });
    await thread.next();
    for (let round = 0; round < 2000; round++) {
      refused(enter(() => (round & 1 ? vm.setIrqLine(5, true) : vm.ioapic.write(0x20, round & 255))));
    }
    thread.worker.postMessage("enough");
    assert.ok((await thread.next<number>()) > 0);
    await thread.done;
    end();
  });
});

/** A consumer record of kind 1, as nobody but a test makes one by itself. */
function consumerOf(host: Host): number {
  return host.mutex.guard(() => {
    const record = host.pools.consumer.allocate();
    host.words.set(record + 2, 1);
    return record;
  });
}

/** Makes a call and checks that it has not changed a word where it throws. */
function same(host: Host, call: () => unknown): unknown {
  const before = wordsOf(host);
  try {
    return call();
  } catch (error) {
    assert.deepEqual(wordsOf(host).compare(before), []);
    throw error;
  }
}

void SMALL;
