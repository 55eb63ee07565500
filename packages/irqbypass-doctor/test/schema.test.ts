/**
 * The schemas in schemas/: whatever the command prints as JSON is of its schema, and has nothing that the schema lacks.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Ajv2020, type AnySchemaObject, type ValidateFunction } from "ajv/dist/2020.js";
import { type Report, VERDICTS } from "#src/judge/report.js";
import { USES } from "#src/judge/track.js";
import { Watch } from "#src/judge/watch.js";
import { compareStorms } from "#src/storm/compare.js";
import { parseStorm } from "#src/storm/saved-storm.js";
import { runDoctor } from "./run.js";
import { madeStorm } from "./storms.js";
import { CASES, hostNames, loadCase, loadHost, withTree } from "./tree.js";

const DIRECTORY = fileURLToPath(new URL("../../schemas/", import.meta.url));

function schema(name: string): AnySchemaObject {
  return JSON.parse(readFileSync(`${DIRECTORY}${name}.schema.json`, "utf8")) as AnySchemaObject;
}

/** Where a schema has an object, nothing but what it names may be in it: so a property that it lacks shows. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, closed(one)] as const);
  return {
    ...Object.fromEntries(entries),
    ...("properties" in value ? { additionalProperties: false } : {}),
  };
}

const formats = { "date-time": (text: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) };

function compile(name: string): ValidateFunction {
  return new Ajv2020({ strict: true, allErrors: true, formats, allowUnionTypes: true }).compile(
    closed(schema(name)) as AnySchemaObject,
  );
}

function holds(validate: ValidateFunction, value: unknown, name: string): void {
  assert.ok(validate(value), `${name}: ${JSON.stringify(validate.errors?.slice(0, 5), undefined, 1)}`);
}

/** Every host and case as the report that the command prints. */
async function allReports(): Promise<Map<string, Report>> {
  const reports = new Map<string, Report>();
  const hosts = [
    ...hostNames().map((name) => [name, loadHost(name)] as const),
    ...readdirSync(CASES).map((name) => [name, loadCase(name)] as const),
  ];
  for (const [name, host] of hosts)
    await withTree(name, host, async (dir) => {
      const where = host.root ? ["--root", dir, "--interval", "0.1"] : ["--from", dir];
      const { stdout } = await runDoctor([...where, "--json", ...host.options]);
      reports.set(name, JSON.parse(stdout) as Report);
    });
  return reports;
}

describe("schemas", async () => {
  const reports = await allReports();
  const report = compile("report");

  it("have every host and every case", () => {
    assert.ok(reports.size > 100);
    for (const [name, one] of reports) holds(report, one, name);
  });

  it("have the words of the code, and no other", () => {
    const words = (name: string, path: (schema: AnySchemaObject) => unknown) => path(schema(name));
    assert.deepEqual(
      words("report", ({ $defs }) => $defs.verdict.enum),
      [...VERDICTS],
    );
    assert.deepEqual(
      words("watch", ({ properties }) => properties.interrupts.items.properties.verdict.enum),
      [...USES],
    );
  });

  it("name nothing that no host shows", () => {
    const shown = new Set<string>();
    const walk = (value: unknown): void => {
      if (Array.isArray(value)) value.forEach(walk);
      else if (typeof value === "object" && value !== null)
        for (const [key, one] of Object.entries(value)) {
          shown.add(key);
          walk(one);
        }
    };
    for (const one of reports.values()) walk(one);
    const named = JSON.stringify(schema("report")).matchAll(/"required":(\[[^\]]*\])/g);
    for (const [, list] of named)
      for (const key of JSON.parse(list!) as string[]) assert.ok(shown.has(key), key);
  });

  it("have what a long run says of every host", () => {
    const watch = compile("watch");
    for (const [name, one] of reports) {
      const run = new Watch();
      run.add(one);
      run.add(one);
      holds(watch, JSON.parse(JSON.stringify(run.report())), name);
    }
  });

  it("have what the storm and its comparison print", async () => {
    const before = await madeStorm("list");
    holds(compile("storm"), JSON.parse(JSON.stringify(before)), "storm");
    const named = (from: string, text: string) => ({ from, storm: parseStorm(text) });
    const after = await madeStorm("tree");
    const comparison = compareStorms(named("a", JSON.stringify(before)), named("b", JSON.stringify(after)));
    holds(compile("storm-comparison"), JSON.parse(JSON.stringify(comparison)), "comparison");
  });

  it("refuse what is none", () => {
    const whole = reports.get("intel-posted-6.18")!;
    const broken: Record<string, unknown> = {
      "another format": { ...whole, format: "irqbypass-doctor/2" },
      "no chain": { ...whole, chain: undefined },
      "an unknown link": { ...whole, chain: [{ ...whole.chain[0], name: "luck" }] },
      "an exit code of its own": { ...whole, verdict: { ...whole.verdict, exit: 3 } },
      "a count below zero": {
        ...whole,
        counters: [{ ...whole.counters[0], grew: -1 }],
      },
      "a property that is not described": { ...whole, extra: 1 },
    };
    for (const [name, value] of Object.entries(broken))
      assert.equal(report(JSON.parse(JSON.stringify(value))), false, name);
  });

  it("are published, and say which one they are", () => {
    const manifest = JSON.parse(readFileSync(`${DIRECTORY}../package.json`, "utf8")) as {
      files: string[];
      exports: Record<string, unknown>;
    };
    assert.ok(manifest.files.includes("schemas"));
    assert.equal(manifest.exports["./schemas/*.json"], "./schemas/*.json");
    const names = readdirSync(DIRECTORY).map((file) => file.replace(/\.schema\.json$/, ""));
    assert.deepEqual(names.sort(), ["report", "storm", "storm-comparison", "watch"]);
    for (const name of names) assert.equal(schema(name).$id, `urn:irqbypass-doctor:${name}:1`);
  });
});
