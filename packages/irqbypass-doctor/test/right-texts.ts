/**
 * What a right text of each format is, written once more and apart from the parsers: what they are held to.
 */
import type { Report } from "#src/index.js";

export const matching = (pattern: RegExp) => (text: string) => pattern.test(text);
export const lines = (text: string) => text.split("\n");
/** The lines that match. */
export const only = (pattern: RegExp) => (text: string) =>
  lines(text)
    .filter((line) => pattern.test(line))
    .map((line) => `${line}\n`)
    .join("");

const WORD = "(0x)?[0-9a-fA-F]{1,16}";
export const isRegister = matching(RegExp(`^\\s*${WORD}\\s*$`));
export const isCount = (word: string) => /^\d{1,10}$/.test(word) && Number(word) <= 0xffff_ffff;

export function rightInterrupts(text: string): boolean {
  const [head, ...rows] = lines(text);
  if (!/^\s*CPU\d{1,6}(\s+CPU\d{1,6})*\s*$/.test(head!)) return false;
  const cpus = head!.trim().split(/\s+/);
  const ascend = cpus.every((cpu, at) => at === 0 || Number(cpu.slice(3)) > Number(cpus[at - 1]!.slice(3)));
  const labels = new Set<string>();
  return (
    ascend &&
    rows.every((row) => {
      if (row.trim() === "") return true;
      if (labels.size > 0 && /^\s?, /.test(row)) return true; // behind a name that ended in a newline
      const [label, ...words] = row.trim().split(/\s+/);
      const device = /^\d{1,10}:$/.test(label!);
      if (!/^\s{0,12}\S+:\s/.test(row) || (!device && !/^[A-Za-z][\w/-]{0,11}:$/.test(label!))) return false;
      const counts = words.findIndex((word) => !isCount(word));
      const many = counts < 0 ? words.length : counts;
      const alone = !device && words.length === 1 && many === 1;
      // A summary's own words may begin with numbers.
      const enough = device ? many === cpus.length && words.length > many : many >= cpus.length;
      const first = !labels.has(label!);
      labels.add(label!);
      return first && (alone || enough) && (!device || !/^\d+$/.test(words[many]!));
    })
  );
}

/** Rows of Intel's tables, whose bit 15 of the last word says in which part they stand. */
export function rightIntelTables(text: string): boolean {
  let columns = 0;
  return lines(text).every((row) => {
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
    const right =
      /^[0-9a-f]{1,2} [0-9a-f]{16} [0-9a-f]{15}[13579bdf]$/.test(words.slice(-3).join(" ")) &&
      words.slice(2, -3).every((word) => /^[0-9a-f]{8}$/.test(word));
    const posted = right && Number.parseInt(last.at(-4)!, 16) >= 8;
    return words.length === columns && own && right && posted === (columns === 7);
  });
}

const ANSWERS = new Set([
  "",
  "Enter a valid device ID to 'devid' file",
  "Please provide valid device id input",
  "Device table not found",
  "The device's DTE contains an invalid IRT length value.",
  "Interrupt remapping is disabled",
]);

