/**
 * Hosts whose files were damaged: truncated, doubled, reordered, binary, with huge lines; as a tree, as a capture, and as an
 * archive whose own bytes were damaged. The doctor must come to a report or refuse with a sentence, whatever it reads, and
 * claim nothing from a file that matches no format any more.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { DoctorError, inspectHost, prometheusText, type Report, textReport } from "#src/index.js";
import { CASES, type HostText, hostNames, loadCase, loadHost, withTree } from "./tree.js";

/** Damages a text or the bytes of an archive (as latin1), at a place from 0 to 1 in it. */
type Damage = (text: string, at: number) => string;

/**
 * A place in a text, from 0 to below 1, each as likely as another: fast-check's own doubles are so by their bits, and nearly
 * all of them lie at the beginning.
 */
export const PLACE = fc
  .noBias(fc.integer({ min: 0, max: 999_999 }))
  .map((millionths) => millionths / 1_000_000);

const placeOf = (text: string, at: number) => Math.floor(text.length * at);
const lines = (text: string) => text.split("\n");

const DAMAGES: Readonly<Record<string, Damage>> = {
  truncated: (text, at) => text.slice(0, placeOf(text, at)),
  "without its beginning": (text, at) => text.slice(placeOf(text, at)),
  doubled: (text) => text + text,
  reversed: (text) => lines(text).reverse().join("\n"),
  "without a line": (text, at) => {
    const all = lines(text);
    all.splice(Math.floor(all.length * at), 1);
    return all.join("\n");
  },
  "with a byte flipped": (text, at) => {
    const place = Math.min(placeOf(text, at), Math.max(text.length - 1, 0));
    return (
      text.slice(0, place) + String.fromCharCode((text.charCodeAt(place) || 0) ^ 0x15) + text.slice(place + 1)
    );
  },
  binary: (text, at) => text.slice(0, placeOf(text, at)) + "\0\u0001\u001b[2J\u009b\ufffd".repeat(40),
  "with a huge line": (text, at) =>
    `${text.slice(0, placeOf(text, at))}${"9 ".repeat(200_000)}${text.slice(placeOf(text, at))}`,
  "with a huge number": (text) => text.replace(/\d+/g, (digits) => `${digits}${"9".repeat(30)}`),
  empty: () => "",
};

/** Of an archive: its blocks are what its lines are. */
const BLOCK = 512;
const ARCHIVE_DAMAGES: Readonly<Record<string, Damage>> = {
  truncated: DAMAGES.truncated!,
  doubled: DAMAGES.doubled!,
  "with a byte flipped": DAMAGES["with a byte flipped"]!,
  "without a block": (text, at) => {
    const place = Math.floor(placeOf(text, at) / BLOCK) * BLOCK;
    return text.slice(0, place) + text.slice(place + BLOCK);
  },
  "with a block twice": (text, at) => {
    const place = Math.floor(placeOf(text, at) / BLOCK) * BLOCK;
    return text.slice(0, place + BLOCK) + text.slice(place);
  },
};

/** What no format matches: a report may name it, and draw nothing from it. */
const GIBBERISH = "Lorem ipsum dolor sit amet\n";

export interface Fuzzed {
  readonly reports: number;
  readonly refused: number;
}

type Form = "directory" | "archive" | "damaged archive";

export const damaged = (host: HostText, path: string, text: string): HostText => ({
  ...host,
  entries: new Map([...host.entries, [path, { text }]]),
});

/** Files of a host that have a text. */
export function textsOf(host: HostText): [path: string, text: string][] {
  return [...host.entries].flatMap(([path, entry]) =>
    "text" in entry ? ([[path, entry.text]] as [string, string][]) : [],
  );
}

/** The report on a host, or undefined where the doctor refused it with a sentence. */
export async function reportOf(
  name: string,
  host: HostText,
  form: Form = "directory",
  damage: (bytes: string) => string = (bytes) => bytes,
): Promise<Report | undefined> {
  return withTree(name, host, async (dir) => {
    if (form !== "directory") {
      execFileSync("tar", ["-cf", `${dir}.tar`, "-C", join(dir, ".."), name]);
      if (form === "damaged archive")
        writeFileSync(`${dir}.tar`, damage(readFileSync(`${dir}.tar`, "latin1")), "latin1");
    }
    try {
      if (host.root) return await inspectHost({ root: dir, interval: 0.1 });
      return await inspectHost({ from: form === "directory" ? dir : `${dir}.tar` });
    } catch (error) {
      if (error instanceof DoctorError) return undefined;
      throw error;
    }
  });
}

const vectors = ({ vms, unclaimed }: Report) =>
  [...vms.flatMap(({ devices }) => devices), ...unclaimed].flatMap((device) =>
    device.vectors.map((vector) => ({ ...vector, name: `${device.address} ${vector.label}` })),
  );
const CLAIMS: readonly string[] = ["posted now", "cannot be"];

