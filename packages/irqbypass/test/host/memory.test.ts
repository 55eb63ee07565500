/** Creating a host in memory and attaching to one: what is accepted, and what is said otherwise. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host, type HostHandle, type Kind } from "irqbypass";
import { DEFAULT_ROUTES, Header, LAYOUT_VERSION } from "#src/host/layout.js";
import { HostMemory } from "#src/host/memory.js";
import { createMemory, type WasmMemory } from "#src/host/wasm.js";
import { SharedWords } from "#src/host/words.js";
import { liveRecords, SMALL, smallHost } from "../support/host.js";

const PAGE = 65536;
const BYTES = HostMemory.bytes(SMALL);

const memoryOf = (bytes: number) => createMemory(Math.ceil(bytes / PAGE));
const unshared = () => new (WebAssemblyOf().Memory)({ initial: 1, maximum: 1 }) as WasmMemory;

function WebAssemblyOf() {
  return (globalThis as unknown as { WebAssembly: { Memory: new (descriptor: object) => unknown } })
    .WebAssembly;
}

/** Damages the header of a host and gives its handle. */
function damaged(damage: (header: Int32Array) => void): HostHandle {
  const { handle } = smallHost();
  damage(new Int32Array(handle.memory.buffer, handle.byteOffset, Header.words));
  return handle;
}

