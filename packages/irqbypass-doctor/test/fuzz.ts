/**
 * Trees whose files were damaged: truncated, doubled, reordered, binary, with huge lines. The doctor must come to a report or
 * refuse with a sentence, whatever it reads; and where a damaged file matches no format any more, claim nothing from it.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DoctorError, inspectHost, prometheusText, type Report, textReport } from "#src/index.js";
import { type HostText, hostNames, loadHost, withTree } from "./tree.js";

type Damage = (text: string, at: number) => string;

const half = (text: string, at: number) => Math.floor(text.length * at);
const lines = (text: string) => text.split("\n");

/** Ways to damage a text, each by a place from 0 to 1 in it. */
const DAMAGES: Readonly<Record<string, Damage>> = {
  truncated: (text, at) => text.slice(0, half(text, at)),
  "without its beginning": (text, at) => text.slice(half(text, at)),
  doubled: (text) => text + text,
  reversed: (text) => lines(text).reverse().join("\n"),
  "without a line": (text, at) => {
    const all = lines(text);
    all.splice(Math.floor(all.length * at), 1);
    return all.join("\n");
  },
  "with a byte flipped": (text, at) => {
    const place = Math.min(half(text, at), Math.max(text.length - 1, 0));
    return (
      text.slice(0, place) + String.fromCharCode((text.charCodeAt(place) || 0) ^ 0x15) + text.slice(place + 1)
    );
  },
  binary: (text, at) => text.slice(0, half(text, at)) + "\0\u0001\u001b[2J\u009b\ufffd".repeat(40),
  "with a huge line": (text, at) =>
    `${text.slice(0, half(text, at))}${"9 ".repeat(200_000)}${text.slice(half(text, at))}`,
  "with a huge number": (text) => text.replace(/\d+/g, (digits) => `${digits}${"9".repeat(30)}`),
  empty: () => "",
};

/** What no format matches: a report may name it, and draw nothing from it. */
const GIBBERISH = "Lorem ipsum dolor sit amet\n";

export interface Fuzzed {
  readonly reports: number;
  readonly refused: number;
}

const damaged = (host: HostText, path: string, text: string): HostText => ({
  ...host,
  entries: new Map([...host.entries, [path, { text }]]),
});

/** Files of a host that have a text. */
function textsOf(host: HostText): [path: string, text: string][] {
  return [...host.entries].flatMap(([path, entry]) =>
    "text" in entry ? ([[path, entry.text]] as [string, string][]) : [],
  );
}

async function reportOf(name: string, host: HostText): Promise<Report | undefined> {
  return withTree(name, host, async (from) => {
    try {
      return await inspectHost({ from });
    } catch (error) {
      if (error instanceof DoctorError) return undefined;
      throw error;
    }
  });
}

const vectors = ({ vms, unclaimed }: Report) =>
  [...vms.flatMap(({ devices }) => devices), ...unclaimed].flatMap((device) => device.vectors);

/** Damages files of the captures at random, `runs` times. */
export async function fuzzTrees(runs: number, seed: number): Promise<Fuzzed> {
  const hosts = hostNames()
    .map((name) => [name, loadHost(name)] as const)
    .filter(([name, host]) => !host.root && name !== "vectors-2000");
  let reports = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(hosts.length - 1),
      fc.array(
        fc.tuple(
          fc.nat(),
          fc.constantFrom(...Object.keys(DAMAGES)),
          fc.double({ min: 0, max: 1, noNaN: true }),
        ),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
      async (which, damages) => {
        const [name, whole] = hosts[which]!;
        let host = whole;
        for (const [file, how, at] of damages) {
          const all = textsOf(host);
          const [path, text] = all[file % all.length]!;
          host = damaged(host, path, DAMAGES[how]!(text, at));
        }
        const report = await reportOf(name, host);
        if (report === undefined) {
          refused += 1;
          return;
        }
        reports += 1;
        // Every writer comes to an end with it, and lets nothing through that moves a terminal.
        const printed = textReport(report, { width: 80, colour: false }) + prometheusText(report);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
        assert.doesNotMatch(printed, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
        assert.ok([0, 1, 2].includes(report.verdict.exit));
      },
    ),
    { numRuns: runs, seed, endOnFailure: false },
  );
  return { reports, refused };
}

/**
 * For each capture and each of its files by itself: with gibberish in its place, no interrupt is posted or cannot be by the
 * evidence of that file. Returns how many were looked at.
 */
export async function claimsNothing(names: readonly string[] = hostNames()): Promise<number> {
  let looked = 0;
  for (const name of names) {
    const host = loadHost(name);
    if (host.root) continue;
    const files = new Set(textsOf(host).map(([path]) => path.slice(2)));
    for (const file of files) {
      if (!/^(proc|sys)\//.test(file) || /cmdline$|comm$|osrelease$/.test(file)) continue; // any text is one of those
      let spoilt = host;
      for (const sample of [1, 2])
        if (host.entries.has(`${sample}/${file}`)) spoilt = damaged(spoilt, `${sample}/${file}`, GIBBERISH);
      const report = await reportOf(name, spoilt);
      looked += 1;
      if (report === undefined) continue;
      for (const vector of vectors(report)) {
        if (vector.verdict !== "posted now" && vector.verdict !== "cannot be") continue;
        const named = vector.evidence.filter(({ source }) => source.includes(`/${file}`));
        assert.deepEqual(named, [], `${name}: ${vector.verdict} by /${file}, which says ${GIBBERISH}`);
      }
    }
  }
  return looked;
}
