/** The interrupt file as callers have it, in one thread. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host, InterruptFile, Vcpu, Vm, type WasmMemory } from "irqbypass";

const { Memory } = (
  globalThis as unknown as {
    WebAssembly: { Memory: new (of: object) => WasmMemory & { grow(pages: number): number } };
  }
).WebAssembly;
const memory = () => new Memory({ initial: 1, maximum: 4, shared: true });
/** The control word as the issue has it. */
const [ON, SN, KICKED, EVENT, BLOCKED] = [1, 2, 4, 8, 0xf1 << 16];

/** A file in each kind of memory, and the words of its own. */
function files() {
  const [shared, plain, typescript] = [memory(), new SharedArrayBuffer(4096), memory()];
  const made = [
    InterruptFile.create(shared, 1024),
    InterruptFile.create(plain, 64),
    InterruptFile.create(typescript, 0, { fastPath: "typescript" }),
  ];
  return made.map((file) => {
    const buffer = file.memory instanceof SharedArrayBuffer ? file.memory : file.memory.buffer;
    return { file, words: new Int32Array(buffer as SharedArrayBuffer, file.byteOffset, 16) };
  });
}

const idsOf = (bits: Uint32Array) =>
  Array.from({ length: 256 }, (_, id) => id).filter((id) => (bits[id >>> 5]! >>> (id & 31)) & 1);

