/**
 * The command line of a VMM: what on it decides whether KVM has the local APIC and the eventfds of interrupts. Pure.
 */
import { baseName } from "../source/descriptor.js";
import { MASKED } from "../source/mask.js";

export type Vmm = "qemu" | "cloud-hypervisor" | "crosvm" | "firecracker" | "other";

/** Where the VM's local APIC is: "split" has it in KVM, and the rest in the VMM. */
export type Irqchip = "kernel" | "split" | "userspace";

/** A setting, with the words that made it. */
export interface VmmSetting<T> {
  readonly value: T;
  readonly words: string;
}

/** An assigned device as the VMM was given it. */
export interface VmmDevice {
  /** PCI address with domain; null where it was named otherwise. */
  readonly address: string | null;
  /** Kinds of interrupts that the VMM was told to take itself: "msix", "msi". */
  readonly taken: readonly ("msix" | "msi")[];
  readonly words: string;
}

export interface VmmSettings {
  readonly vmm: Vmm;
  /** Whether the words were there to be read: a capture may have masked them. */
  readonly whole: boolean;
  /** What runs the guest, in the order in which it is tried: "kvm", "tcg". Undefined where nothing says so. */
  readonly accelerators: VmmSetting<readonly string[]> | undefined;
  readonly irqchip: VmmSetting<Irqchip> | undefined;
  readonly devices: readonly VmmDevice[];
  /** libvirt started it, so that its settings are made there. */
  readonly libvirt: boolean;
}

const PROGRAMS: readonly (readonly [pattern: RegExp, vmm: Vmm])[] = [
  [/^(qemu|kvm$)/, "qemu"],
  [/^cloud-hypervisor/, "cloud-hypervisor"],
  [/^crosvm/, "crosvm"],
  [/^firecracker/, "firecracker"],
];

/** Never fails: words that are not known decide nothing. */
export function parseVmm(argv: readonly string[]): VmmSettings {
  const program = baseName(argv[0] ?? "");
  const vmm = PROGRAMS.find(([pattern]) => pattern.test(program))?.[1] ?? "other";
  const none: VmmSettings = {
    vmm,
    // Captures keep the words that matter and mask the others; the first ones kept none.
    whole: argv.length > 1 && !(argv.length === 2 && argv[1] === MASKED),
    accelerators: undefined,
    irqchip: undefined,
    devices: [],
    libvirt: argv.some((word) => word.includes("/libvirt/")),
  };
  switch (vmm) {
    case "qemu":
      return { ...none, ...parseQemu(argv, program) };
    case "crosvm":
      return { ...none, irqchip: crosvmIrqchip(argv) };
    default:
      return none;
  }
}

/** An option of QEMU with its value: "-machine q35,accel=kvm". */
interface Option {
  readonly name: string;
  readonly value: string;
}

function parseQemu(
  argv: readonly string[],
  program: string,
): Pick<VmmSettings, "accelerators" | "irqchip" | "devices"> {
  const options = argv
    .slice(1)
    .flatMap((word, at): Option[] =>
      /^--?[a-z]/i.test(word) ? [{ name: word.replace(/^--?/, ""), value: argv[at + 2] ?? "" }] : [],
    );
  // qemu_init() takes a program that is called ...kvm for one that was asked to use it.
  let accelerators: VmmSettings["accelerators"] = program.endsWith("kvm")
    ? { value: ["kvm", "tcg"], words: program }
    : undefined;
  let irqchip: VmmSettings["irqchip"];
  const given: string[] = [];
  for (const { name, value } of options) {
    if (name === "enable-kvm") accelerators = { value: ["kvm"], words: "-enable-kvm" };
    if (name !== "machine" && name !== "M" && name !== "accel") continue;
    for (const [key, word] of pairsOf(value, name === "accel" ? "accel" : "type")) {
      // Later settings of one property win, as in QEMU; each -accel is one more to be tried.
      if (key === "accel") {
        if (name === "accel") given.push(word);
        else accelerators = { value: word.split(":"), words: `-${name} accel=${word}` };
      }
      if (key === "kernel-irqchip" || key === "kernel_irqchip") {
        const where = IRQCHIPS.get(word);
        if (where !== undefined) irqchip = { value: where, words: `-${name} ${key}=${word}` };
      }
    }
  }
  if (given.length > 0) accelerators = { value: given, words: given.map((one) => `-accel ${one}`).join(" ") };
  return { accelerators, irqchip, devices: qemuDevices(options) };
}

const IRQCHIPS: ReadonlyMap<string, Irqchip> = new Map([
  ["on", "kernel"],
  ["off", "userspace"],
  ["split", "split"],
]);

/** Settings of "a,b=c,,d": the first word without a name is that of `first`; two commas are one of the value. */
function pairsOf(value: string, first: string): [key: string, word: string][] {
  const parts = value.replaceAll(",,", "\0").split(",");
  return parts.map((part, at) => {
    const text = part.replaceAll("\0", ",");
    const equals = text.indexOf("=");
    if (equals < 0) return at === 0 ? [first, text] : [text, "on"];
    return [text.slice(0, equals), text.slice(equals + 1)];
  });
}

