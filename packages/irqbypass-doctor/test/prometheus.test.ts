import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { type DeviceReport, type Report, VERDICTS, type Verdict } from "#src/judge/report.js";
import { escapeLabel, prometheusText } from "#src/report/prometheus.js";
import { visibleLines } from "#src/source/visible.js";
import { lint } from "./prometheus-lint.js";
import { runDoctor } from "./run.js";
import { CASES, hostNames, loadCase, loadHost, withTree } from "./tree.js";

function device(
  address: string,
  verdicts: readonly Verdict[],
  counts: readonly (number | null)[] = [],
): DeviceReport {
  return {
    address,
    driver: "vfio-pci",
    iommuGroup: "7",
    holder: "vm",
    tie: { source: "/proc", says: "held" },
    verdict: verdicts[0] ?? "unknown",
    vectors: verdicts.map((verdict, i) => ({
      irq: 100 + i,
      label: `msix[${i}]`,
      verdict,
      byDesign: false,
      able: "yes",
      way: null,
      anew: false,
      total: null,
      handledByHost: counts[i] === undefined ? 0 : counts[i],
      evidence: [],
    })),
    notes: [],
  };
}

function report(held: readonly DeviceReport[], unclaimed: readonly DeviceReport[] = []): Report {
  return {
    format: "irqbypass-doctor/1",
    verdict: { says: "", exit: 1 },
    measured: {
      at: "2026-03-01T12:00:00.500Z",
      from: "this host",
      kernel: "6.18.0",
      arch: "x86",
      cpu: "",
      seconds: 2.004,
      traced: null,
      formats: [],
    },
    chain: [],
    vms: [
      {
        pid: 7,
        name: null,
        program: "qemu",
        vmm: { name: "VMM", state: "holds", says: "", evidence: [] },
        vcpus: 1,
        eventfds: [],
        devices: held,
        notes: [],
      },
    ],
    unclaimed,
    counters: [],
    advice: [],
    missing: [],
    strange: [],
    notes: [],
  };
}

interface Parsed {
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly value: number;
}