export function rightAmdTable(text: string): boolean {
  const whole = text.trim();
  if (ANSWERS.has(whole)) return true;
  if (/^IRQ lookup table not set for [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}:[0-7]$/.test(whole)) return true;
  const [head, ...rows] = lines(text).map((line) => line.trim());
  const row = /^IRT\[\d{4,6}\] ([0-9a-f]{8}|[0-9a-f]{16} [0-9a-f]{16})$/;
  return (
    /^DeviceId [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(head!) &&
    rows.every((line) => line === "" || row.test(line))
  );
}

/** The last field of that name. */
function field(text: string, name: string): string | undefined {
  return only(RegExp(`^${name}:`))(text)
    .split("\n")
    .at(-2)
    ?.slice(name.length + 1)
    .trim();
}

export function rightEventfd(text: string): boolean {
  const [count, id] = [field(text, "eventfd-count"), field(text, "eventfd-id")];
  return /^[0-9a-fA-F]{1,16}$/.test(count ?? "") && (id === undefined || /^-?\d{1,10}$/.test(id));
}

/** The first CPU's fields, of x86 the lists of words too. */
export function rightCpuInfo(text: string): boolean {
  const fields = new Map<string, string>();
  for (const line of lines(text).slice(0, -1)) {
    const [, name, value] = /^([^:]*[^:\s][^:]*):(.*)$/.exec(line) ?? [];
    if (name !== undefined && !fields.has(name.trim())) fields.set(name.trim(), value!.trim());
    if (/^\s*(power management|CPU revision)\s*:/.test(line)) break;
  }
  if (fields.has("CPU implementer")) return true;
  const made = fields.get("vendor_id");
  const words = ["flags", ...(fields.has("vmx flags") ? ["vmx flags"] : [])];
  return (
    made !== undefined &&
    (fields.has("flags") || /^(GenuineIntel|AuthenticAMD|HygonGenuine)$/.test(made)) &&
    words.every((name) => /^\w+(\s+\w+)*$/.test(fields.get(name) ?? ""))
  );
}

/** Names that the drivers give; anything else in the place of one is a name of somebody else. */
const PCI = "[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]";
const NAME = RegExp(
  `^(vfio-msix?\\[\\d{1,6}\\]\\(${PCI}\\)|vfio-msi\\[\\d{1,6}\\]\\(cdx-[^()\\s]{1,60}\\)|` +
    `vfio-irq\\[\\d{1,6}\\]\\((?!${PCI}\\))[^()\\s]{1,64}\\)|vfio-intx\\(${PCI}\\)|` +
    `(vp-vdpa|ifcvf|eni-vdpa)\\[${PCI}\\]-(\\d{1,6}|config|dev-irq|vqs-reused-irq)),?$`,
);
export const withoutOtherNames = (text: string) =>
  text.replaceAll(/(vfio|vp-vdpa|ifcvf|eni-vdpa)[-[]\S*/g, (name) => (NAME.test(name) ? name : "other"));

/** Words of the kernel's command line that bear on posting, each between blanks. */
export const kernelWords = (text: string) =>
  text
    .split(/\s+/)
    .filter((word) =>
      /^(intremap|nointremap|intel_iommu|amd_iommu|amd_iommu_intr|iommu|pci|acpi|noapic|nosmp|maxcpus|nolapic|disableapic|kvm[-_](intel|amd)\.\w+)(=|$)/.test(
        word.replaceAll("-", "_"),
      ),
    )
    .join(" ");

const VMM_PART =
  /^(q35|pc|none|pc-[\w.-]+|(accel=)?(kvm|tcg)(:(kvm|tcg))*|kernel[-_]irqchip=(on|off|split)|(driver=)?vfio-pci|(host=|sysfsdev=\/sys\/bus\/pci\/devices\/)([0-9a-f]{1,8}:)?[0-9a-f]{1,2}:[0-9a-f]{1,2}\.[0-7]|x-no-kvm-msix?=(on|yes|true|y|off)|driver=vfio-pci|property=x-no-kvm-msix?|value=(on|off)|vfio-pci\.x-no-kvm-msix?=(on|yes|true|y|off))$/;

/** The options that matter, each with the parts of its value that have a meaning. */
export function vmmWords(text: string): string {
  const [program, ...words] = text.replace(/\0$/, "").split("\0");
  const kept = words.map((word, at) => {
    if (/^--?[a-z]/i.test(word)) return word;
    if (words[at - 1] === "--irqchip") return /^(kernel|split|userspace)(?!\w)/.exec(word)?.[0] ?? "x";
    if (word.startsWith("{")) return word;
    return word
      .split(",")
      .map((part) => (VMM_PART.test(part) ? part : "x=y"))
      .join(",");
  });
  return [program, ...kept, ""].join("\0");
}

const TRACE_HEAD =
  "^ *.{1,16}?-\\d{1,10} +(\\(( *\\d+|-+)\\) +)?\\[\\d{1,6}\\] +([^\\s:]{4,8} +)?\\d{1,15}(\\.\\d{1,9})?: +(kvm:)?";
export const TRACE = RegExp(
  `${TRACE_HEAD}kvm_pi_irte_update: *PI is (enabled and being updated|disabled) for irq \\d{1,10}, vcpu -?\\d{1,10}, gsi: 0x[0-9a-f]{1,8}, gvec: 0x[0-9a-f]{1,8}$`,
);

/** JSON with the fields of a trace, each of its kind. */
export function rightTraceFacts(text: string): boolean {
  const whole = (value: unknown, least = 0) => Number.isSafeInteger(value) && (value as number) >= least;
  const texts = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === "string");
  const nullOr = (value: unknown, right: (one: unknown) => boolean) => value === null || right(value);
  const finite = (value: unknown) => typeof value === "number" && Number.isFinite(value);
  const each = (list: unknown, right: (one: Record<string, unknown>) => boolean) =>
    Array.isArray(list) &&
    list.every((one) => typeof one === "object" && one !== null && !Array.isArray(one) && right(one));
  try {
    const facts = JSON.parse(text) as Record<string, unknown> | null;
    if (typeof facts !== "object" || facts === null || Array.isArray(facts)) return false;
    return (
      finite(facts.seconds) &&
      texts(facts.followed) &&
      nullOr(facts.generation, (one) => typeof one === "string") &&
      each(
        facts.posting,
        ({ hostIrq, set, vcpu, gsi, guestVector, at }) =>
          nullOr(hostIrq, (one) => whole(one)) &&
          typeof set === "boolean" &&
          whole(vcpu, -1) &&
          whole(gsi) &&
          whole(guestVector) &&
          finite(at),
      ) &&
      each(
        facts.handled,
        ({ irq, name, count, sinceChange }) =>
          whole(irq) && typeof name === "string" && whole(count) && whole(sinceChange),
      ) &&
      each(
        facts.inhibits,
        ({ set, reason, name, inhibits, names, tid, at }) =>
          typeof set === "boolean" &&
          whole(reason) &&
          typeof name === "string" &&
          nullOr(inhibits, (one) => whole(one)) &&
          (names === undefined || nullOr(names, texts)) &&
          whole(tid) &&
          finite(at),
      ) &&
      each(
        facts.registrations,
        ({ side, eventfdId, hostIrq, result }) =>
          (side === "producer" || side === "consumer") &&
          whole(eventfdId) &&
          nullOr(hostIrq, (one) => whole(one)) &&
          whole(result, -4095),
      ) &&
      [facts.injections, facts.gaLog, facts.lost].every((one) => whole(one)) &&
      texts(facts.notes)
    );
  } catch {
    return false;
  }
}

const INHIBIT = { set: true, reason: 1, name: "HYPERV", inhibits: 2, tid: 7, at: 0 };

/** Facts that are JSON, and each of another kind somewhere. */
export const OTHER_FACTS: readonly object[] = [
  { seconds: "2" },
  { followed: [1] },
  { followed: "kvm" },
  { generation: 7 },
  { posting: [null] },
  { posting: [{ hostIrq: 130, set: 1, vcpu: 0, gsi: 1, guestVector: 1, at: 0 }] },
  { posting: [{ hostIrq: 130.5, set: true, vcpu: 0, gsi: 1, guestVector: 1, at: 0 }] },
  { posting: [{ hostIrq: 130, set: true, vcpu: -2, gsi: 1, guestVector: 1, at: 0 }] },
  { inhibits: [{ ...INHIBIT, inhibits: -2 }] },
  { inhibits: [{ ...INHIBIT, name: 1 }] },
  { registrations: [{ side: "both", eventfdId: 1, hostIrq: null, result: 0 }] },
  { notes: {} },
  { lost: -1 },
];

const MOUNT = /^(|\d+ \d+ \d+:\d+ \S+ \S+ \S+( \S+)* - \S+ \S* \S+|\S* \S+ \S+ \S+ \d+ \d+)$/;
export const rightMounts = (text: string) => lines(text).every((line) => MOUNT.test(line));
/** That processes may be out of sight is said where it is not known that they are not. */
export const toldUnseen = ({ missing }: Report) =>
  missing.some(({ path }) => path === "/proc/self/mountinfo");

export const LINK = "(?:[\\w./:,=+@()[\\]-]|%[0-9a-f]{2})*";
export const DESCRIPTOR =
  /^(anon_inode:\[?(kvm-vm|kvm-vcpu:\d{1,6}|eventfd|eventpoll|vfio-device)\]?|\/dev\/vfio\/(noiommu-)?\d{1,9}|\/dev\/vfio\/devices\/(noiommu-)?vfio\d{1,9}|\/dev\/vhost-vdpa-\d{1,9})$/;

export const EVENT_FORMAT =
  'name: kvm_pi_irte_update\nID: 75\nformat:\n\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\tfield:unsigned int gsi;\toffset:8;\tsize:4;\tsigned:0;\n\nprint fmt: "gsi: 0x%x", REC->gsi\n';
