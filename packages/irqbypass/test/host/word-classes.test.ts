// The table of classes says what the comments of the layout say, field by field.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import {
  DESCRIPTOR_FIELDS,
  type Fields,
  HEADER_FIELDS,
  MSIX_FIELDS,
  REC_FIELDS,
  RECORD_FIELDS,
} from "#src/host/word-classes.js";

const folder = new URL("../../../src/host/layout/", import.meta.url);
const layout = readdirSync(folder)
  .map((file) => readFileSync(new URL(file, folder), "utf8"))
  .join("\n");

interface Commented {
  readonly at: number;
  readonly wordClass: string;
}

/** The fields of one enum, each with the class that its comment ends in, or that of the field before it. */
function fieldsOf(name: string): Map<string, Commented> {
  const start = layout.indexOf(`export const enum ${name} {`);
  assert.ok(start > 0, `the layout has no ${name}`);
  const body = layout.slice(start, layout.indexOf("\n}", start));
  const whole =
    / ([AHVOC])\. \*\/$/.exec(layout.slice(0, start).trimEnd())?.[1] ??
    / ([HC]) \*\/\s*$/.exec(layout.slice(0, start))?.[1];
  const found = new Map<string, Commented>();
  let comment = "";
  let wordClass = whole ?? "";
  for (const line of body.split("\n").slice(1)) {
    const field = /^ {2}(\w+) = (\d+),(.*)$/.exec(line);
    comment += field === null ? line : field[3];
    if (field === null) continue;
    const said = comment.includes("as Producer.eventfd. H")
      ? "H"
      : (/[ /]([AHVOC])(?:, (?:64 bits|8 words|4096 words|written only while SN is set|written under H|own line))?(?: \*\/)?\s*$/.exec(
          comment.trim(),
        )?.[1] ?? "");
    if (said !== "") wordClass = comment.includes("A, 64 bits") ? "A64" : said;
    if (field[1] !== "words") found.set(field[1]!, { at: Number(field[2]), wordClass });
    comment = "";
  }
  return found;
}

const NOT_FIELDS = new Set(["kindsEnd", "lookingEnd", "nameEnd", "picLinesEnd"]);
const tables: readonly (readonly [string, Fields])[] = [
  ["Rec", REC_FIELDS],
  ["Header", HEADER_FIELDS],
  ["Descriptor", DESCRIPTOR_FIELDS],
  ["Thread", RECORD_FIELDS.thread],
  ["Eventfd", RECORD_FIELDS.eventfd],
  ["Producer", RECORD_FIELDS.producer],
  ["Consumer", RECORD_FIELDS.consumer],
  ["Vm", RECORD_FIELDS.vm],
  ["Vcpu", RECORD_FIELDS.vcpu],
  ["Route", RECORD_FIELDS.route],
  ["Routing", RECORD_FIELDS.routing],
  ["Injection", RECORD_FIELDS.injection],
  ["Epoll", RECORD_FIELDS.epoll],
  ["Watch", RECORD_FIELDS.watch],
  ["Device", RECORD_FIELDS.device],
  ["Msix", MSIX_FIELDS],
  ["Node", RECORD_FIELDS.node],
];

for (const [name, table] of tables) {
  test(`the fields of ${name} are those of the layout, with their classes`, () => {
    const wanted = fieldsOf(name);
    assert.ok(wanted.size > 0);
    for (const [field, { at, wordClass }] of wanted) {
      if (NOT_FIELDS.has(field)) continue;
      assert.deepEqual(table[field]?.slice(0, 2), [at, wordClass], `${name}.${field}`);
    }
    const extra = Object.keys(table).filter((field) => !wanted.has(field) && !(field in REC_FIELDS));
    assert.deepEqual(extra, [], "fields that the layout has not");
  });

  test(`no two fields of ${name} share a word`, () => {
    const taken = new Set<number>();
    for (const [at, , words = 1] of Object.values(table)) {
      for (let word = at; word < at + words; word++) {
        assert.ok(!taken.has(word), `word ${word}`);
        taken.add(word);
      }
    }
  });
}
