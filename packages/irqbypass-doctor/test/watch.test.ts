/**
 * A long run and what it says of each interrupt: whole runs of made-up looks, and the command on a host whose counts grow
 * while it looks.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { EndSignal } from "#src/cli/io.js";
import type { Report, VectorReport } from "#src/judge/report.js";
import type { Use, WatchedInterrupt } from "#src/judge/track.js";
import { Watch, type WatchReport } from "#src/judge/watch.js";
import { watchText } from "#src/report/watch-text.js";
import { runDoctor } from "./run.js";
import { loadHost, withTree } from "./tree.js";

type Seen = Partial<VectorReport>;

const POSTED: Seen = { verdict: "posted now", way: "around the host" };
const HANDLED: Seen = {
  verdict: "delivered by the host just now",
  way: "through the host",
  handledByHost: 9,
};
/** Flat, with an entry that is remapped. */
const REMAPPED: Seen = { way: "through the host" };
/** Flat, and nothing tells. */
const FLAT: Seen = {};
const CANNOT: Seen = { verdict: "cannot be", able: "no", way: "through the host" };
const GONE = null;

function vector(seen: Seen): VectorReport {
  return {
    irq: 130,
    label: "msix[0]",
    verdict: "able, not seen",
    byDesign: false,
    able: "yes",
    way: null,
    handledByHost: 0,
    anew: false,
    total: null,
    evidence: [{ source: "/sys/kernel/debug/table", says: "it said so" }],
    ...seen,
  };
}

/** One look at a host with one VM and one device. */
function look(number: number, vectors: readonly VectorReport[], changes: Partial<Report> = {}): Report {
  const link = { name: "VMM", state: "holds", says: "", evidence: [] } as const;
  return {
    format: "irqbypass-doctor/1",
    verdict: { says: "", exit: 0 },
    measured: {
      at: new Date(Date.UTC(2026, 0, 1, 12, 0, 2 * (number + 1))).toISOString(),
      ...{ from: "this host", kernel: "6.18.4", arch: "x86", cpu: "", seconds: 2, traced: null, formats: [] },
    },
    chain: [],
    vms: [
      {
        ...{ pid: 4242, name: "web1", program: "qemu", vmm: link, vcpus: 1, eventfds: [], notes: [] },
        devices: [
          {
            ...{ address: "0000:3b:00.0", driver: "vfio-pci", iommuGroup: "7", holder: "vm", notes: [] },
            ...{ tie: { source: "", says: "" }, verdict: "able, not seen", vectors },
          },
        ],
      },
    ],
    ...{ unclaimed: [], counters: [], advice: [], missing: [], strange: [], notes: [] },
    ...changes,
  };
}

function run(looks: readonly (Seen | null)[], changes: Partial<Report> = {}): WatchReport {
  const watch = new Watch();
  for (const [number, seen] of looks.entries())
    watch.add(look(number, seen === GONE ? [] : [vector(seen)], changes));
  return watch.report()!;
}

function only(report: WatchReport): WatchedInterrupt {
  assert.equal(report.interrupts.length, 1);
  return report.interrupts[0]!;
}

const many = (count: number, seen: Seen | null): (Seen | null)[] => Array.from({ length: count }, () => seen);