const YES = /^(on|yes|true|y)$/;
const DRIVER = /^vfio-pci/;
const TAKEN = { "x-no-kvm-msix": "msix", "x-no-kvm-msi": "msi" } as const;
type Taking = keyof typeof TAKEN;

function qemuDevices(options: readonly Option[]): VmmDevice[] {
  const everywhere = new Map<string, string>();
  for (const { name, value } of options) {
    if (name !== "global") continue;
    const pairs = new Map(pairsOf(value, ""));
    // "-global vfio-pci.x-no-kvm-msix=on" or "-global driver=vfio-pci,property=x-no-kvm-msix,value=on".
    const dotted = [...pairs.keys()].find((key) => /^vfio-pci\./.test(key));
    if (dotted !== undefined) everywhere.set(dotted.slice("vfio-pci.".length), pairs.get(dotted)!);
    else if (DRIVER.test(pairs.get("driver") ?? ""))
      everywhere.set(pairs.get("property") ?? "", pairs.get("value") ?? "");
  }
  return options.flatMap(({ name, value }): VmmDevice[] => {
    if (name !== "device") return [];
    const pairs = value.startsWith("{") ? jsonPairs(value) : new Map(pairsOf(value, "driver"));
    if (!DRIVER.test(pairs.get("driver") ?? "")) return [];
    const own = (key: Taking) => pairs.get(key) ?? everywhere.get(key) ?? "";
    const taking = (Object.keys(TAKEN) as Taking[]).filter((key) => YES.test(own(key)));
    return [
      {
        address: hostAddress(pairs),
        taken: taking.map((key) => TAKEN[key]),
        words: taking
          .map((key) => (pairs.has(key) ? `${key}=${own(key)}` : `-global vfio-pci.${key}=${own(key)}`))
          .join(","),
      },
    ];
  });
}

/** The properties of a device that was given as JSON, as libvirt does; empty for what is none. */
function jsonPairs(text: string): Map<string, string> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return new Map();
    return new Map(Object.entries(value).map(([key, one]) => [key, String(one)]));
  } catch {
    return new Map();
  }
}

/** "host=3b:00.0", or a path in sysfs. */
function hostAddress(pairs: ReadonlyMap<string, string>): string | null {
  const text = pairs.get("host") ?? baseName((pairs.get("sysfsdev") ?? "").replace(/\/$/, ""));
  const match = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i.exec(text);
  if (match === null) return null;
  const [, domain = "0", bus, slot, function_] = match;
  return `${domain.padStart(4, "0")}:${bus!.padStart(2, "0")}:${slot!.padStart(2, "0")}.${function_}`.toLowerCase();
}

/** `--irqchip userspace`, and `--split-irqchip` of older versions. */
function crosvmIrqchip(argv: readonly string[]): VmmSettings["irqchip"] {
  let irqchip: VmmSettings["irqchip"];
  for (const [at, word] of argv.entries()) {
    if (word === "--split-irqchip") irqchip = { value: "split", words: word };
    const value = word === "--irqchip" ? argv[at + 1] : /^--irqchip=(.*)$/.exec(word)?.[1];
    const kind = /^(kernel|split|userspace)\b/.exec(value ?? "")?.[1];
    if (kind !== undefined) irqchip = { value: kind as Irqchip, words: `--irqchip ${kind}` };
  }
  return irqchip;
}

/** The longest log that is looked through, from its end, in characters. */
const LONGEST = 1024 * 1024;

/** How libvirt begins what it logs of a start; QEMU's own messages are in the same file, and may say anything. */
const START = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d{4}: starting up libvirt version: /gm;

/**
 * The command line of the last start in libvirt's log of a guest (/var/log/libvirt/qemu/NAME.log): a line "DATE: starting up
 * libvirt version: ...", then the words as a shell would take them, one option a line; undefined if there is none.
 */
export function parseLibvirtLog(text: string): readonly string[] | undefined {
  const end = text.slice(-LONGEST);
  const start = [...end.matchAll(START)].at(-1)?.index;
  if (start === undefined) return undefined;
  const lines: string[] = [];
  for (const line of end.slice(start).split("\n").slice(1)) {
    const goesOn = line.endsWith("\\");
    lines.push(goesOn ? line.slice(0, -1) : line);
    if (!goesOn) break;
  }
  const words = shellWords(lines.join(" "));
  const program = words.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word));
  return program < 0 ? undefined : words.slice(program);
}

/** Words of a shell's line: blanks part them, quotes of both kinds and backslashes keep what they hold. */
function shellWords(line: string): string[] {
  const words = line.match(/(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return words.map((word) =>
    word.replaceAll(
      /\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)"/g,
      (_, escaped?: string, single?: string, double?: string) =>
        escaped ?? single ?? (double ?? "").replaceAll(/\\(.)/g, "$1"),
    ),
  );
}
