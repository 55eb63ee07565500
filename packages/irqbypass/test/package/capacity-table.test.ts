/** `docs/capacity.md`, held to the code: every capacity, what each size has of it, and what is said when it is used up. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Host } from "irqbypass";
import { CAPACITIES, capacityOf, noRoom, SIZES } from "#src/host/capacity.js";

const DOCUMENT = fileURLToPath(new URL("../../../docs/capacity.md", import.meta.url));
const figure = (value: number) => value.toLocaleString("en-US");
const rows = readFileSync(DOCUMENT, "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| `capacity` |"))
  .map((line) => line.slice(2, -2).split(" | "));

describe("the table of capacities in the documents", () => {
  it("has each capacity, what each size has room for, and the error's sentence", () => {
    assert.deepEqual(
      rows.slice(0, -1).map(([name, _counts, ...others]) => [name, ...others]),
      CAPACITIES.map((name) => [
        `\`${name}\``,
        ...SIZES.map((size) => figure(capacityOf(size)[name])),
        noRoom(name, capacityOf("small")[name]).message.replace("ENOMEM: ", ""),
      ]),
    );
  });

  it("says what each size reserves", () => {
    const reserved = SIZES.map((size) => Host.create({ size }).handle.memory.buffer.byteLength / 1024);
    const [name, , ...others] = rows.at(-1)!;
    assert.equal(name, "reserved");
    assert.deepEqual(
      others.slice(0, SIZES.length),
      reserved.map((kib) => `${figure(kib)} KiB`),
    );
  });
});