describe("a run says of one interrupt", () => {
  const cases: readonly (readonly [string, readonly (Seen | null)[], Use])[] = [
    ["posted in every look", many(5, POSTED), "used"],
    ["posted from some look on", [...many(3, FLAT), ...many(3, POSTED)], "used"],
    ["handled while its VM started, then posted", [HANDLED, HANDLED, ...many(6, POSTED)], "used"],
    ["handled while its VM started, then nothing that tells", [HANDLED, ...many(6, FLAT)], "used"],
    ["cannot be posted, and the host handled it", [CANNOT, { ...HANDLED, able: "no" }], "used"],
    ["by design the host's", many(3, { ...HANDLED, able: "no", byDesign: true }), "used"],
    ["not known to be able, and handled", many(3, { ...HANDLED, able: "unknown" }), "used"],
    ["the guest's own counts grew", many(3, { verdict: "probably posted" }), "used"],
    ["remapped and flat", many(4, REMAPPED), "idle"],
    ["cannot be posted and flat", many(4, CANNOT), "idle"],
    ["posted once, and remapped and flat since", [POSTED, ...many(4, REMAPPED)], "idle"],
    ["flat, and nothing tells", many(4, FLAT), "unknown"],
    ["no count of its own", many(4, { handledByHost: null }), "unknown"],
    ["able, and the host handles it all the time", many(4, HANDLED), "suspicious"],
    ["able, and the host handled it late", [...many(4, FLAT), HANDLED, FLAT], "suspicious"],
    ["posted, and then the host handled it", [POSTED, POSTED, HANDLED], "suspicious"],
    [
      "posted and remapped in turn",
      [POSTED, REMAPPED, POSTED, REMAPPED, POSTED, REMAPPED, POSTED],
      "suspicious",
    ],
    ["one look, handled", [HANDLED], "suspicious"],
    // Its VM began at the end of the run: what comes before it is posted is as it should be.
    ["began with the last looks", [...many(6, GONE), HANDLED], "used"],
    [
      "freed and requested again, and handled at first",
      [...many(6, POSTED), { ...HANDLED, anew: true }],
      "used",
    ],
    ["another number since, and handled at first", [...many(6, POSTED), { ...HANDLED, irq: 131 }], "used"],
    ["gone and back, and handled at first", [...many(5, POSTED), GONE, HANDLED], "used"],
    [
      "freed and requested again, and handled on",
      [POSTED, { ...HANDLED, anew: true }, ...many(5, HANDLED)],
      "suspicious",
    ],
  ];
  for (const [name, looks, use] of cases) {
    it(`${name}: ${use}`, () => {
      const report = run(looks);
      const one = only(report);
      assert.equal(one.verdict, use, JSON.stringify(one.evidence));
      assert.equal(report.verdict.says, `Of 1 interrupt of assigned devices: 1 ${use}.`);
      assert.equal(report.verdict.exit, use === "suspicious" ? 1 : 0);
      assert.equal(one.looks, looks.filter((seen) => seen !== GONE).length);
      assert.equal(one.handled, looks.filter((seen) => seen?.verdict === HANDLED.verdict).length);
    });
  }
});