describe("an interrupt file", () => {
  it("gives each id once, however often it was posted, and adds to what is there", () => {
    for (const { file } of files()) {
      const all = Array.from({ length: 256 }, (_, id) => id);
      const into = new Uint32Array(8);
      assert.equal(file.pending(), false);
      assert.equal(file.harvest(into), false);
      for (const id of [...all, ...all]) file.post(id);
      assert.equal(file.pending(), true);
      assert.equal(file.harvest(into), true);
      assert.deepEqual(idsOf(into), all);
      assert.deepEqual([file.pending(), file.harvest(into)], [false, false]);
      into.fill(0);
      into[0] = 1;
      file.post(40);
      file.harvest(into);
      assert.deepEqual(idsOf(into), [0, 40]);
    }
  });

  it("is harvested into the memory that it is in, at any place there", () => {
    const shared = memory();
    const file = InterruptFile.create(shared, 1024);
    assert.equal(file.fastPath, "wasm");
    for (const at of [0, 960, 1088, 65536 - 32]) {
      const into = new Uint32Array(shared.buffer as SharedArrayBuffer, at, 8);
      into.fill(0);
      for (const id of [0, 31, 32, 255]) file.post(id);
      assert.equal(file.harvest(into), true);
      assert.deepEqual(idsOf(into), [0, 31, 32, 255]);
    }
  });

  it("says in one word, whose address is public, what there is, as the issue has its bits", () => {
    for (const { file, words } of files()) {
      const control = words[(file.controlAddress - file.byteOffset) / 4]!;
      const now = () => Atomics.load(words, (file.controlAddress - file.byteOffset) / 4) & 0xffff;
      assert.equal(control & BLOCKED, 0xf0 << 16, "NV is that of a notification");
      file.post(1);
      assert.equal(now(), ON);
      file.kick();
      assert.equal(now(), ON | KICKED);
      file.suspend();
      assert.equal(now(), ON | KICKED | SN);
      file.resume();
      file.harvest(new Uint32Array(8));
      assert.equal(now(), KICKED);
      Atomics.or(words, 8, EVENT);
      assert.equal(file.block(), "event");
      assert.equal(file.block(), "kicked");
      assert.equal(now(), 0);
    }
  });

  it("is blocked for as long as nothing comes, and not afterwards", () => {
    for (const { file, words } of files()) {
      const begun = performance.now();
      assert.equal(file.block({ timeoutMs: 20 }), "timeout");
      assert.ok(performance.now() - begun >= 19);
      assert.equal(words[8]! >>> 16, 0xf2);
      assert.equal(file.block({ timeoutMs: 0 }), "timeout");
      file.post(9);
      assert.equal(file.block(), "interrupt");
      assert.equal(file.block(), "interrupt", "nobody has taken it");
    }
  });

  it("keeps what is posted while it is suspended, for whoever resumes it", () => {
    for (const { file } of files()) {
      const there = InterruptFile.open(file.memory, file.byteOffset);
      file.suspend();
      there.post(77);
      assert.equal(file.block(), "suspended");
      assert.deepEqual([file.pending(), there.pending()], [true, true]);
      there.resume();
      assert.equal(there.block(), "interrupt");
      const into = new Uint32Array(8);
      there.harvest(into);
      assert.deepEqual(idsOf(into), [77]);
    }
  });

  it("is opened by its header alone, and another layout is refused by both versions", () => {
    for (const { file, words } of files()) {
      const { memory: where, byteOffset } = file;
      assert.equal(InterruptFile.open(where, byteOffset).byteOffset, byteOffset);
      assert.throws(() => InterruptFile.create(where, byteOffset), { code: "EEXIST" });
      words[10]! += 1 << 8;
      assert.throws(() => InterruptFile.open(where, byteOffset), {
        code: "EINVAL",
        message: /layout version 2, this library knows 1/,
      });
      words[10] = 0;
      assert.throws(() => InterruptFile.open(where, byteOffset), {
        code: "EINVAL",
        message: /no interrupt file at/,
      });
      words.fill(0);
      InterruptFile.create(where, byteOffset);
    }
  });

  it("is refused at no place, and an id that is none, with nothing changed", () => {
    const shared = memory();
    assert.throws(() => InterruptFile.create(shared, 65536), { code: "ENOMEM" });
    for (const at of [-64, 32, 1.5, Number.NaN, "0", undefined])
      assert.throws(() => InterruptFile.create(shared, at as number), { code: "EINVAL" });
    for (const none of [undefined, {}, new ArrayBuffer(64), { buffer: new SharedArrayBuffer(64) }])
      assert.throws(() => InterruptFile.create(none as never, 0), { code: "EINVAL" });
    assert.throws(() => InterruptFile.create(new SharedArrayBuffer(64), 0, { fastPath: "wasm" }), {
      code: "EINVAL",
    });
    assert.throws(() => InterruptFile.create(shared, 0, { fast: 1 } as never), { code: "EINVAL" });
    assert.ok(new Int32Array(shared.buffer).every((word) => word === 0));
    const file = InterruptFile.create(shared, 0);
    for (const id of [-1, 256, 1.5, Number.NaN, "1", undefined])
      assert.throws(() => file.post(id as number), { code: "EINVAL" });
    assert.throws(() => file.harvest(new Uint32Array(7)), { code: "EINVAL" });
    assert.throws(() => file.harvest([0, 0, 0, 0, 0, 0, 0, 0] as never), { code: "EINVAL" });
    assert.equal(file.pending(), false);
  });

  it("is found in what the memory has grown by, and goes on where it was", () => {
    const shared = memory();
    const before = InterruptFile.create(shared, 0);
    shared.grow(1);
    const file = InterruptFile.create(shared, 65536);
    file.post(3);
    before.post(4);
    assert.deepEqual([file.pending(), InterruptFile.open(shared, 0).pending()], [true, true]);
  });

  it("shows itself", () => {
    const file = InterruptFile.create(new SharedArrayBuffer(64), 0);
    assert.deepEqual(file.toJSON(), {
      byteOffset: 0,
      on: false,
      sn: false,
      nv: 0xf2,
      fastPath: "typescript",
    });
  });
});

