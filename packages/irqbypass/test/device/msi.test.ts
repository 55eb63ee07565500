import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Producer, VfioPciDevice, type VfioPciOptions } from "irqbypass";
import { closedEventfd, counts, drain, producers, refused, smallHost, withEventfds } from "./support.js";

const INDEXES = ["msi", "msix"] as const;
type Index = (typeof INDEXES)[number];

/** A device with 16 vectors of each, and eventfds. */
function bench(count: number, options: VfioPciOptions = {}) {
  const { host, eventfds } = withEventfds(count);
  const device = new VfioPciDevice(host, { intx: true, msi: 16, msix: 16, ...options });
  const set = (index: Index, start: number, list: (Eventfd | null)[]) =>
    device.setIrqs({ index, start, count: list.length, action: "trigger", data: "eventfd", eventfds: list });
  return {
    host,
    eventfds,
    device,
    set,
    /** Signals every vector and returns which eventfd (by position) each of them reached. */
    reached(index: Index): number[] {
      drain(eventfds);
      return Array.from({ length: 16 }, (_, number) => {
        device.vector(index, number).signal();
        return drain(eventfds).indexOf(1);
      });
    },
    [Symbol.dispose]() {
      device.dispose();
      assert.equal(producers(host), 0);
      host.dispose();
    },
  };
}

/** Which eventfds a list of reached ones names: the vectors that reach any, as "vector>eventfd". */
const wired = (reached: number[]): string =>
  reached.flatMap((eventfd, vector) => (eventfd < 0 ? [] : [`${vector}>${eventfd}`])).join(" ");