describe("Host.create", () => {
  it("takes memory of its own", () => {
    const host = smallHost();
    assert.equal(host.handle.byteOffset, 0);
    assert.ok(host.handle.memory.buffer instanceof SharedArrayBuffer);
    assert.ok(host.handle.memory.buffer.byteLength >= BYTES);
    const { route, routing, ...others } = liveRecords(host);
    assert.deepEqual([route, routing], [DEFAULT_ROUTES, 1], "the routing table that every VM starts with");
    assert.ok(Object.values(others).every((live) => live === 0));
  });

  it("has room for what was asked, and says what to ask for when it is used up", () => {
    const host = smallHost({ capacity: { eventfd: 3 } });
    for (let i = 0; i < 3; i++) host.pools.eventfd.allocate();
    assert.throws(() => host.pools.eventfd.allocate(), {
      code: "ENOMEM",
      subject: "eventfd",
      message:
        /capacity\.eventfd is 3, and all are in use: create the host with size "small", which has 512, or/,
    });
  });

  it("stays within the caller's memory from byteOffset on, and touches nothing else", () => {
    const byteOffset = 4096;
    const memory = memoryOf(byteOffset + BYTES + PAGE);
    const bytes = new Uint8Array(memory.buffer).fill(0);
    bytes.fill(0xa5, 0, byteOffset);
    bytes.fill(0xa5, byteOffset + BYTES);
    const host = smallHost({ memory, byteOffset });
    assert.equal(host.handle.memory, memory);
    for (const pool of Object.values(host.pools)) {
      if (pool.name === "thread") continue;
      while (pool.live < pool.capacity) pool.allocate();
      for (let slot = 0; slot < pool.capacity; slot++)
        for (let word = 2; word < pool.stride; word++) host.words.set(pool.at(slot) + word, -1);
      for (let slot = 0; slot < pool.capacity; slot++) pool.release(pool.at(slot));
    }
    for (let slot = 0; slot < host.pools.consumer.capacity; slot++)
      host.pending.raise(host.pools.consumer.at(slot));
    assert.ok(bytes.subarray(0, byteOffset).every((byte) => byte === 0xa5));
    assert.ok(bytes.subarray(byteOffset + BYTES).every((byte) => byte === 0xa5));
    const second = Host.attach(host.handle);
    assert.notEqual(second.thread.record, host.thread.record);
  });

  it("puts two hosts into one memory side by side, and none over another", () => {
    const byteOffset = Math.ceil(BYTES / 64) * 64;
    const memory = memoryOf(2 * byteOffset);
    const one = smallHost({ memory });
    const two = smallHost({ memory, byteOffset });
    one.bypass = false;
    assert.equal(two.bypass, true);
    assert.throws(() => smallHost({ memory, byteOffset }), {
      code: "EEXIST",
      message: /there is a host at this place already: attach to it, or clear the memory first/,
    });
    assert.equal(two.bypass, true);
  });

  it("refuses a bad byteOffset, a memory that is too small, not shared, or none at all", () => {
    for (const byteOffset of [-64, 1, 32, 0.5, Number.NaN, 2 ** 53]) {
      assert.throws(() => smallHost({ byteOffset }), { code: "EINVAL", message: /must be a multiple of 64/ });
    }
    const memory = memoryOf(PAGE);
    assert.throws(() => smallHost({ memory }), {
      code: "ENOMEM",
      message:
        /has 65536 bytes from byteOffset 0 on, this host takes \d+: pass a larger memory or a smaller capacity/,
    });
    assert.throws(() => smallHost({ memory, byteOffset: 2 * PAGE }), {
      code: "ENOMEM",
      message: /has 0 bytes/,
    });
    const wrong = [
      unshared(),
      {},
      { buffer: new SharedArrayBuffer(BYTES) },
      new SharedArrayBuffer(BYTES),
      null,
      3,
    ];
    for (const memory of wrong) {
      assert.throws(() => smallHost({ memory: memory as WasmMemory }), {
        code: "EINVAL",
        message: /a host lives in a WebAssembly.Memory made with shared: true/,
      });
    }
  });

  it("refuses a capacity that is not known, not a number, or too large for 4 GiB", () => {
    assert.throws(() => Host.create({ capacity: { producers: 1 } as object }), {
      code: "EINVAL",
      message:
        /capacity.producers is not known: did you mean capacity.producer\? There are thread, eventfd, /,
    });
    for (const eventfd of [0, -1, 1.5, 2 ** 21, Number.NaN, "8" as unknown as number]) {
      assert.throws(() => smallHost({ capacity: { eventfd } }), {
        code: "EINVAL",
        message: /capacity.eventfd is .*: give a whole number from 1 to 2097151/,
      });
    }
    assert.throws(() => smallHost({ capacity: { vm: 2_097_151 } }), {
      code: "EINVAL",
      message: /at most 4 GiB/,
    });
  });

  it("names the headers that a page without shared memory lacks", () => {
    const scope = globalThis as { crossOriginIsolated?: boolean };
    scope.crossOriginIsolated = false;
    try {
      assert.throws(() => smallHost(), {
        code: "EOPNOTSUPP",
        message: /Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp/,
      });
    } finally {
      delete scope.crossOriginIsolated;
    }
    const shared = globalThis.SharedArrayBuffer;
    try {
      (globalThis as { SharedArrayBuffer?: unknown }).SharedArrayBuffer = undefined;
      assert.throws(() => smallHost(), {
        code: "EOPNOTSUPP",
        message: /no SharedArrayBuffer.*newer browser/,
      });
      scope.crossOriginIsolated = false; // there it is missing for want of the headers
      assert.throws(() => smallHost(), { code: "EOPNOTSUPP", message: /Cross-Origin-Embedder-Policy/ });
      assert.throws(() => Host.attach({ memory: unshared(), byteOffset: 0 }), { code: "EOPNOTSUPP" });
    } finally {
      globalThis.SharedArrayBuffer = shared;
      delete scope.crossOriginIsolated;
    }
  });

  it("reaches its words through another implementation where one is given", () => {
    let accesses = 0;
    class Counting extends SharedWords {
      override get(word: number): number {
        accesses += 1;
        return super.get(word);
      }
    }
    const host = smallHost({ words: (...view) => new Counting(...view) });
    accesses = 0;
    assert.equal(host.pools.eventfd.live, 0);
    assert.equal(accesses, 1);
  });
});