describe("an asynchronous wait for an interrupt file", () => {
  it("ends with what is there, with what comes, and at its time", async () => {
    for (const { file } of files()) {
      file.kick();
      assert.equal(await file.blockAsync(), "kicked");
      assert.equal(await file.blockAsync({ timeoutMs: 5 }), "timeout");
      const waits = file.blockAsync();
      InterruptFile.open(file.memory, file.byteOffset).post(5);
      assert.equal(await waits, "interrupt");
    }
  });

  it("leaves the file blocked, which disarm ends, and a disarm loses no wait", async () => {
    for (const { file, words } of files()) {
      const abort = new AbortController();
      const called = file.blockAsync({ signal: abort.signal });
      abort.abort();
      await assert.rejects(called);
      assert.equal(words[8]! >>> 16, 0xf1);
      file.disarm();
      assert.equal(words[8]! >>> 16, 0xf2);
      const waits = file.blockAsync();
      file.disarm();
      await new Promise((resolve) => setTimeout(resolve, 5));
      file.post(5);
      assert.equal(await waits, "interrupt");
    }
  });

  it("ends when its thread suspends the file, even if that is resumed and blocked by another by then", async () => {
    for (const { file, words } of files()) {
      const waits = file.blockAsync();
      const next = InterruptFile.open(file.memory, file.byteOffset);
      next.suspend();
      next.resume();
      Atomics.store(words, 8, BLOCKED); // as the next owner's sleep has it
      assert.equal(await waits, "suspended");
      assert.equal(Atomics.load(words, 8), BLOCKED, "it is not unblocked under the next owner");
    }
  });

  it("rejects with the reason of its signal, and a second one goes on", async () => {
    for (const { file } of files()) {
      const abort = new AbortController();
      const [first, second] = [file.blockAsync({ signal: abort.signal }), file.blockAsync()];
      abort.abort(new Error("enough"));
      await assert.rejects(first, /enough/);
      file.post(8);
      assert.equal(await second, "interrupt");
    }
  });

  it("is what a thread is told to use that may not block", () => {
    const platform = { ...Host.create({ size: "small" }).platform, mayBlock: false };
    const file = InterruptFile.create(new SharedArrayBuffer(64), 0, { platform });
    assert.throws(() => file.block(), { code: "EAGAIN", message: /use blockAsync/ });
    file.post(1);
    assert.equal(file.block(), "interrupt");
  });
});

describe("the file of a vCPU", () => {
  it("is the caller's for as long as its thread has the vCPU: posts come to it, and an NMI is an event", () => {
    const host = Host.create({ size: "small" });
    const vm = new Vm(host, { apic: false });
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    const file = InterruptFile.open(host.handle.memory, vcpu.fileAddress);
    assert.equal(file.controlAddress, vcpu.onAddress);
    file.post(0x41);
    assert.equal(vcpu.wait(), "interrupt");
    const into = new Uint32Array(8);
    assert.equal(file.harvest(into), true);
    assert.deepEqual(idsOf(into), [0x41]);
    vcpu.kick();
    assert.equal(file.block(), "kicked");
    vm.setGsiRouting([{ gsi: 3, msi: { address: 0xfee00000, data: 0x400 } }]);
    vm.setIrqLine(3, true);
    assert.equal(file.block({ timeoutMs: 1000 }), "event");
    assert.equal(vcpu.wait({ timeoutMs: 0 }), "nmi");
    vcpu.put();
    assert.equal(file.block(), "suspended");
    vm.dispose();
    host.dispose();
  });
});

describe("what compiled code imports of an interrupt file", () => {
  for (const [what, into] of [
    ["behind the end", 65536],
    ["that ends behind it", 65536 - 16],
    ["below 0", -4],
    ["between two words", 66],
  ] as const) {
    for (const fastPath of ["wasm", "typescript"] as const) {
      it(`harvests to no address ${what}, and then nothing is taken (${fastPath})`, () => {
        const one = memory();
        const file = InterruptFile.create(one, 64, { fastPath });
        const { post, harvest } = file.imports().interrupt_file;
        post(64, 40);
        assert.throws(() => harvest(64, into), { name: "IrqBypassError", code: "EINVAL" });
        assert.equal(file.pending(), true);
        assert.equal(harvest(64, 128), 2);
        assert.equal(new Uint32Array(one.buffer, 128, 8)[1], 1 << 8);
      });
    }
  }

  it("refuses an address that is an i64", () => {
    const { kick } = InterruptFile.create(memory(), 64).imports().interrupt_file;
    assert.throws(() => kick(64n as never), { name: "IrqBypassError", code: "EINVAL" });
  });
});