describe("a run", () => {
  it("sums what the host handled, and leaves out windows without a count", () => {
    const one = only(run([HANDLED, { handledByHost: null }, HANDLED, FLAT]));
    assert.equal(one.handledByHost, 18);
    assert.equal(one.handledAt, "2026-01-01T12:00:06.000Z");
    assert.match(one.evidence[0]!.says, /handled 18 of it in 2 of 4 looks/);
  });

  it("counts what came between two windows", () => {
    const at = (total: number, seen: Seen = REMAPPED): Seen => ({ ...seen, total });
    const one = only(run([at(100), at(103), at(112, HANDLED), at(112)]));
    assert.deepEqual([one.verdict, one.handledByHost, one.handled], ["suspicious", 12, 2]);
    // Less than before: it was freed and requested again in between, and begins another life.
    const other = only(run([...many(5, at(100, POSTED)), at(9, HANDLED)]));
    assert.deepEqual([other.verdict, other.handledByHost], ["used", 9]);
    const restless = only(run([5, 6, 7, 8].map((total) => at(total, POSTED))));
    assert.deepEqual([restless.verdict, restless.handledByHost], ["suspicious", 3]);
    const wrapped = only(run([at(2 ** 32 - 1), at(0)]));
    assert.deepEqual([wrapped.verdict, wrapped.handledByHost], ["idle", 0]);
  });

  it("says when it was, and for how long", () => {
    const { measured } = run(many(5, POSTED));
    assert.deepEqual(
      [measured.began, measured.ended, measured.seconds, measured.looks],
      ["2026-01-01T12:00:00.000Z", "2026-01-01T12:00:10.000Z", 10, 5],
    );
  });

  it("names what was gone at its end", () => {
    const one = only(run([...many(3, POSTED), GONE]));
    assert.match(one.evidence.at(-1)!.says, /gone at the end/);
  });

  it("has the exit code of its last look where nothing is suspicious", () => {
    assert.equal(run(many(2, FLAT), { verdict: { says: "", exit: 2 } }).verdict.exit, 2);
    assert.equal(run(many(2, HANDLED), { verdict: { says: "", exit: 2 } }).verdict.exit, 1);
    assert.equal(new Watch().report(), undefined);
  });

  it("tells what settles the unknown, and what the wake-ups prove", () => {
    const piw = (ofDevices: boolean) => ({
      counters: [{ label: "PIW", grew: 4, ofDevices, ofPosted: true, says: "" } as const],
    });
    const proved = run(many(3, FLAT), piw(true));
    assert.match(proved.notes.join(" "), /PIW grew by 12.* at least one is used/);
    assert.match(proved.notes.join(" "), /--guest-received/);
    assert.doesNotMatch(run(many(3, FLAT), piw(false)).notes.join(" "), /PIW/);
    assert.deepEqual(run(many(3, POSTED), piw(true)).notes, []);
  });

  it("takes a flat line that may be posted for idle only where what posting makes grow was silent", () => {
    const counters = (pin: number | null, piw: number | null, ofPosted = true) => ({
      counters: [
        { label: "PIN", grew: pin, ofDevices: false, ofPosted, says: "" } as const,
        { label: "PIW", grew: piw, ofDevices: false, ofPosted, says: "" } as const,
      ],
    });
    const silent = run(many(5, FLAT), counters(0, 0));
    assert.equal(only(silent).verdict, "idle");
    assert.match(silent.notes.join(" "), /The longer the run, the surer/);
    for (const loud of [counters(1, 0), counters(0, 2), counters(null, 0), counters(0, 0, false)])
      assert.equal(only(run(many(3, FLAT), loud)).verdict, "unknown");
    assert.match(only(run(many(3, FLAT), counters(1, 0))).evidence.at(-1)!.says, /PIN or PIW grew/);
    assert.equal(only(run(many(3, { able: "unknown" }), counters(0, 0))).verdict, "unknown");
    assert.equal(only(run(many(3, { handledByHost: null }), counters(0, 0))).verdict, "unknown");
    // One window that does not tell is enough.
    const watch = new Watch();
    watch.add(look(0, [vector(FLAT)], counters(0, 0)));
    watch.add(look(1, [vector(FLAT)]));
    watch.add(look(2, [vector(FLAT)], counters(0, 0)));
    assert.equal(only(watch.report()!).verdict, "unknown");
  });

  it("says how much a silence is worth, and takes a short one for no idleness of what may be posted", () => {
    const counters = {
      counters: ["PIN", "PIW"].map((label) => ({
        ...{ label: label as "PIN" | "PIW", grew: 0, ofDevices: false, ofPosted: true, says: "" },
      })),
    };
    // Five windows of two seconds are enough, four are not; nor are ten seconds in two looks.
    assert.equal(only(run(many(5, FLAT), counters)).verdict, "idle");
    const short = run(many(4, FLAT), counters);
    assert.equal(only(short).verdict, "unknown");
    assert.match(
      only(short)
        .evidence.map(({ says }) => says)
        .join("; "),
      /needs 3 looks and 10 s; 4 looks of 8.0 s/,
    );
    const watch = new Watch();
    for (const number of [0, 1]) {
      const one = look(number, [vector(FLAT)], counters);
      watch.add({ ...one, measured: { ...one.measured, seconds: 30 } });
    }
    assert.equal(only(watch.report()!).verdict, "unknown");
    // Where each one would have been counted the silence is certain, and no more than it is.
    const says = (seen: Seen) => only(run(many(2, { ...REMAPPED, ...seen }))).evidence.at(-1)!.says;
    assert.match(says({}), /^2 looks of 4\.0 s together saw none; nothing tells how many/);
    assert.match(says({ total: 0 }), /none came since it was requested either/);
    assert.match(says({ total: 812 }), /812 came before/);
    assert.match(run(many(2, REMAPPED)).notes.join(" "), /Idle is what 4\.0 s showed/);
    assert.deepEqual(run(many(30, REMAPPED)).notes, []);
  });

  it("names eventfds that nobody read", () => {
    const watch = new Watch();
    for (const number of [0, 1, 2]) {
      const report = look(number, [vector(FLAT)]);
      const eventfd = { id: 9, fds: [30], count: "7", polled: false, growing: number > 0 };
      watch.add({ ...report, vms: report.vms.map((vm) => ({ ...vm, eventfds: [eventfd] })) });
    }
    assert.match(watch.report()!.notes.join(" "), /Process 4242: .* in 2 of 3 looks/);
  });

  it("keeps interrupts of one label apart", () => {
    const watch = new Watch();
    for (const number of [0, 1, 2])
      watch.add(
        look(number, [
          vector({ ...POSTED, label: "queue" }),
          vector({ ...REMAPPED, label: "queue", irq: 131 }),
        ]),
      );
    assert.deepEqual(
      watch.report()!.interrupts.map(({ irq, verdict }) => [irq, verdict]),
      [
        [130, "used"],
        [131, "idle"],
      ],
    );
  });

  it("groups in its text what is alike", () => {
    const watch = new Watch();
    for (const number of [0, 1])
      watch.add(
        look(
          number,
          Array.from({ length: 40 }, (_, i) =>
            vector({
              irq: 130 + i,
              label: `msix[${i}]`,
              ...(i < 30 ? POSTED : { ...HANDLED, handledByHost: i }),
            }),
          ),
        ),
      );
    const text = watchText(watch.report()!, { width: 100, colour: false });
    assert.match(text, /used +30 +msix\[0-29\], irq 130-159\n/);
    assert.match(text, /posted in 2 of 2 looks/);
    assert.match(text, /suspicious +10 +msix\[30-39\], irq 160-169\n/);
    assert.match(
      text,
      /the host handled 60 to 78 each of it in 2 of 2 looks|handled 60 to 78 each in 2 of 2 looks/,
    );
    assert.ok(text.split("\n").length < 24, text);
  });
});