for (const index of INDEXES) {
  describe(`${index}: enabling and disabling`, () => {
    it("the VFIO selftest: enable with eventfds, loop back each, read 8 bytes with value 1, disable", () => {
      using it = bench(16);
      const count = Math.min(it.device.irqInfo(index).count, 16);
      assert.equal(it.set(index, 0, it.eventfds.slice(0, count)), 0);
      for (let number = 0; number < count; number++) {
        it.device.setIrqs({ index, start: number, count: 1, action: "trigger", data: "none" });
        assert.equal(it.eventfds[number]!.tryRead(), 1n);
        assert.deepEqual(counts(it.eventfds), new Array(16).fill(0));
      }
      it.device.disable(index);
      assert.equal(wired(it.reached(index)), "");
    });

    it("returns how many can be had where there are fewer, with nothing enabled, and takes that many then", () => {
      using it = bench(16, { hostInterrupts: 5 });
      assert.equal(it.set(index, 0, it.eventfds.slice(0, 8)), 5);
      assert.equal(it.set(index, 5, it.eventfds.slice(0, 1)), 5, "start counts too");
      refused("EINVAL", () => it.device.disable(index));
      assert.equal(producers(it.host), 0);
      assert.equal(it.set(index, 0, it.eventfds.slice(0, 5)), 0);
      assert.equal(wired(it.reached(index)), "0>0 1>1 2>2 3>3 4>4");
      it.device.disable(index);
      const error = refused("ENOSPC", () => it.device.setTrigger(index, 5, it.eventfds[0]!));
      assert.match(error.message, /5 interrupts/);
    });

    it("is ENOSPC where the host has none left", () => {
      using it = bench(1, { hostInterrupts: 0 });
      refused("ENOSPC", () => it.set(index, 0, it.eventfds));
    });

    it("the three indexes take turns: disabled, another one can be enabled", () => {
      using it = bench(2);
      it.set(index, 0, it.eventfds);
      refused("EINVAL", () => it.device.setTrigger("intx", 0, it.eventfds[0]!));
      it.device.disable(index);
      it.device.setTrigger("intx", 0, it.eventfds[0]!);
      refused("EINVAL", () => it.set(index, 0, it.eventfds));
      it.device.disable("intx");
      it.set(index, 0, it.eventfds);
      assert.equal(wired(it.reached(index)), "0>0 1>1");
    });

    it("stays enabled when the last trigger is taken away", () => {
      using it = bench(1);
      it.set(index, 0, it.eventfds);
      it.device.setTrigger(index, 0, null);
      assert.equal(producers(it.host), 0);
      refused("EINVAL", () => it.device.setTrigger("intx", 0, it.eventfds[0]!));
      it.device.disable(index);
    });

    it("a trigger taken away and set again registers anew", () => {
      using it = bench(2);
      it.set(index, 0, [it.eventfds[0]!]);
      it.device.setTrigger(index, 0, null);
      it.device.setTrigger(index, 0, it.eventfds[1]!);
      assert.equal(producers(it.host), 1);
      assert.equal(wired(it.reached(index)), "0>1");
    });
  });

  describe(`${index}: replacing triggers`, () => {
    it("moves the producer: the old eventfd is free at once", () => {
      using it = bench(2);
      it.set(index, 0, [it.eventfds[0]!]);
      it.device.setTrigger(index, 0, it.eventfds[1]!);
      assert.deepEqual(
        it.host.interrupts().map(({ eventfd }) => eventfd),
        [it.eventfds[1]!.id],
      );
      assert.equal(wired(it.reached(index)), "0>1");
    });

    it("a closed eventfd is EBADF and leaves the old one working (the kernel has destroyed it by then)", () => {
      using it = bench(2);
      it.set(index, 0, it.eventfds);
      refused("EBADF", () => it.device.setTrigger(index, 0, closedEventfd(it.host)));
      assert.equal(wired(it.reached(index)), "0>0 1>1");
      assert.equal(producers(it.host), 2);
    });

    it("a block with one bad eventfd changes none of its vectors (the kernel disables up to the bad one)", () => {
      using it = bench(8);
      it.set(index, 0, it.eventfds.slice(0, 4));
      const block = [it.eventfds[4]!, it.eventfds[5]!, closedEventfd(it.host), it.eventfds[6]!];
      refused("EBADF", () => it.set(index, 0, block));
      assert.equal(wired(it.reached(index)), "0>0 1>1 2>2 3>3");
      refused("EINVAL", () => it.set(index, 0, [it.eventfds[4]!, 7 as unknown as Eventfd]));
      assert.equal(wired(it.reached(index)), "0>0 1>1 2>2 3>3");
      assert.equal(producers(it.host), 4);
    });

    it("an enabling block that fails leaves the index off", () => {
      using it = bench(3);
      refused("EBADF", () => it.set(index, 0, [it.eventfds[0]!, closedEventfd(it.host)]));
      refused("EINVAL", () => it.device.disable(index));
      assert.equal(producers(it.host), 0);
      it.device.setTrigger("intx", 0, it.eventfds[2]!);
    });

    it("out of producers: ENOMEM, and everything is as before", () => {
      const host = smallHost({ capacity: { producer: 3, eventfd: 64 } });
      const eventfds = Array.from({ length: 8 }, () => Eventfd.create(host));
      const device = new VfioPciDevice(host, { msi: 8, msix: 8 });
      const set = (list: Eventfd[]) =>
        device.setIrqs({
          index,
          start: 0,
          count: list.length,
          action: "trigger",
          data: "eventfd",
          eventfds: list,
        });
      refused("ENOMEM", () => set(eventfds.slice(0, 4)));
      refused("EINVAL", () => device.disable(index));
      assert.equal(host.pools.producer.live, 0);
      set(eventfds.slice(0, 3));
      device.dispose();
      host.dispose();
    });

    it("out of producers in the middle of a block: the vectors before it have their old triggers again", () => {
      const host = smallHost({ capacity: { producer: 2, eventfd: 64 } });
      const eventfds = Array.from({ length: 8 }, () => Eventfd.create(host));
      const device = new VfioPciDevice(host, { msi: 8, msix: 8 });
      const set = (list: (Eventfd | null)[]) =>
        device.setIrqs({
          index,
          start: 0,
          count: list.length,
          action: "trigger",
          data: "eventfd",
          eventfds: list,
        });
      set([eventfds[0]!, null, eventfds[1]!, null]);
      refused("ENOMEM", () => set([eventfds[4]!, null, eventfds[5]!, eventfds[6]!]));
      for (let number = 0; number < 4; number++) device.vector(index, number).signal();
      assert.deepEqual(drain(eventfds), [1, 1, 0, 0, 0, 0, 0, 0]);
      assert.equal(producers(host), 2);
      device.dispose();
      host.dispose();
    });
  });
}

