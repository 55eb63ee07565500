import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createMemory } from "#src/host/wasm.js";
import { guestListing, guestPages, guestTables, loadGuest, stubListing } from "#src/kvm/guest.js";

const CODE = 0x1000;
const CODE_END = 0x1900;
const objdump = spawnSync("objdump", ["--version"]).status === 0 ? false : "objdump is not installed";

function load(): Uint8Array {
  const memory = createMemory(guestPages(1));
  loadGuest(memory);
  return new Uint8Array(memory.buffer);
}

const stubs = Array.from({ length: 256 }, (_, vector) => stubListing(vector));

describe("the guest's listing", () => {
  it("has no instruction over another, and a stub in its eight bytes", () => {
    const all = [...guestListing, ...stubs.flat()];
    let end = CODE;
    for (const [address, bytes] of all) {
      assert.ok(address >= end, `0x${address.toString(16)} begins before the one above it ends`);
      end = address + bytes.split(" ").length;
    }
    assert.ok(end <= CODE_END);
    for (const [vector, stub] of stubs.entries()) assert.equal(stub[0]![0], 0x1100 + vector * 8);
  });

  it("says what a disassembler says of the bytes in memory", { skip: objdump }, () => {
    const folder = mkdtempSync(join(tmpdir(), "irqbypass-guest-"));
    try {
      const image = join(folder, "code");
      const memory = load();
      // What lies between the listed instructions becomes "nop", so that the disassembler keeps in step.
      const code = new Uint8Array(CODE_END - CODE).fill(0x90);
      for (const [address, bytes] of [...guestListing, ...stubs.flat()]) {
        code.set(memory.subarray(address, address + bytes.split(" ").length), address - CODE);
      }
      writeFileSync(image, code);
      const options = [
        "-D",
        "-b",
        "binary",
        "-m",
        "i8086",
        "-M",
        "intel",
        `--adjust-vma=0x${CODE.toString(16)}`,
      ];
      const { stdout } = spawnSync("objdump", [...options, image], { encoding: "utf8" });
      const said = new Map<number, string>();
      for (const line of stdout.split("\n")) {
        const found = /^ +([0-9a-f]+):\t([0-9a-f ]+?) *\t(.*)$/.exec(line);
        if (found)
          said.set(Number.parseInt(found[1]!, 16), `${found[2]} | ${found[3]!.replace(/\s+/g, " ").trim()}`);
      }
      for (const [address, bytes, mnemonic] of [...guestListing, ...stubs.flat()]) {
        assert.equal(said.get(address), `${bytes} | ${mnemonic}`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is where the vector table points", () => {
    const bytes = load();
    for (let vector = 0; vector < 256; vector++) {
      const entry = [...bytes.subarray(vector * 4, vector * 4 + 4)];
      const at = stubs[vector]![0]![0];
      assert.deepEqual(entry, [at & 0xff, at >> 8, 0, 0]);
    }
  });
});

describe("the guest's memory", () => {
  it("has a page of tables for each vCPU, none over another", () => {
    assert.deepEqual([1, 14, 15, 240].map(guestPages), [1, 1, 2, 16]);
    for (const bad of [0, 241, 1.5]) assert.throws(() => guestPages(bad), { code: "EINVAL" });
    const memory = createMemory(guestPages(2));
    const offsets = [0, 1].flatMap((vcpu) => {
      const { count, seen, avail } = guestTables(memory, vcpu);
      return [count.byteOffset, seen.byteOffset, avail.byteOffset];
    });
    assert.deepEqual(offsets, [0x2000, 0x2400, 0x2800, 0x3000, 0x3400, 0x3800]);
  });
});
