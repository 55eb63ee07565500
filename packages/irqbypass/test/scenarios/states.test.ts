// The state tables: that they are well formed, that each row is needed, and that a change without one is a violation.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it, test } from "node:test";
import { Explorer, type Subject } from "atomics-explorer";
import { ANY, type Row, type StateTable, WHOLE } from "#scenarios/states/table.js";
import { TABLES } from "#scenarios/states/tables.js";
import { coverageText, noting, rowFaults, rowText } from "#scenarios/support/coverage.js";
import { scenarios } from "#scenarios/support/scenarios.js";
import { keepTables, Ledger, type Scene, useTables } from "#scenarios/support/transitions.js";
import { HEADER_FIELDS, RECORD_FIELDS } from "#src/host/word-classes.js";

const shipped = new Map<string, Subject>();
for (const subject of await scenarios()) if (!subject.twin) shipped.set(subject.name, subject);

describe("each table", () => {
  for (const table of TABLES) {
    it(`${table.name}: has rows between its own states, no two of them for one change`, () => {
      const seen = new Set<string>();
      for (const row of table.rows) {
        if (row.from !== ANY) assert.ok(row.from in table.states, rowText(table, row));
        assert.ok(row.to in table.states, rowText(table, row));
        assert.ok(row.names === undefined || table.names !== undefined, rowText(table, row));
        const key = `${row.from} ${row.to} ${row.who} ${row.names}`;
        assert.ok(!seen.has(key), rowText(table, row));
        seen.add(key);
      }
    });

    it(`${table.name}: goes from any state only where a life ends, to what a fresh record holds`, () => {
      for (const row of table.rows) {
        if (row.from !== ANY) continue;
        assert.equal(row.who, "holder", rowText(table, row));
        assert.equal(table.states[row.to]!.value, 0, rowText(table, row));
        assert.ok(
          table.words.every((word) => !/^(header|thread)\./.test(word)),
          "its words have no life that ends",
        );
      }
    });

    it(`${table.name}: has no state that no row leads to, but the one of a fresh record`, () => {
      const reached = new Set(table.rows.map(({ to }) => to));
      for (const [name, { mask, value }] of Object.entries(table.states))
        assert.ok(reached.has(name) || (mask === WHOLE && value === 0), name);
    });

    it(`${table.name}: is of words that the layout has`, () => {
      for (const word of table.words) {
        const [pool, field] = word.split(".") as [string, string];
        const records: Readonly<Record<string, object>> = { ...RECORD_FIELDS, header: HEADER_FIELDS };
        const of = pool === "*" ? Object.values(records) : [records[pool] ?? {}];
        assert.ok(/^(vcpu|file)\.control$/.test(word) || of.some((fields) => field in fields), word);
      }
    });
  }

  it("is of words that no other has, or of other bits of them", () => {
    const bits = new Map<string, number>();
    for (const table of TABLES) {
      for (const word of table.words) {
        const [taken, own] = [bits.get(word) ?? 0, table.bits ?? WHOLE];
        assert.equal(taken & own, 0, `${table.name}: ${word}`);
        bits.set(word, taken | own);
      }
    }
  });

  it("is named beside its word in src/", () => {
    const src = new URL("../../../src/", import.meta.url);
    const text = readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(new URL(name, src), "utf8"))
      .join("\n");
    const folder = new URL("../../../scenarios/states/", import.meta.url);
    for (const name of readdirSync(folder))
      if (!/^tables?\.ts$/.test(name)) assert.ok(text.includes(`scenarios/states/${name}`), name);
  });
});

/** Explores a scenario with these tables; returns what is wrong. */
async function violation(subject: Subject, tables: readonly StateTable[]): Promise<string | undefined> {
  const { setup, settings } = noting(subject, new Ledger(), tables);
  const explorer = new Explorer(setup, settings);
  await explorer.explore();
  return explorer.violation?.message;
}

describe("without the row", () => {
  for (const table of TABLES) {
    for (const row of table.rows) {
      if (!("shown" in row)) continue;
      it(`${rowText(table, row)}: ${row.shown} does not hold`, async () => {
        const subject = shipped.get(row.shown);
        assert.ok(subject !== undefined, "there is no such scenario");
        const others = { ...table, rows: table.rows.filter((one) => one !== row) };
        const found = await violation(
          subject,
          TABLES.map((one) => (one === table ? others : one)),
        );
        assert.match(found ?? "it holds", new RegExp(`no row of the table of the ${table.name} allows it$`));
      });
    }
  }
});

/** A table over word 0 of a memory, beside which word 1 says whose it is, and word 2 whether its record lives. */
const LAMP: StateTable = {
  name: "lamp",
  words: ["lamp.word"],
  keeper: "owner",
  names: { what: "reference", mask: ~3, shift: 2 },
  states: {
    gone: { mask: WHOLE, value: 0, is: "there is no lamp" },
    off: { mask: 3, value: 1, is: "it is dark" },
    on: { mask: 3, value: 2, is: "it shines" },
  },
  rows: [
    { from: "gone", to: "off", who: "anyone", names: "self", does: "hangs it up", shown: "x" },
    { from: "off", to: "on", who: "owner", names: "same", does: "lights it", shown: "x" },
    { from: "on", to: "off", who: "repairer", names: "next", does: "puts it out", shown: "x" },
    { from: ANY, to: "gone", who: "holder", does: "takes it down", shown: "x" },
  ],
};

