/**
 * Hosts for tests: each is one readable text, `hosts/NAME/host.txt`, that unpacks into the tree that `--from` reads.
 *
 *     # what this host is
 *     like other-host              take over that host's entries, then change some
 *     root                         a running host for --root, with one sample
 *     seconds 2.5                  time between the samples, 2 if not given
 *     options --guest-received     what the doctor is run with
 *     vectors 500 of 0000:60:00.0 from 1000 growing 7     MSI-X vectors of a device, its first seven with traffic
 *
 *     == proc/cmdline              a file of the first sample; its text follows
 *     == 2/proc/interrupts         of the second sample; both/ is of both
 *     == path -> target            a symbolic link
 *     == path unreadable EACCES    was there and could not be read
 *     == path directory            an empty one
 *     == path empty                a file without a text
 *     == path gone                 takes away what `like` brought, with everything below it
 *     == trace.json                beside the samples: what was traced
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's own directory of hosts; the compiled test runs from build/. */
export const HOSTS = fileURLToPath(new URL("../../test/hosts", import.meta.url));
/** Hosts that were judged wrongly once, each with what has to be said of it. */
export const CASES = fileURLToPath(new URL("../../test/cases", import.meta.url));

type Entry = { text: string } | { target: string } | { code: string } | { directory: true };

export interface HostText {
  readonly entries: Map<string, Entry>;
  readonly seconds: string;
  readonly options: readonly string[];
  /** It is a host for --root and no capture. */
  readonly root: boolean;
}

/** Names of all hosts. */
export function hostNames(): string[] {
  return readdirSync(HOSTS).sort();
}

/** Parses a host's text; `load` finds the one that it is like. */
export function parseHost(text: string, load: (name: string) => HostText = loadHost): HostText {
  const entries = new Map<string, Entry>();
  let seconds = "2.000";
  let options: string[] = [];
  let root = false;
  const many: string[][] = [];
  const lines = text.split("\n");
  let at = 0;
  for (; at < lines.length && !lines[at]!.startsWith("== "); at += 1) {
    const [word, ...rest] = lines[at]!.split(" ");
    if (word === "like") {
      const base = load(rest[0]!);
      for (const [path, entry] of base.entries) entries.set(path, entry);
      seconds = base.seconds;
      root = base.root;
    } else if (word === "root") root = true;
    else if (word === "seconds") seconds = rest[0]!;
    else if (word === "options") options = rest;
    else if (word === "vectors") many.push(rest);
    else if (word !== "" && word !== "#") throw new Error(`unknown line: ${lines[at]}`);
  }
  while (at < lines.length) {
    const head = lines[at]!.slice(3);
    const body: string[] = [];
    for (at += 1; at < lines.length && !lines[at]!.startsWith("== "); at += 1) body.push(lines[at]!);
    while (body.at(-1) === "") body.pop();
    for (const line of head.startsWith("both/") ? [`1/${head.slice(5)}`, `2/${head.slice(5)}`] : [head]) {
      put(entries, line, body);
    }
  }
  for (const [count, , device, , first, , growing] of many) {
    addVectors(entries, device!, Number(first), Number(count), Number(growing));
  }
  return { entries, seconds, options, root };
}

function put(entries: Map<string, Entry>, head: string, body: readonly string[]): void {
  const [name, word, value] = head.split(" ") as [string, string | undefined, string | undefined];
  const path = /^([12]\/|trace\.json$)/.test(name) ? name : `1/${name}`;
  if (word === undefined) {
    entries.set(path, { text: `${body.join("\n").replaceAll("\\0", "\0")}\n` });
  } else if (word === "->") entries.set(path, { target: value! });
  else if (word === "unreadable") entries.set(path, { code: value! });
  else if (word === "empty") entries.set(path, { text: "" });
  else if (word === "directory") entries.set(path, { directory: true });
  else if (word === "gone") {
    for (const key of [...entries.keys()])
      if (key === path || key.startsWith(`${path}/`)) entries.delete(key);
  } else throw new Error(`unknown entry: ${head}`);
}

