/** The interrupt file in C beside the one in TypeScript, over the same words. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { InterruptFile } from "irqbypass";
import { compile, createMemory, instantiate, type WasmMemory } from "#src/host/wasm.js";
import { compileC, whyNoClang } from "./clang.js";

interface Exports {
  init(file: number): void;
  is_file(file: number): number;
  post(file: number, id: number): void;
  pending(file: number): number;
  harvest(file: number, into: number): number;
  block(file: number, ns: bigint): number;
  kick(file: number): void;
  event(file: number): void;
  suspend(file: number): void;
  resume(file: number): void;
  renotify(file: number): void;
}

const FILE = 65536;
const INTO = 65536 + 1024;
/** `enum if_wake`. */
const [INTERRUPT, EVENT, KICKED, TIMEOUT, SUSPENDED] = [0, 1, 2, 3, 4];

const skip = whyNoClang() ?? false;

for (const how of ["included", "called"] as const) {
  describe(`interrupt_file.h, ${how}`, { skip }, () => {
    let bytes: Uint8Array;
    before(() => {
      bytes = compileC("test/file/cpu.c", how === "called" ? ["-DIF_IMPORTED"] : []);
    });

    /** A file that both see, and the eight words that C harvests into. */
    function both(options: object = {}) {
      const memory: WasmMemory = createMemory(16);
      const file = InterruptFile.create(memory, FILE, options);
      const imports = how === "called" ? file.imports() : {};
      const c = instantiate(compile(bytes), { env: { memory }, ...imports }) as Exports;
      const words = new Int32Array(memory.buffer as SharedArrayBuffer, FILE, 16);
      const into = new Uint32Array(memory.buffer as SharedArrayBuffer, INTO, 8);
      return { file, c, words, into };
    }

    it("takes what the other has posted, both ways", () => {
      for (const options of [{}, { fastPath: "typescript" }]) {
        const { file, c, into } = both(options);
        for (const id of [0, 31, 32, 255]) file.post(id);
        assert.equal(c.pending(FILE), 1);
        assert.equal(c.harvest(FILE, INTO), 0b10000011);
        assert.deepEqual([...into], [0x80000001, 1, 0, 0, 0, 0, 0, 0x80000000]);
        assert.deepEqual([c.pending(FILE), c.harvest(FILE, INTO), file.pending()], [0, 0, false]);
        for (const id of [0, 31, 32, 255]) c.post(FILE, id);
        const bits = new Uint32Array(8);
        assert.equal(file.harvest(bits), true);
        assert.deepEqual([...bits], [0x80000001, 1, 0, 0, 0, 0, 0, 0x80000000]);
      }
    });

    it("leaves the same words after the same calls", () => {
      const { c, words } = both();
      const other = InterruptFile.create(new SharedArrayBuffer(64), 0);
      const theirs = new Int32Array(other.memory as SharedArrayBuffer);
      const steps: [() => unknown, () => unknown][] = [
        [() => c.post(FILE, 33), () => other.post(33)],
        [() => c.suspend(FILE), () => other.suspend()],
        [() => c.post(FILE, 255), () => other.post(255)],
        [() => c.kick(FILE), () => other.kick()],
        [() => c.harvest(FILE, INTO), () => other.harvest(new Uint32Array(8))],
        [() => c.resume(FILE), () => other.resume()],
        [() => c.renotify(FILE), () => other.renotify()],
        [() => c.block(FILE, 0n), () => other.block({ timeoutMs: 0 })],
        [() => c.harvest(FILE, INTO), () => other.harvest(new Uint32Array(8))],
        [() => c.block(FILE, 0n), () => other.block({ timeoutMs: 0 })],
        [() => c.block(FILE, 1000n), () => other.block({ timeoutMs: 0.001 })],
      ];
      for (const [mine, its] of steps) {
        mine();
        its();
        assert.deepEqual([...words], [...theirs], String(mine));
      }
    });

    it("says why a wait has ended", () => {
      const { file, c, words } = both();
      assert.equal(c.block(FILE, 0n), TIMEOUT);
      assert.equal(c.block(FILE, 1_000_000n), TIMEOUT);
      file.kick();
      Atomics.or(words, 8, 8);
      assert.equal(c.block(FILE, -1n), EVENT);
      assert.equal(c.block(FILE, -1n), KICKED);
      c.post(FILE, 4);
      assert.equal(c.block(FILE, -1n), INTERRUPT);
      c.suspend(FILE);
      assert.equal(c.block(FILE, -1n), SUSPENDED);
    });

    if (how === "included") {
      it("makes a file that TypeScript opens, and knows one that it has made", () => {
        const { file, c, words } = both();
        assert.equal(c.is_file(FILE), 1);
        const second = FILE + 128;
        assert.equal(c.is_file(second), 0);
        c.init(second);
        const opened = InterruptFile.open(file.memory, second);
        c.event(second);
        assert.equal(opened.block(), "event");
        assert.equal(opened.block({ timeoutMs: 0 }), "timeout");
        assert.equal(words[10], new Int32Array((file.memory as WasmMemory).buffer, second, 16)[10]);
      });
    }
  });
}

describe("interrupt_file.h", () => {
  it("is what the layout says", () => {
    const script = fileURLToPath(new URL("../../../../../scripts/header.mjs", import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [script], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });
});