describe("vectors beyond those that the index was enabled with", () => {
  it("MSI-X takes them while others are in use, and keeps their interrupts until it is disabled", () => {
    using it = bench(4, { hostInterrupts: 3 });
    it.set("msix", 2, [it.eventfds[0]!]); // allocates 0 to 2
    refused("ENOSPC", () => it.device.setTrigger("msix", 9, it.eventfds[1]!));
    it.device.disable("msix");
    it.set("msix", 0, [it.eventfds[0]!]);
    it.device.setTrigger("msix", 9, it.eventfds[1]!);
    it.device.setTrigger("msix", 15, it.eventfds[2]!);
    assert.equal(wired(it.reached("msix")), "0>0 9>1 15>2");
    it.device.setTrigger("msix", 9, null);
    refused("ENOSPC", () => it.device.setTrigger("msix", 10, it.eventfds[3]!)); // 9 keeps its interrupt
    it.device.setTrigger("msix", 9, it.eventfds[3]!);
    assert.equal(wired(it.reached("msix")), "0>0 9>3 15>2");
  });

  it("a refused block keeps no interrupt", () => {
    using it = bench(4, { hostInterrupts: 2 });
    it.set("msix", 0, [it.eventfds[0]!]);
    refused("ENOSPC", () => it.set("msix", 4, [it.eventfds[1]!, it.eventfds[2]!]));
    refused("EBADF", () => it.set("msix", 4, [closedEventfd(it.host)]));
    it.device.setTrigger("msix", 7, it.eventfds[1]!);
    assert.equal(wired(it.reached("msix")), "0>0 7>1");
  });

  for (const index of INDEXES) {
    it(`${index} that cannot resize: EINVAL, before the eventfd is looked at; taking away is no error`, () => {
      using it = bench(4, { dynamicMsix: false });
      it.set(index, 0, it.eventfds.slice(0, 2));
      refused("EINVAL", () => it.device.setTrigger(index, 2, it.eventfds[2]!));
      refused("EINVAL", () => it.device.setTrigger(index, 2, closedEventfd(it.host)));
      it.device.setTrigger(index, 2, null);
      it.device.setTrigger(index, 1, it.eventfds[3]!);
      assert.equal(wired(it.reached(index)), "0>0 1>3");
    });
  }

  it("of two errors in a block the one of the lower vector is told", () => {
    using it = bench(2, { hostInterrupts: 1 });
    it.set("msix", 0, [it.eventfds[0]!]);
    refused("EBADF", () => it.set("msix", 0, [closedEventfd(it.host), it.eventfds[1]!]));
    refused("ENOSPC", () => it.set("msix", 1, [it.eventfds[1]!, closedEventfd(it.host)]));
  });

  it("2048 vectors: producers only for those in use", () => {
    using it = bench(64, { msix: 2048 });
    it.set("msix", 0, [it.eventfds[0]!]);
    for (let i = 1; i < 64; i++) it.device.setTrigger("msix", i * 32, it.eventfds[i]!);
    assert.equal(it.host.pools.producer.live, 64);
    for (let number = 0; number < 2048; number++) it.device.vector("msix", number).signal();
    assert.deepEqual(counts(it.eventfds), new Array(64).fill(1));
  });

  it("2048 vectors, all in use: set in one call, looped back in one call, disabled in one call", () => {
    const { host, eventfds } = withEventfds(2048);
    const device = new VfioPciDevice(host, { msix: 2048 });
    device.setIrqs({ index: "msix", start: 0, count: 2048, action: "trigger", data: "eventfd", eventfds });
    assert.equal(producers(host), 2048);
    device.setIrqs({ index: "msix", start: 0, count: 2048, action: "trigger", data: "none" });
    assert.ok(counts(eventfds).every((count) => count === 1));
    device.disable("msix");
    assert.equal(host.pools.producer.live, 0);
    device.dispose();
    host.dispose();
  });
});

