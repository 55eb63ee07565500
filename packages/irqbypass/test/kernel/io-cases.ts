/** Named cases of ioeventfds, each of which must hold on a kernel and on every side of the library. */
import assert from "node:assert/strict";
import type { Bell, IoSide } from "./io-side.js";
import { MMIO_BASE } from "./storing-guest.js";

export interface IoCase {
  readonly name: string;
  readonly run: (side: IoSide) => void;
}

const AT = MMIO_BASE;
const PORT = 0x500;
const bell = (length: number, datamatch?: bigint, address: number | bigint = AT): Bell => ({
  space: "mmio",
  address,
  length,
  datamatch,
});
const port = (length: number, datamatch?: bigint, address: number | bigint = PORT): Bell => ({
  ...bell(length, datamatch, address),
  space: "pio",
});

/** Assigns, each to eventfd 0, with what comes of it. */
function assigns(side: IoSide, steps: readonly (readonly [Bell, string])[]): void {
  for (const [one, outcome] of steps)
    assert.equal(
      side.assign(one, 0),
      outcome,
      `${side.side}: ${one.space} ${one.address} ${one.length} ${one.datamatch}`,
    );
}

/** Stores with what becomes of each, and what they have signalled in the end. */
function stores(
  side: IoSide,
  steps: readonly (readonly ["mmio" | "pio", number, 1 | 2 | 4 | 8, bigint, boolean])[],
  eventfd = 0,
): void {
  side.read(eventfd); // what was before
  for (const [space, address, length, value, taken] of steps)
    assert.equal(
      side.store(space, address, length, value),
      taken,
      `${side.side}: ${space} ${address} ${length} ${value}`,
    );
  const signals = BigInt(steps.filter(([, , , , taken]) => taken).length);
  assert.equal(side.read(eventfd), signals, side.side);
}

const TOP = 2n ** 64n;