describe("Host.attach", () => {
  it("sees what the other sees", () => {
    const host = smallHost();
    const second = Host.attach(host.handle);
    const record = host.pools.eventfd.allocate();
    assert.equal(second.pools.eventfd.open(host.pools.eventfd.handle(record)), record);
    second.bypass = false;
    assert.equal(host.bypass, false);
  });

  it("refuses what is no handle", () => {
    for (const wrong of [undefined, null, 1, "host", {}]) {
      assert.throws(() => Host.attach(wrong as unknown as HostHandle), {
        code: "EINVAL",
        message: /host.handle/,
      });
    }
    assert.throws(() => Host.attach({ memory: unshared(), byteOffset: 0 }), { code: "EINVAL" });
  });

  it("refuses memory that holds no host, here or at another offset", () => {
    const memory = memoryOf(PAGE);
    assert.throws(() => Host.attach({ memory, byteOffset: 0 }), { code: "EINVAL", message: /is not a host/ });
    const { handle } = smallHost();
    for (const byteOffset of [64, 4096]) {
      assert.throws(() => Host.attach({ ...handle, byteOffset }), {
        code: "EINVAL",
        message: /is not a host/,
      });
    }
    for (const byteOffset of [-64, 4, 2 ** 40, undefined as unknown as number]) {
      assert.throws(() => Host.attach({ ...handle, byteOffset }), {
        code: "EINVAL",
        message: /no host at byteOffset/,
      });
    }
  });

  it("refuses another layout version, naming both", () => {
    const handle = damaged((header) => {
      header[Header.version] = LAYOUT_VERSION + 1;
    });
    assert.throws(() => Host.attach(handle), {
      code: "EINVAL",
      message: new RegExp(
        `has layout version ${LAYOUT_VERSION + 1}, this library knows ${LAYOUT_VERSION}: use the same version`,
      ),
    });
  });

  it("refuses a host that is larger than its memory", () => {
    for (const size of [2 ** 30, 0, -1]) {
      const handle = damaged((header) => {
        header[Header.size] = size;
      });
      assert.throws(() => Host.attach(handle), { code: "EINVAL", message: /it is damaged/ });
    }
  });

  it("refuses a thread that lacks one of the host's kinds, has one too many, or another order", () => {
    const [a, b, c]: [Kind, Kind, Kind] = [{ name: "a" }, { name: "b" }, { name: "c" }];
    const { handle } = smallHost({ kinds: [a, b] });
    const before = new Int32Array(handle.memory.buffer)[Header.threads];
    for (const kinds of [undefined, [b]]) {
      assert.throws(() => Host.attach(handle, kinds === undefined ? {} : { kinds }), {
        code: "EINVAL",
        message:
          /created with kinds that this thread lacks: pass a(, b)? to Host.attach as well, its kinds being \[a, b\]/,
      });
    }
    for (const kinds of [
      [a, b, c],
      [b, a],
    ]) {
      assert.throws(() => Host.attach(handle, { kinds }), {
        code: "EINVAL",
        message: /pass exactly a, b in this order/,
      });
    }
    assert.equal(
      new Int32Array(handle.memory.buffer)[Header.threads],
      before,
      "a refused thread took a record",
    );
    Host.attach(handle, { kinds: [a, b] });
  });

  it("refuses kinds that cannot be told apart or written down", () => {
    const long = { name: "x".repeat(400) };
    assert.throws(() => smallHost({ kinds: [long] }), { code: "E2BIG", message: /use shorter names/ });
    const memory = memoryOf(BYTES);
    assert.throws(() => smallHost({ memory, kinds: [{ name: "twice" }, { name: "twice" }] }), {
      code: "EINVAL",
      message: /"twice"/,
    });
    for (const name of ["", "two\nlines", "irqfd"]) {
      assert.throws(() => smallHost({ memory, kinds: [{ name }] }), { code: "EINVAL" });
    }
    const many = Array.from({ length: 32 }, (_, i) => ({ name: `k${i}` }));
    assert.throws(() => smallHost({ memory, kinds: many }), { code: "E2BIG", message: /at most 32 kinds/ });
    // Nothing half done: the caller's memory is as clean as before.
    assert.ok(new Int32Array(memory.buffer).every((word) => word === 0));
  });
});