/** What a report claims of interrupts, and of devices that have none. */
export function claimsOf(report: Report): string[] {
  const { vms, unclaimed } = report;
  const bare = [...vms.flatMap(({ devices }) => devices), ...unclaimed].filter(
    (one) => one.vectors.length === 0,
  );
  return [
    ...vectors(report).map(({ name, verdict }) => [name, verdict] as const),
    ...bare.map(({ address, verdict }) => [address, verdict] as const),
  ]
    .filter(([, verdict]) => CLAIMS.includes(verdict))
    .map(([name, verdict]) => `${name}: ${verdict}`);
}

/** What holds of every report, whatever it was made from. */
function assertSound(report: Report): void {
  // Every writer comes to an end with it, and lets nothing through that moves a terminal.
  const printed = textReport(report, { width: 80, colour: false }) + prometheusText(report);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  assert.doesNotMatch(printed, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  JSON.stringify(report);
  assert.ok([0, 1, 2].includes(report.verdict.exit));
  // Names are from the first sample, whatever became of the second.
  const first = report.strange.filter(({ problem }) => !problem.startsWith("in the second sample"));
  const strange = new Set(first.map(({ path }) => path));
  for (const { name, verdict, evidence } of vectors(report))
    if (CLAIMS.includes(verdict))
      assert.deepEqual(
        evidence.filter(({ source }) => strange.has(source)),
        [],
        `${name}: ${verdict}`,
      );
  for (const { name, state, evidence } of report.chain)
    if (state === "broken")
      assert.deepEqual(
        evidence.filter(({ source }) => strange.has(source)),
        [],
        `${name}: ${state}`,
      );
}

/** All hosts and cases; the largest host takes too long to be read thousands of times. */
export function hostsAndCases(): (readonly [name: string, host: HostText])[] {
  return [
    ...hostNames()
      .filter((name) => name !== "vectors-2000")
      .map((name) => [name, loadHost(name)] as const),
    ...readdirSync(CASES)
      .sort()
      .map((name) => [name, loadCase(name)] as const),
  ];
}

/** Damages files of the hosts at random, `runs` times. */
export async function fuzzTrees(runs: number, seed: number): Promise<Fuzzed> {
  const hosts = hostsAndCases();
  let reports = 0;
  let refused = 0;
  const damages = (all: Readonly<Record<string, Damage>>) => fc.constantFrom(...Object.keys(all));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(hosts.length - 1),
      fc.array(fc.tuple(fc.nat(), damages(DAMAGES), PLACE), { minLength: 1, maxLength: 4 }),
      fc.oneof(
        { weight: 6, arbitrary: fc.constant("directory" as const) },
        { weight: 1, arbitrary: fc.constant("archive" as const) },
        { weight: 1, arbitrary: fc.constant("damaged archive" as const) },
      ),
      fc.tuple(damages(ARCHIVE_DAMAGES), PLACE),
      async (which, files, form, [archive, at]) => {
        const [name, whole] = hosts[which]!;
        let host = whole;
        for (const [file, how, where] of files) {
          const all = textsOf(host);
          const [path, text] = all[file % all.length]!;
          host = damaged(host, path, DAMAGES[how]!(text, where));
        }
        const report = await reportOf(name, host, host.root ? "directory" : form, (bytes) =>
          ARCHIVE_DAMAGES[archive]!(bytes, at),
        );
        if (report === undefined) {
          refused += 1;
          return;
        }
        reports += 1;
        assertSound(report);
      },
    ),
    { numRuns: runs, seed, endOnFailure: false, includeErrorInReport: true },
  );
  return { reports, refused };
}

/** A running host as a capture of it, in which nothing grew. */
export function asCapture(host: HostText): HostText {
  const counts = [...host.entries].filter(([path]) => /interrupts$|per_cpu_count$/.test(path));
  const later = counts.map(([path, entry]) => [path.replace(/^1/, "2"), entry] as const);
  return { ...host, root: false, entries: new Map([...host.entries, ...later]) };
}

/**
 * For each host and each of its files by itself: with gibberish in its place it tells no more than one that could not be
 * read. No interrupt is posted, and none cannot be, that is not so without the file. Returns how many were looked at.
 */
export async function claimsNothing(names?: readonly string[]): Promise<number> {
  let looked = 0;
  for (const [name, found] of hostsAndCases()) {
    if (names?.includes(name) === false) continue;
    const host = found.root ? asCapture(found) : found;
    const files = new Set(textsOf(host).map(([path]) => path.slice(2)));
    for (const file of files) {
      if (!/^(proc|sys)\//.test(file) || /cmdline$|comm$/.test(file)) continue; // any text is one of those
      const [spoilt, unread] = [host, host].map((one) => ({ ...one, entries: new Map(one.entries) })) as [
        HostText,
        HostText,
      ];
      for (const path of [`1/${file}`, `2/${file}`].filter((one) => host.entries.has(one))) {
        spoilt.entries.set(path, { text: GIBBERISH });
        unread.entries.set(path, { code: "EIO" });
      }
      const [told, without] = [await reportOf(name, spoilt), await reportOf(name, unread)];
      looked += 1;
      if (told === undefined || without === undefined) continue;
      const rightly = new Set(claimsOf(without));
      assert.deepEqual(
        claimsOf(told).filter((one) => !rightly.has(one)),
        [],
        `${name}, /${file}`,
      );
    }
  }
  return looked;
}