/** Reads the exposition format, strictly: what it does not allow throws. */
function parse(text: string): { samples: Parsed[]; types: Map<string, string> } {
  assert.ok(text.endsWith("\n"));
  const samples: Parsed[] = [];
  const types = new Map<string, string>();
  const helped = new Set<string>();
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP ([a-z_]+) \S/.exec(line);
    const type = /^# TYPE ([a-z_]+) (gauge|counter)$/.exec(line);
    if (help !== null) {
      assert.ok(!helped.has(help[1]!), "one HELP for each");
      helped.add(help[1]!);
    } else if (type !== null) {
      assert.ok(helped.has(type[1]!) && !types.has(type[1]!), "TYPE after HELP, once");
      types.set(type[1]!, type[2]!);
    } else {
      const match = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\[\\"n])*",?)*)\})? (-?\d+(?:\.\d+)?)$/.exec(
        line,
      );
      assert.ok(match !== null, line);
      assert.equal([...types.keys()].at(-1), match[1], "samples stand under their TYPE");
      const pairs = [...(match[2] ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\[\\"n])*)"/g)];
      const plain = (value: string) =>
        value.replaceAll(/\\([\\"n])/g, (_, c: string) => (c === "n" ? "\n" : c));
      const labels = Object.fromEntries(pairs.map((pair) => [pair[1]!, plain(pair[2]!)]));
      samples.push({ name: match[1]!, labels, value: Number(match[3]) });
    }
  }
  return { samples, types };
}

test("vectors are counted by device and verdict, with every verdict there", () => {
  const { samples } = parse(
    prometheusText(
      report(
        [device("0000:5e:00.0", ["posted now", "posted now", "unknown"])],
        [device("0000:3b:00.0", ["cannot be"])],
      ),
    ),
  );
  const vectors = samples.filter(({ name }) => name === "irqbypass_vectors");
  assert.equal(vectors.length, 2 * VERDICTS.length);
  // By address, whichever VM comes first.
  assert.equal(vectors[0]!.labels.device, "0000:3b:00.0");
  const of = (address: string, verdict: Verdict) =>
    vectors.find(({ labels }) => labels.device === address && labels.verdict === verdict)?.value;
  assert.equal(of("0000:5e:00.0", "posted now"), 2);
  assert.equal(of("0000:5e:00.0", "unknown"), 1);
  assert.equal(of("0000:5e:00.0", "cannot be"), 0);
  assert.equal(of("0000:3b:00.0", "cannot be"), 1);
  const whole = samples.filter(({ name, value }) => name === "irqbypass_device_verdict" && value === 1);
  assert.deepEqual(
    whole.map(({ labels }) => [labels.device, labels.verdict]),
    [
      ["0000:3b:00.0", "cannot be"],
      ["0000:5e:00.0", "posted now"],
    ],
  );
});

test("the host's share is summed, and left out where a part of it is not known", () => {
  const verdicts: Verdict[] = ["posted now", "delivered by the host just now"];
  const value = (counts: readonly (number | null)[]) =>
    parse(prometheusText(report([device("0000:3b:00.0", verdicts, counts)]))).samples.find(
      ({ name }) => name === "irqbypass_host_handled_interrupts",
    )?.value;
  assert.equal(value([0, 41]), 41);
  assert.equal(value([1, null]), undefined);
});

test("the report's own facts are there, without labels", () => {
  const { samples } = parse(prometheusText(report([])));
  assert.deepEqual(samples, [
    { name: "irqbypass_window_seconds", labels: {}, value: 2.004 },
    { name: "irqbypass_sample_timestamp_seconds", labels: {}, value: 1772366400.5 },
    { name: "irqbypass_exit_code", labels: {}, value: 1 },
  ]);
});

test("labels are the device and the verdict, never the vector", () => {
  const text = prometheusText(report([device("0000:3b:00.0", [...VERDICTS])]));
  for (const { labels } of parse(text).samples) {
    assert.ok(Object.keys(labels).every((label) => label === "device" || label === "verdict"));
  }
  assert.doesNotMatch(text, /msix|irq="|vector="/);
});

test("names of devices come through whatever they hold", () => {
  assert.equal(escapeLabel('a\\b"c\nd'), 'a\\\\b\\"c\\nd');
  // What cannot be seen is escaped: see visible.test.ts.
  const name = fc.string({ unit: "grapheme", maxLength: 20 }).filter((text) => visibleLines(text) === text);
  const verdicts = fc.array(fc.constantFrom(...VERDICTS), { maxLength: 5 });
  fc.assert(
    fc.property(fc.array(fc.tuple(name, verdicts), { maxLength: 6 }), (devices) => {
      const made = devices.map(([address, own]) => device(address, own));
      const text = prometheusText(report(made));
      const { samples, types } = parse(text);
      assert.ok([...types.values()].every((type) => type === "gauge"));
      const seen = new Set(samples.map(({ labels }) => labels.device).filter((one) => one !== undefined));
      assert.deepEqual([...seen].sort(), [...new Set(devices.map(([address]) => address))].sort());
      // No sample twice, and the order does not depend on that of the devices.
      const keys = samples.map(({ name: metric, labels }) => JSON.stringify([metric, labels]));
      assert.equal(new Set(keys).size, keys.length);
      assert.equal(prometheusText(report([...made].reverse())), text);
    }),
  );
});

test("the linter of Prometheus finds nothing, on any host", async () => {
  const hosts = [
    ...hostNames().map((name) => [name, loadHost(name)] as const),
    ...readdirSync(CASES).map((name) => [name, loadCase(name)] as const),
  ];
  for (const [name, host] of hosts) {
    await withTree(name, host, async (dir) => {
      const where = host.root ? ["--root", dir, "--interval", "0.1"] : ["--from", dir];
      const { stdout } = await runDoctor([...where, "--prometheus"]);
      assert.match(stdout, /^irqbypass_exit_code [012]$/m, name);
      assert.deepEqual(lint(stdout), [], name);
    });
  }
});

test("the linter's rules bite", () => {
  const metric = (name: string, type = "gauge", labels = "", help = `# HELP ${name} What it is.\n`) =>
    lint(`${help}# TYPE ${name} ${type}\n${name}${labels} 1\n`);
  assert.deepEqual(metric("a_vectors"), []);
  assert.deepEqual(metric("a_total", "counter"), []);
  for (const [rule, found] of [
    ["Help", metric("a_vectors", "gauge", "", "")],
    ["MetricUnits", metric("a_window_milliseconds")],
    ["MetricUnits", metric("a_window_hours")],
    ["Counter", metric("a_vectors_total")],
    ["Counter", metric("a_vectors", "counter")],
    ["HistogramSummaryReserved", metric("a_count")],
    ["HistogramSummaryReserved", metric("a_vectors", "gauge", '{le="1"}')],
    ["MetricTypeInName", metric("a_gauge_vectors")],
    ["ReservedChars", metric("a:vectors")],
    ["CamelCase", metric("aVectors")],
    ["CamelCase", metric("a_vectors", "gauge", '{hostIrq="1"}')],
    ["UnitAbbreviations", metric("a_window_ms")],
    ["DuplicateMetric", lint('# HELP a Is.\n# TYPE a gauge\na{b="1"} 1\na{b="1"} 2\n')],
  ] as const)
    assert.ok(
      found.some((problem) => problem.endsWith(`: ${rule}`)),
      `${rule}: ${found.join(", ")}`,
    );
});

test("the command writes metrics of what it was given, and refuses to mix outputs", async () => {
  await withTree("intel-nopost", loadHost("intel-nopost"), async (dir) => {
    const { stdout, stderr, code } = await runDoctor(["--from", dir, "--prometheus"]);
    assert.equal(stderr, "");
    assert.equal(code, 1);
    const { samples } = parse(stdout);
    const delivered = samples.find(
      ({ name, labels }) =>
        name === "irqbypass_vectors" && labels.verdict === "delivered by the host just now",
    );
    assert.equal(delivered?.value, 4);
  });
  for (const other of ["--json", "--watch"]) {
    const { code, stderr, stdout } = await runDoctor(["--prometheus", other]);
    assert.equal(code, 2);
    assert.match(stderr, /EINVAL: .*--prometheus/);
    assert.equal(stdout, "");
  }
});