describe("the mask and pending bits of a vector", () => {
  for (const index of INDEXES) {
    it(`${index}: masked, fired, unmasked delivers once`, () => {
      using it = bench(1);
      it.set(index, 0, it.eventfds);
      const vector = it.device.vector(index, 0);
      vector.mask();
      for (let i = 0; i < 3; i++) vector.signal();
      assert.deepEqual([it.eventfds[0]!.count, vector.masked, vector.pending], [0n, true, true]);
      vector.unmask();
      assert.deepEqual([it.eventfds[0]!.count, vector.masked, vector.pending], [1n, false, false]);
      vector.unmask();
      assert.equal(it.eventfds[0]!.count, 1n);
      vector.signal();
      assert.equal(it.eventfds[0]!.count, 2n);
    });
  }

  it("masked and not fired delivers nothing", () => {
    using it = bench(1);
    it.set("msix", 0, it.eventfds);
    it.device.vector("msix", 0).mask();
    it.device.vector("msix", 0).unmask();
    assert.equal(it.eventfds[0]!.count, 0n);
  });

  it("the mask outlives the trigger: what is pending goes to the eventfd that is there when it is unmasked", () => {
    using it = bench(2);
    const vector = it.device.vector("msix", 0);
    vector.mask();
    it.set("msix", 0, [it.eventfds[0]!]);
    vector.signal();
    it.device.setTrigger("msix", 0, it.eventfds[1]!);
    assert.deepEqual(counts(it.eventfds), [0, 0]);
    it.device.disable("msix");
    it.set("msix", 0, [it.eventfds[1]!]);
    assert.deepEqual(counts(it.eventfds), [0, 0]);
    vector.unmask();
    assert.deepEqual(counts(it.eventfds), [0, 1]);
  });

  for (const index of INDEXES) {
    it(`a vector without a trigger is masked, and what it fires is delivered once there is one (${index})`, () => {
      using it = bench(1);
      const [eventfd] = it.eventfds as [Eventfd];
      const vector = it.device.vector(index, 0);
      assert.equal(vector.masked, true, "as it comes out of reset");
      it.set(index, 0, [null]); // switched on without a trigger, as QEMU does
      for (let i = 0; i < 2; i++) vector.signal();
      assert.deepEqual([vector.masked, vector.pending, ...it.device.pendingBits(index)], [true, true, 1, 0]);
      it.device.setTrigger(index, 0, eventfd);
      assert.deepEqual([eventfd.tryRead(), vector.masked, vector.pending], [1n, false, false]);
      it.device.setTrigger(index, 0, null);
      vector.signal();
      it.device.setTrigger(index, 0, eventfd);
      assert.equal(eventfd.tryRead(), 1n, "raised while it was taken away");
      it.device.disable(index);
      vector.mask();
      vector.signal();
      vector.unmask();
      assert.equal(vector.pending, true, "unmasked before there is a trigger");
      it.set(index, 0, [eventfd]);
      assert.equal(eventfd.tryRead(), 1n);
    });
  }

  it("what is pending goes to no trigger of a block that is refused, and stays pending", () => {
    using it = bench(2);
    const [one, closed] = it.eventfds as [Eventfd, Eventfd];
    const vector = it.device.vector("msix", 0);
    it.set("msix", 0, [null, null]);
    vector.signal();
    // Refused half-way: there is no producer left for the second.
    const spare = Array.from({ length: it.host.pools.producer.capacity - 1 }, () => Producer.create(it.host));
    assert.throws(() => it.set("msix", 0, [one, closed]), { code: "ENOMEM" });
    assert.deepEqual([one.count, vector.pending, vector.masked], [0n, true, true]);
    for (const producer of spare) producer.dispose();
    it.set("msix", 0, [one, closed]);
    assert.equal(one.count, 1n);
  });

  it("the function mask holds back all MSI-X vectors; one with its own mask bit stays held back", () => {
    using it = bench(3);
    it.set("msix", 0, it.eventfds);
    const vectors = [0, 1, 2].map((number) => it.device.vector("msix", number));
    it.device.functionMask = true;
    vectors[1]!.mask();
    for (const vector of vectors.slice(0, 2)) vector.signal();
    assert.deepEqual(counts(it.eventfds), [0, 0, 0]);
    vectors[0]!.unmask();
    assert.equal(vectors[0]!.masked, true);
    it.device.functionMask = false;
    assert.deepEqual(counts(it.eventfds), [1, 0, 0]);
    vectors[1]!.unmask();
    assert.deepEqual(counts(it.eventfds), [1, 1, 0]);
  });

  it("a loopback test goes past the mask", () => {
    using it = bench(1);
    it.set("msix", 0, it.eventfds);
    it.device.vector("msix", 0).mask();
    it.device.setIrqs({ index: "msix", start: 0, count: 1, action: "trigger", data: "none" });
    assert.deepEqual([it.eventfds[0]!.count, it.device.vector("msix", 0).pending], [1n, false]);
  });

  it("the pending bits are those of the PBA: bit n of word n / 32, in whole 64-bit words", () => {
    using it = bench(1, { msix: 65 });
    for (const number of [0, 31, 32, 63, 64]) {
      it.device.vector("msix", number).mask();
      it.device.vector("msix", number).signal();
    }
    assert.deepEqual([...it.device.pendingBits("msix")], [0x80000001, 0x80000001, 1, 0]);
    it.device.vector("msix", 31).unmask();
    it.device.setTrigger("msix", 31, it.eventfds[0]!);
    assert.deepEqual([...it.device.pendingBits("msix")], [1, 0x80000001, 1, 0]);
    assert.deepEqual([...it.device.pendingBits("msi")], [0, 0]);
    refused("EINVAL", () => it.device.pendingBits("intx" as "msi"));
  });
});