export const IO_CASES: readonly IoCase[] = [
  {
    name: "a length is 0, 1, 2, 4 or 8",
    run: (side) =>
      assigns(side, [
        ...[3, 5, 7, 16, 0xffff_ffff].map((length) => [bell(length), "EINVAL"] as const),
        [bell(1), "ok"],
        [bell(2), "ok"],
        [bell(4), "ok"],
        [bell(8), "ok"],
        [bell(0, undefined, AT + 16), "ok"],
      ]),
  },
  {
    name: "a range ends below 2^64",
    run: (side) =>
      assigns(side, [
        [bell(4, undefined, TOP - 2n), "EINVAL"],
        [bell(4, undefined, TOP - 4n), "EINVAL"],
        [bell(1, undefined, TOP - 1n), "EINVAL"],
        [bell(4, undefined, TOP - 5n), "ok"],
        [bell(0, undefined, TOP - 1n), "ok"],
        [port(8, 7n, TOP - 9n), "ok"],
      ]),
  },
  {
    name: "a port may have more than 16 bits, and an address none of its length's alignment",
    run: (side) =>
      assigns(side, [
        [port(1, undefined, 0x10000), "ok"],
        [port(4, undefined, 2n ** 40n), "ok"],
        [bell(4, undefined, AT + 1), "ok"],
        [bell(8, undefined, AT + 3), "ok"],
      ]),
  },
  {
    name: "a value to match needs a length",
    run: (side) =>
      assigns(side, [
        [bell(0, 0n), "EINVAL"],
        [bell(0, 5n), "EINVAL"],
        [bell(0), "ok"],
      ]),
  },
  {
    name: "what collides: the same bus and start, one of any length or both of one, and a wildcard or the same value",
    run: (side) =>
      assigns(side, [
        [bell(4), "ok"],
        [bell(4), "EEXIST"],
        [bell(2, undefined, AT + 2), "ok"],
        [bell(2), "ok"],
        [bell(8), "ok"],
        [bell(4, 5n), "EEXIST"],
        [bell(0), "EEXIST"],
        [port(4, undefined, AT), "ok"],
        [bell(4, 1n, AT + 0x20), "ok"],
        [bell(4, 2n, AT + 0x20), "ok"],
        [bell(4, 2n, AT + 0x20), "EEXIST"],
        [bell(4, undefined, AT + 0x20), "EEXIST"],
        [bell(2, 1n, AT + 0x20), "ok"],
        [bell(0, undefined, AT + 0x20), "EEXIST"],
        [bell(0, undefined, AT + 0x40), "ok"],
        [bell(4, undefined, AT + 0x40), "EEXIST"],
        [bell(4, 1n, AT + 0x40), "EEXIST"],
        [bell(0, undefined, AT + 0x40), "EEXIST"],
      ]),
  },
  {
    name: "a value to match is compared in 64 bits: what a store cannot bring is never matched, and collides with nothing shorter",
    run: (side) => {
      assigns(side, [
        [bell(1, 1n), "ok"],
        [bell(1, 0x101n), "ok"],
        [bell(1, 0x101n), "EEXIST"],
        [bell(8, TOP - 1n, AT + 8), "ok"],
      ]);
      stores(side, [
        ["mmio", AT, 1, 1n, true],
        ["mmio", AT, 1, 2n, false],
        ["mmio", AT + 8, 8, TOP - 1n, true],
        ["mmio", AT + 8, 8, TOP - 2n, false],
      ]);
    },
  },
  {
    name: "a store is taken at the exact address, of the exact length, with any value",
    run: (side) => {
      assigns(side, [
        [bell(4), "ok"],
        [bell(2, undefined, AT + 8), "ok"],
        [bell(2, undefined, AT + 10), "ok"],
        [port(1), "ok"],
      ]);
      stores(side, [
        ["mmio", AT, 4, 0n, true],
        ["mmio", AT, 4, 0xffff_ffffn, true],
        ["mmio", AT, 2, 0n, false],
        ["mmio", AT, 8, 0n, false],
        ["mmio", AT + 1, 4, 0n, false],
        ["mmio", AT + 8, 4, 0n, false], // nor by two that lie in it
        ["mmio", AT + 8, 2, 0n, true],
        ["pio", PORT, 1, 9n, true],
        ["pio", PORT, 2, 9n, false],
        ["pio", PORT + 1, 1, 9n, false],
      ]);
    },
  },
  {
    name: "one of length 0 takes a store of any length at its address",
    run: (side) => {
      assigns(side, [
        [bell(0), "ok"],
        [port(0), "ok"],
      ]);
      stores(side, [
        ...([1, 2, 4, 8] as const).map((length) => ["mmio", AT, length, 1n, true] as const),
        ...([1, 2, 4] as const).map((length) => ["pio", PORT, length, 1n, true] as const),
        ["mmio", AT + 1, 1, 1n, false],
        ["pio", PORT + 1, 1, 1n, false],
      ]);
    },
  },
  {
    name: "of several at one address each takes its own length and value",
    run: (side) => {
      const taken: readonly [Bell, number][] = [
        [port(2, 0n), 0],
        [port(2, 1n), 1],
        [port(1), 2],
      ];
      for (const [one, eventfd] of taken) assert.equal(side.assign(one, eventfd), "ok");
      stores(side, [["pio", PORT, 2, 0n, true]], 0);
      stores(
        side,
        [
          ["pio", PORT, 2, 1n, true],
          ["pio", PORT, 2, 2n, false],
        ],
        1,
      );
      stores(side, [["pio", PORT, 1, 1n, true]], 2);
      assert.deepEqual([side.read(0), side.read(1), side.read(2)], [0n, 0n, 0n]);
    },
  },
  {
    name: "one eventfd may have any number",
    run: (side) => {
      for (let i = 0; i < 100; i++) assert.equal(side.assign(bell(1, undefined, AT + i), 0), "ok");
      stores(
        side,
        Array.from({ length: 101 }, (_, i) => ["mmio", AT + i, 1, 1n, i < 100] as const),
      );
    },
  },
  {
    name: "a deassign finds exactly what was assigned, else ENOENT, and looks at nothing else",
    run: (side) => {
      assigns(side, [
        [bell(4, 5n), "ok"],
        [port(2), "ok"],
      ]);
      assert.equal(side.deassign(bell(4, 5n), 1), "ENOENT", "another eventfd");
      assert.equal(side.deassign(bell(4, 6n), 0), "ENOENT");
      assert.equal(side.deassign(bell(4), 0), "ENOENT", "a wildcard");
      assert.equal(side.deassign(bell(2, 5n), 0), "ENOENT");
      assert.equal(side.deassign(bell(3, 5n), 0), "ENOENT", "a length that no store has");
      assert.equal(side.deassign(bell(0, 5n), 0), "ENOENT");
      assert.equal(side.deassign(bell(4, 5n, TOP - 1n), 0), "ENOENT", "a range that does not end");
      assert.equal(side.deassign(port(4, 5n, AT), 0), "ENOENT", "the other bus");
      assert.equal(side.deassign(port(2, 0n), 0), "ENOENT", "a value, where it takes any");
      assert.equal(side.deassign(bell(4, 5n), 0), "ok");
      assert.equal(side.deassign(bell(4, 5n), 0), "ENOENT");
      stores(side, [
        ["mmio", AT, 4, 5n, false],
        ["pio", PORT, 2, 5n, true],
      ]);
      assert.equal(side.deassign(port(2), 0), "ok");
      stores(side, [["pio", PORT, 2, 5n, false]]);
      assigns(side, [
        [bell(4), "ok"],
        [port(2, 1n), "ok"],
      ]);
    },
  },
  {
    name: "closing the last descriptor changes nothing: it still takes stores, and its place stays taken",
    run: (side) => {
      assigns(side, [[bell(4), "ok"]]);
      side.close(0);
      assert.equal(side.store("mmio", AT, 4, 1n), true);
      assert.equal(side.read(0), 0n, "the eventfd in its place has nothing to do with it");
      assert.equal(side.assign(bell(4), 0), "EEXIST");
      assert.equal(side.deassign(bell(4), 0), "ENOENT", "it was another eventfd's");
    },
  },
  {
    name: "a store to an eventfd near its largest count is taken all the same",
    run: (side) => {
      side.write(0, TOP - 3n);
      assigns(side, [[bell(4), "ok"]]);
      assert.equal(side.store("mmio", AT, 4, 1n), true);
      assert.equal(side.read(0), TOP - 2n);
      side.write(0, TOP - 2n);
      for (let i = 0; i < 3; i++) assert.equal(side.store("mmio", AT, 4, 1n), true);
      // A kernel's signal ends at 2^64-1. To a Linux eventfd user space can add nothing once a write has no room, at 2^64-2.
      const full = side.side === "software, linux" ? TOP - 2n : TOP - 1n;
      assert.equal(side.read(0), full);
    },
  },
];