/** What comes of thread b changing the lamp from one value to another; a owns it, and b holds the mutex. */
async function changes(
  before: number,
  after: number,
  { rows = LAMP.rows, lives = true, ended = false, owner = 0, ledger = new Ledger() } = {},
): Promise<string | undefined> {
  const explorer = new Explorer((world) => {
    world.memory(1);
    const scene: Scene = {
      fieldOf: () => "lamp.word",
      nameOf: () => "the lamp",
      keeper: (who) => ({ owner, holder: 1, runner: undefined })[who],
      named: (_what, part) => part,
      lives: (thread) => thread !== 0 || lives,
      hasEnded: () => ended,
    };
    useTables(world, [{ ...LAMP, rows }], ledger);
    keepTables(world, scene);
    const [a, b] = [world.words("a"), world.words("b")];
    a.store(0, before);
    return { threads: { a: () => {}, b: () => b.store(0, after) } };
  });
  await explorer.explore();
  return explorer.violation?.message;
}
const [GONE, OFF, ON, FROM_B] = [0, 1, 2, 4];
const none = (change: string, by: string) =>
  `the lamp goes from ${change} by ${by}: no row of the table of the lamp allows it`;

test("a change goes by its row, and is noted", async () => {
  const ledger = new Ledger();
  assert.equal(await changes(GONE, OFF | FROM_B, { ledger }), undefined);
  assert.equal(await changes(OFF | FROM_B, ON | FROM_B, { owner: 1, ledger }), undefined);
  assert.equal(await changes(ON, OFF | FROM_B, { lives: false, ledger }), undefined);
  assert.equal(await changes(ON, GONE, { ended: true, ledger }), undefined);
  assert.deepEqual([...ledger.rows.keys()], LAMP.rows);
  assert.ok(ledger.changes >= 4);
  assert.match(coverageText([LAMP], ledger), /^1 tables of 1 packed words: 4 of 4 rows taken, 0 not/);
});

test("a change without a row is a violation that says what, and by whom", async () => {
  assert.equal(await changes(GONE, ON | FROM_B), none("gone to on", "holder"));
  assert.equal(await changes(OFF, ON, { owner: 1 }), undefined);
  assert.equal(await changes(OFF, ON), none("off to on", "holder"), "not by the owner");
  assert.equal(await changes(ON, OFF | FROM_B), none("on to off", "holder"), "the owner lives");
  assert.equal(
    await changes(ON, OFF | FROM_B, { lives: false, owner: 1 }),
    none("on to off", "holder and owner"),
  );
  assert.equal(await changes(ON, GONE), none("on to gone", "holder"), "its life has not ended");
  assert.equal(await changes(OFF, 3), none("off to 0x3", "holder"), "no state");
  assert.equal(await changes(3, OFF), none("0x3 to off", "holder"), "no state");
});

test("what the value names is held to, too", async () => {
  assert.equal(await changes(GONE, OFF), none("gone to off", "holder"), "not the thread itself");
  assert.equal(
    await changes(OFF, ON | FROM_B, { owner: 1 }),
    none("off to on", "holder and owner"),
    "not the same",
  );
  assert.equal(
    await changes(ON | FROM_B, OFF, { lives: false }),
    none("on to off", "holder"),
    "not the next",
  );
});

test("two rows for one change are a violation", async () => {
  const more: Row = { from: "gone", to: "off", who: "holder", does: "hangs it up again", shown: "x" };
  assert.equal(
    await changes(GONE, OFF | FROM_B, { rows: [...LAMP.rows, more] }),
    "the lamp goes from gone to off by holder: 2 rows of the table of the lamp allow it",
  );
});

test("a row that no scenario takes is a fault, and so is one that says so and is taken", () => {
  const [first, ...rest] = LAMP.rows;
  const idle: Row = {
    from: "off",
    to: "gone",
    who: "anyone",
    does: "falls down",
    unused: "the house stands still",
  };
  const ledger = new Ledger();
  for (const row of rest) ledger.note(row);
  const rows = [first!, ...rest, idle];
  assert.deepEqual(rowFaults([{ ...LAMP, rows }], ledger), [
    "lamp: gone -> off, anyone: hangs it up: no scenario takes this row: show it in one, say why none can, or delete it",
  ]);
  ledger.note(first!);
  assert.deepEqual(rowFaults([{ ...LAMP, rows }], ledger), []);
  ledger.note(idle);
  assert.deepEqual(rowFaults([{ ...LAMP, rows }], ledger), [
    "lamp: off -> gone, anyone: falls down: a scenario takes this row, and it says that none does: name one that shows it",
  ]);
});
