/**
 * docs/knowledge.md has the rules as they are: its tables are made from the rows. `UPDATE_REPORTS=1` writes them anew.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { FEATURE_ORDER } from "#src/rules/amd-features.js";
import { OTHER_WAYS } from "#src/rules/architectures.js";
import { BEGINNINGS } from "#src/rules/beginnings.js";
import { SWITCH_LETTERS } from "#src/rules/booleans.js";
import { WORDS } from "#src/rules/command-line.js";
import { CONTAINERS } from "#src/rules/containers.js";
import { INHIBIT_EFFECTS, NUMBERINGS } from "#src/rules/inhibits.js";
import { PRODUCERS } from "#src/rules/producers.js";
import { rangeOf } from "#src/rules/row.js";

const PAGE = fileURLToPath(new URL("../../docs/knowledge.md", import.meta.url));

type Cells = readonly (string | number)[];

function table(head: Cells, rows: readonly Cells[]): string {
  const line = (cells: Cells) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

const code = (text: string) => `\`${text}\``;
const VENDOR = { intel: "Intel", amd: "AMD", arm64: "arm64" };
const EFFECTS = {
  nothing: "devices are posted all the same",
  "no more": "what is posted stays, and no update posts",
  off: "every entry goes back to remapped",
};

const TABLES: Readonly<Record<string, string>> = {
  beginnings: table(
    ["platform", "kernels", "source"],
    BEGINNINGS.map((row) => [row.platform, rangeOf(row), row.source]),
  ),
  architectures: table(["architecture", "what it has"], Object.entries(OTHER_WAYS)),
  features: table(
    ["kernels", "extended feature register", "source"],
    FEATURE_ORDER.map((row) => [rangeOf(row), row.efr === 0 ? "first" : "second", row.source]),
  ),
  numbers: table(
    ["kernels", "bits from 0 on", "source"],
    NUMBERINGS.map((row) => [rangeOf(row), row.names.join(" "), row.source]),
  ),
  effects: table(
    ["CPU", "kernels", "while a reason is in force", "source"],
    INHIBIT_EFFECTS.map((row) => [VENDOR[row.vendor], rangeOf(row), EFFECTS[row.effect], row.source]),
  ),
  containers: table(
    ["kernels", "kept in", "source"],
    CONTAINERS.map((row) => [rangeOf(row), row.container, row.source]),
  ),
  producers: table(
    ["driver", "interrupt", "kernels", "producer", "source"],
    PRODUCERS.map((row) => [
      row.family === "vfio" ? "other VFIO drivers" : row.family,
      row.kind,
      rangeOf(row),
      row.producing,
      row.source,
    ]),
  ),
  words: table(
    ["word", "read on", "settings", "source"],
    WORDS.map((rule) => [
      code(rule.name),
      rule.platforms.map((one) => VENDOR[one]).join(", "),
      rule.settings
        .map(({ text, sets }) => {
          const does = sets.map(([name, on, since]) => {
            const from = since === undefined ? "" : ` (read from ${since} on)`;
            return `${name} ${on ? "on" : "off"}${from}`;
          });
          return `${text === "" ? "" : `${code(text)}: `}${does.join(", ")}`;
        })
        .join("; ") +
        (rule.sticks === true ? ", for good" : "") +
        (rule.until === undefined ? "" : `; not read from ${rule.until} on`),
      rule.source,
    ]),
  ),
  switches: table(
    ["on", "off", "kernels", "source"],
    SWITCH_LETTERS.map((row) => [
      code(String(row.yes).slice(2, -1)),
      code(String(row.no).slice(2, -1)),
      row.from === null ? "all" : `${row.from} on`,
      row.source,
    ]),
  ),
};

it("docs/knowledge.md has every rule, and no other", () => {
  const page = readFileSync(PAGE, "utf8");
  const marked = page.replaceAll(
    /<!-- rules: (\w+) -->\n[\s\S]*?<!-- end -->/g,
    (_, name: string) => `<!-- rules: ${name} -->\n${TABLES[name] ?? `no table ${name}`}\n<!-- end -->`,
  );
  for (const name of Object.keys(TABLES)) assert.ok(page.includes(`<!-- rules: ${name} -->`), name);
  if (process.env.UPDATE_REPORTS === "1") writeFileSync(PAGE, marked);
  assert.equal(marked, readFileSync(PAGE, "utf8"));
});