/** Adds the lines of many vectors to both samples; those without traffic are posted. */
function addVectors(
  entries: Map<string, Entry>,
  device: string,
  first: number,
  count: number,
  growing: number,
): void {
  const table = "1/sys/kernel/debug/iommu/intel/ir_translation_struct";
  const rows = { "1/proc/interrupts": "", "2/proc/interrupts": "", [table]: "" };
  const source = device.slice(device.indexOf(":") + 1);
  for (let index = 0; index < count; index += 1) {
    const irq = first + index;
    for (const sample of [1, 2] as const) {
      const traffic = sample === 2 && index < growing ? 100 * (index + 1) : 0;
      const counts = [index + traffic, 0, 0, 0].map((number) => String(number).padStart(11)).join("");
      rows[`${sample}/proc/interrupts`] +=
        `${irq}:${counts}  IR-PCI-MSIX-${device} ${index}-edge  vfio-msix[${index}](${device})\n`;
    }
    if (index >= growing)
      rows[table] += ` ${irq} ${source} 00000001 05a3c2c0 41  0000000100043b00\t05a3c2c000418001\n`;
  }
  const remapped = Array.from(
    { length: growing },
    (_, index) => ` ${first + index} ${source} 00000001 22  0000000000043b00\t000000010022000d\n`,
  );
  for (const [path, text] of Object.entries(rows)) {
    const entry = entries.get(path);
    const old = entry !== undefined && "text" in entry ? entry.text : "";
    // The remapped rows belong to the first part of the table, the posted ones to its last.
    const joined = path === table ? old.replace(/^ 0 {5}/m, (row) => `${remapped.join("")}${row}`) : old;
    entries.set(path, { text: joined + text });
  }
  entries.set(`1/sys/bus/pci/drivers/vfio-pci/${device}`, { directory: true });
  entries.set(`1/sys/bus/pci/devices/${device}/driver`, { target: "../../../../bus/pci/drivers/vfio-pci" });
}

/** Reads `hosts/NAME/host.txt`. */
export function loadHost(name: string): HostText {
  return parseHost(readFileSync(join(HOSTS, name, "host.txt"), "utf8"));
}

/** Reads `cases/NAME/host.txt`; what it is like is another case. */
export function loadCase(name: string): HostText {
  return parseHost(readFileSync(join(CASES, name, "host.txt"), "utf8"), loadCase);
}

/** Writes a host as a tree into a directory that is not there yet. */
export function unpack(host: HostText, dir: string): void {
  if (!host.root) {
    mkdirSync(join(dir, "1"), { recursive: true });
    mkdirSync(join(dir, "2"), { recursive: true });
  }
  const unreadable: string[] = [];
  for (const [path, entry] of host.entries) {
    const full = join(dir, host.root ? path.slice(2) : path);
    mkdirSync(dirname(full), { recursive: true });
    if ("text" in entry) writeFileSync(full, entry.text);
    else if ("target" in entry) symlinkSync(entry.target, full);
    else if ("directory" in entry) mkdirSync(full, { recursive: true });
    else unreadable.push(`${entry.code} ${path}\n`);
  }
  if (host.root) return;
  writeFileSync(
    join(dir, "about"),
    `format: irqbypass-capture/1\nat: 2026-03-01T12:00:00Z\nseconds: ${host.seconds}\nmasked: no\n`,
  );
  writeFileSync(join(dir, "unreadable"), unreadable.join(""));
}

/** Unpacks a host for the time of `use`; the directory is called as the host is. */
export async function withTree<T>(
  name: string,
  host: HostText,
  use: (dir: string) => Promise<T> | T,
): Promise<T> {
  const temporary = mkdtempSync(join(tmpdir(), "irqbypass-host-"));
  try {
    unpack(host, join(temporary, name));
    return await use(join(temporary, name));
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Copies a tree, keeping its links as they are. */
export function copyTree(from: string, to: string): void {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true });
}