describe("--watch --for", () => {
  /** Runs on a mounted host whose counts grow after each report. */
  async function watched(
    host: string,
    args: readonly string[],
    after: (root: string, reports: number) => void = () => {},
    stopAfter = Number.POSITIVE_INFINITY,
    columns?: number,
  ) {
    return await withTree(host, loadHost(host), async (tree) => {
      const root = join(tree, "1");
      const printed: string[] = [];
      let stop: ((signal: EndSignal) => void) | undefined;
      const all = ["--root", root, "--interval", "0.1", "--watch", ...args];
      const { code, stderr } = await runDoctor(all, {
        columns,
        onInterrupt: (given) => {
          stop = given;
          return () => {};
        },
        stdout: (text) => {
          printed.push(text);
          after(root, printed.length);
          if (printed.length === stopAfter) stop?.("SIGINT");
        },
      });
      return { code, stderr, printed };
    });
  }

  it("ends by itself, with one line for each look and one for the run", async () => {
    const { code, printed, stderr } = await watched("userspace-poll", ["--json", "--for", "1.5"], (root, n) =>
      writeFileSync(join(root, "sys/kernel/irq/134/per_cpu_count"), `0,${n},0,0\n`),
    );
    assert.equal(stderr, "");
    const lines = printed.map((line) => JSON.parse(line) as Report | WatchReport);
    const last = lines.at(-1) as WatchReport;
    assert.equal(last.format, "irqbypass-watch/1");
    assert.ok(lines.slice(0, -1).every(({ format }) => format === "irqbypass-doctor/1"));
    assert.equal(last.measured.looks, lines.length - 1);
    // The first look is over before it is printed, and so before the count first grows.
    const grew = last.interrupts.find(({ irq }) => irq === 134)!;
    assert.equal(grew.verdict, last.measured.looks > 1 ? "suspicious" : "idle");
    const idle = last.interrupts.filter(({ irq }) => irq !== 134);
    assert.ok(idle.length === 4 && idle.every(({ verdict }) => verdict === "idle"), JSON.stringify(idle));
    assert.equal(code, last.verdict.exit);
  });

  it("prints the last report and the run's verdict where nobody looks on", async () => {
    const { code, printed } = await watched("intel-posted-6.18", ["--for", "1"]);
    assert.equal(printed.length, 2);
    assert.match(printed[0]!, /^irqbypass-doctor: the host mounted at/);
    assert.match(printed[1]!, /Of 5 interrupts of assigned devices: 5 used\./);
    assert.equal(code, 0);
  });

  it("shows each look on a terminal", async () => {
    const { printed } = await watched("intel-posted-6.18", ["--for", "1"], () => {}, undefined, 80);
    assert.ok(printed.length >= 3);
    assert.ok(printed.slice(0, -1).some((text) => /What to do/.test(text)));
  });

  it("says what was seen when it is ended early, with 130", async () => {
    const { code, printed } = await watched("intel-posted-6.18", ["--json", "--for", "1h"], () => {}, 2);
    assert.equal(code, 130);
    const last = JSON.parse(printed.at(-1)!) as WatchReport;
    assert.deepEqual([last.format, last.measured.looks], ["irqbypass-watch/1", 2]);
  });

  it("refuses what is no time, and times without --watch or shorter than a look", async () => {
    for (const time of ["0", "10x", "-1", "31d", "1e3", "ten"]) {
      const { code, stderr } = await runDoctor(["--watch", "--for", time]);
      assert.equal(code, undefined);
      assert.match(stderr, /from 1s to 30d/, time);
    }
    assert.match((await runDoctor(["--for", "10m"])).stderr, /EINVAL: --for is about --watch/);
    const short = await runDoctor(["--watch", "--for", "1s", "--interval", "5"]);
    assert.match(short.stderr, /EINVAL: --for 1 s is shorter than one --interval of 5 s/);
    assert.equal(short.code, 2);
  });
});
