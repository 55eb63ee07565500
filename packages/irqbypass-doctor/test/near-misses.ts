/**
 * Hosts in which one file nearly has its format: a digit is a letter, a comma a blank, a number too long. What the format
 * is stands here once more, apart from the parsers, so that a parser that lets too much through, or too little, is found
 * out: what is of no format must be shown as such, and what is of its format must not.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { asCapture, damaged, hostsAndCases, reportOf, textsOf } from "./fuzz.js";
import type { HostText } from "./tree.js";

interface Format {
  readonly name: string;
  /** Where it is, below the directory of a sample. */
  readonly file: RegExp;
  /** Whether a whole text is of the format. */
  readonly right: (text: string) => boolean;
  /** The character without which nothing of it is left, where changes here and there do it little harm. */
  readonly joint?: string;
}

const matching = (pattern: RegExp) => (text: string) => pattern.test(text);

const WORD = "(0x)?[0-9a-fA-F]{1,16}";

/** Rows of Intel's tables, whose bit 15 of the last word says in which part they stand. */
function rightIntelTables(text: string): boolean {
  let columns = 0;
  return text.split("\n").every((row) => {
    const line = row.trim();
    const part = /^(Remapped|Posted) Interrupt supported on IOMMU: \S{1,32}$/.exec(line);
    if (part !== null) columns = part[1] === "Posted" ? 7 : 6;
    if (
      part !== null ||
      /^(|\*+|IR table address:.*|Entry\s.*|Interrupt Remapping is not enabled)$/.test(line)
    )
      return true;
    const words = line.split(/\s+/);
    const own = /^\d{1,6} [0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(words.slice(0, 2).join(" "));
    const last = words.at(-1)!;
    const right = /^[0-9a-f]{1,2}$/.test(words.at(-3) ?? "") && /^[0-9a-f]{16}$/.test(last);
    const posted = right && Number.parseInt(last.at(-4)!, 16) >= 8;
    return words.length === columns && own && right && posted === (columns === 7);
  });
}

function rightAmdTable(text: string): boolean {
  const whole = text.trim();
  if (/^$|^Enter a valid|^Please provide|^Device table not|^The device's DTE|^Interrupt remap/.test(whole))
    return !/\n/.test(whole) && ANSWERS.has(whole);
  if (/^IRQ lookup table not set for [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}:[0-7]$/.test(whole)) return true;
  const [head, ...rows] = text.split("\n").map((line) => line.trim());
  const row = /^IRT\[\d{4,6}\] ([0-9a-f]{8}|[0-9a-f]{16} [0-9a-f]{16})$/;
  return (
    /^DeviceId [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(head!) &&
    rows.every((line) => line === "" || row.test(line))
  );
}

const ANSWERS = new Set([
  "",
  "Enter a valid device ID to 'devid' file",
  "Please provide valid device id input",
  "Device table not found",
  "The device's DTE contains an invalid IRT length value.",
  "Interrupt remapping is disabled",
]);

export const FORMATS: readonly Format[] = [
  {
    name: "per_cpu_count",
    file: /^sys\/kernel\/irq\/\d+\/per_cpu_count$/,
    right: matching(/^\s*\d{1,15}(,\d{1,15})*\s*$/),
  },
  {
    name: "switches of modules",
    file: /^sys\/module\/kvm_(intel|amd)\/parameters\/\w+$/,
    right: matching(/^\s*[YN01]\s*$/),
  },
  { name: "cap and ecap", file: /intel-iommu\/e?cap$/, right: matching(RegExp(`^\\s*${WORD}\\s*$`)) },
  {
    name: "AMD's features",
    file: /amd-iommu\/features$/,
    right: (text) => text.trim().split(":").length <= 2 && text.trim().split(":").every(isRegister),
  },
  { name: "ir_translation_struct", file: /ir_translation_struct$/, right: rightIntelTables },
  { name: "irqtbl", file: /iommu\/amd\/irqtbl(@|$)/, right: rightAmdTable },
  {
    name: "debugfs' interrupts",
    file: /^sys\/kernel\/debug\/irq\/irqs\/\d+$/,
    joint: ":",
    right: (text) =>
      text
        .split("\n")
        .some((line) => /^(dstate:\s{1,8}0[xX][0-9a-fA-F]{1,16}|chip:\s{1,8}\S{1,64})$/.test(line.trim())),
  },
  {
    name: "eventfds",
    file: /^proc\/\d+\/fdinfo\/\d+$/,
    right: (text) => {
      const field = (name: string) => {
        const lines = text.split("\n").filter((line) => line.startsWith(`${name}:`));
        return lines
          .at(-1)
          ?.slice(name.length + 1)
          .trim();
      };
      const [count, id] = [field("eventfd-count"), field("eventfd-id")];
      return /^[0-9a-fA-F]{1,16}$/.test(count ?? "") && (id === undefined || /^-?\d{1,10}$/.test(id));
    },
  },
  {
    name: "interrupts",
    file: /^proc\/interrupts$/,
    right: (text) => /^(\s*CPU\d{1,6})(\s+CPU\d{1,6})*\s*$/.test(text.split("\n")[0]!),
  },
  {
    name: "osrelease",
    file: /^proc\/sys\/kernel\/osrelease$/,
    right: (text) => /^\d{1,3}\.\d{1,3}(\.\d{1,4})?([^\d\n][^\n]*)?$/.test(text.trim()),
  },
];

function isRegister(word: string): boolean {
  return RegExp(`^\\s*${WORD}\\s*$`).test(word);
}

/** What comes in the place of up to two characters. */
const TOKENS = ["", "x", "g", "Y", "-", " ", ",", ":", ".", "0x", "1", "8", "\n", "\t", "9".repeat(20), "\0"];

/** A file of a host. */
interface Place {
  readonly name: string;
  readonly host: HostText;
  readonly path: string;
  readonly text: string;
}

function placesOf({ file, right }: Format): Place[] {
  return hostsAndCases().flatMap(([name, found]) => {
    const host = found.root ? asCapture(found) : found;
    return textsOf(host)
      .filter(([path, text]) => file.test(path.slice(2)) && right(text))
      .map(([path, text]) => ({ name, host, path, text }));
  });
}

/** Whether the doctor reads the file: without it, it says something else. */
async function isRead({ name, host, path }: Place): Promise<boolean> {
  const without = { ...host, entries: new Map([...host.entries, [path, { code: "EIO" }]]) };
  return JSON.stringify(await reportOf(name, host)) !== JSON.stringify(await reportOf(name, without));
}

export interface Missed {
  readonly format: string;
  /** Texts that were of the format all the same, and that were not. */
  readonly right: number;
  readonly wrong: number;
}

/** Tries `runs` texts of each format that are nearly right, each in a host. */
export async function nearMisses(runs: number, seed: number): Promise<Missed[]> {
  const results: Missed[] = [];
  for (const format of FORMATS) {
    const places = placesOf(format);
    assert.ok(places.length > 0, format.name);
    const read = new Map<Place, boolean>();
    const count = { right: 0, wrong: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.nat(places.length - 1),
        fc.array(
          fc.tuple(
            fc.double({ min: 0, max: 1, noNaN: true }),
            fc.nat(2),
            fc.constantFrom(...TOKENS),
            // There alone, or wherever the same character stands.
            fc.boolean(),
          ),
          {
            minLength: 1,
            maxLength: 3,
          },
        ),
        async (which, changes) => {
          const { name, host, path, text } = places[which]!;
          let near =
            format.joint === undefined || which % 2 === 0 ? text : text.replaceAll(format.joint, ".");
          for (const [at, length, token, everywhere] of changes) {
            const from = Math.floor(near.trimEnd().length * at);
            const one = near.charAt(from);
            near =
              everywhere && one !== ""
                ? near.replaceAll(one, () => token)
                : near.slice(0, from) + token + near.slice(from + length);
          }
          const place = places[which]!;
          if (!read.has(place)) read.set(place, await isRead(place));
          if (read.get(place) !== true) return;
          const right = format.right(near);
          count[right ? "right" : "wrong"] += 1;
          const report = await reportOf(name, damaged(host, path, near));
          if (report === undefined) return;
          const shown = report.strange.some((one) => one.path === `/${path.slice(2)}`);
          assert.equal(shown, !right, `${name}, ${path}: ${JSON.stringify(near.slice(0, 400))}`);
        },
      ),
      { numRuns: runs, seed, endOnFailure: false, includeErrorInReport: true },
    );
    results.push({ format: format.name, ...count });
  }
  return results;
}
