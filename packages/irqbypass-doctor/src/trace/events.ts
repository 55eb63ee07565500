/**
 * The tracepoints that the doctor follows: which formats of them it knows, and how to read their text. Pure.
 */
import type { EventFormat } from "../parse/trace-format.js";
import { EARLY_NAMES } from "../rules/inhibits.js";

/** What an event says. */
export type TraceFinding =
  | {
      readonly kind: "posting";
      readonly hostIrq: number | null;
      readonly set: boolean;
      readonly vcpu: number;
      readonly gsi: number;
      readonly guestVector: number;
    }
  | { readonly kind: "handler"; readonly irq: number; readonly name: string }
  | { readonly kind: "msi"; readonly destination: number; readonly vector: number }
  | {
      readonly kind: "inhibit";
      readonly set: boolean;
      readonly reason: number;
      readonly name: string;
      readonly inhibits: number | null;
      readonly names: readonly string[] | null;
    }
  | { readonly kind: "ga log" };

/** Reads the text of an event; null if it is not of the format that was announced. */
export type TextReader = (text: string) => TraceFinding | null;

/** An event to follow. */
export interface FollowedEvent {
  /** "kvm", "irq": the directory under events/. */
  readonly system: string;
  readonly name: string;
  /** A filter for the kernel to apply, so that only events that matter fill the buffer. */
  readonly filter?: string;
  /** What is not seen if the event cannot be followed. */
  readonly without: string;
  /** The event that another kernel has in its place. */
  readonly elsewhere?: FollowedEvent;
  /** How to read it in the format of this kernel; null if that format is not known. */
  readonly match: (format: EventFormat) => MatchedFormat | null;
}

export interface MatchedFormat {
  readonly read: TextReader;
  /** The generation of the format, where there are several. */
  readonly generation?: string;
}

/** Every event that `--trace` follows, in the order in which it starts them. */
export const FOLLOWED: readonly FollowedEvent[] = [
  {
    system: "kvm",
    name: "kvm_pi_irte_update",
    without: "which interrupts KVM posted, and to which vCPU",
    match: matchPosting,
  },
  {
    system: "kvm",
    name: "kvm_apicv_inhibit_changed",
    without: "for which reasons APICv or AVIC was inhibited",
    match: matchInhibit,
    elsewhere: {
      system: "kvm",
      name: "kvm_apicv_update_request",
      without: "for which reasons APICv or AVIC was inhibited",
      match: matchUpdateRequest,
    },
  },
  {
    system: "irq",
    name: "irq_handler_entry",
    // Other handlers run often and say nothing of assigned devices.
    filter: 'name ~ "*vfio*" || name ~ "*vdpa*" || name ~ "*ifcvf*"',
    without: "which interrupts the host handled",
    match: ({ fields, text }) =>
      has(fields, ["irq", "name"]) && text === "irq=%d name=%s" ? { read: readHandler } : null,
  },
  {
    system: "kvm",
    name: "kvm_msi_set_irq",
    without: "which MSIs software injected",
    match: ({ fields, text }) =>
      has(fields, ["address", "data"]) && /^dst %(?:llx|x) vec %u \(/.test(text) ? { read: readMsi } : null,
  },
  {
    system: "kvm",
    name: "kvm_avic_ga_log",
    without: "what AMD's IOMMU posted to a vCPU that did not run",
    match: ({ fields }) => (has(fields, ["vmid", "vcpuid"]) ? { read: () => ({ kind: "ga log" }) } : null),
  },
];

function has(fields: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((field) => fields.includes(field));
}

interface Generation {
  readonly name: string;
  readonly fits: (fields: readonly string[], text: string) => boolean;
  /** The whole of its text. */
  readonly pattern: RegExp;
}

const HOST_IRQ = / for irq (?<irq>\d{1,10})/;
const ADDRESS = /, pi_desc_addr: 0x[0-9a-f]{1,16}$/;
const TARGET = /, vcpu (?<vcpu>-?\d{1,10}), gsi: 0x(?<gsi>[0-9a-f]{1,8}), gvec: 0x(?<gvec>[0-9a-f]{1,8})/;
const STATE = / (?<state>enabled and being updated|disabled)/;

function whole(start: RegExp, irq: RegExp, end: RegExp): RegExp {
  return new RegExp([start, STATE, irq, TARGET, end].map(({ source }) => source).join(""));
}

const vtd = (text: string) => text.startsWith("VT-d PI is %s for ");
const plain = (text: string) => text.startsWith("PI is %s for ");

/** The four generations of kvm_pi_irte_update, told apart by their fields and by how their text begins and ends. */
const GENERATIONS: readonly Generation[] = [
  {
    name: "Linux 4.4 on, without the host interrupt",
    fits: (fields, text) => vtd(text) && !fields.includes("host_irq") && fields.includes("pi_desc_addr"),
    pattern: whole(/^VT-d PI is/, / for this irq/, ADDRESS),
  },
  {
    name: "Linux 4.x to 6.10, VT-d PI",
    fits: (fields, text) => vtd(text) && fields.includes("host_irq") && fields.includes("pi_desc_addr"),
    pattern: whole(/^VT-d PI is/, HOST_IRQ, ADDRESS),
  },
  {
    name: "Linux 6.11 to 6.16, with an address",
    fits: (fields, text) => plain(text) && fields.includes("host_irq") && fields.includes("pi_desc_addr"),
    pattern: whole(/^PI is/, HOST_IRQ, ADDRESS),
  },
  {
    name: "Linux 6.17 on, every change",
    fits: (fields, text) => plain(text) && fields.includes("host_irq"),
    pattern: whole(/^PI is/, HOST_IRQ, /$/),
  },
];

function matchPosting({ fields, text }: EventFormat): MatchedFormat | null {
  if (!has(fields, ["vcpu_id", "gsi", "gvec", "set"])) return null;
  const generation = GENERATIONS.find(({ fits }) => fits(fields, text));
  if (generation === undefined) return null;
  return { generation: generation.name, read: (line) => readPosting(generation.pattern, line) };
}

function readPosting(pattern: RegExp, text: string): TraceFinding | null {
  const groups = pattern.exec(text)?.groups;
  if (groups === undefined) return null;
  return {
    kind: "posting",
    hostIrq: groups.irq === undefined ? null : Number(groups.irq),
    set: groups.state !== "disabled",
    vcpu: Number(groups.vcpu),
    gsi: Number.parseInt(groups.gsi!, 16),
    guestVector: Number.parseInt(groups.gvec!, 16),
  };
}

/** The generation of a text of kvm_pi_irte_update; undefined for one that nobody knows. */
export function generationOf(text: string): string | undefined {
  return GENERATIONS.find(({ pattern }) => pattern.test(text))?.name;
}

function readHandler(text: string): TraceFinding | null {
  const match = /^irq=(\d{1,10}) name=(.*)$/.exec(text);
  return match === null ? null : { kind: "handler", irq: Number(match[1]), name: match[2]! };
}

function readMsi(text: string): TraceFinding | null {
  const match = /^dst ([0-9a-f]{1,16}) vec (\d{1,3}) \(/.exec(text);
  return match === null
    ? null
    : { kind: "msi", destination: Number.parseInt(match[1]!, 16), vector: Number(match[2]) };
}

function matchInhibit({ fields, text, args }: EventFormat): MatchedFormat | null {
  if (!has(fields, ["reason", "set", "inhibits"]) || !text.startsWith("%s reason=%u, inhibits=0x%lx"))
    return null;
  // Later kernels print the names of the reasons that are set, in the order of their bits; the format lists them all.
  const names = [...args.matchAll(/APICV_INHIBIT_REASON_(\w+)/g)].map((match) => match[1]!);
  return { read: (line) => readInhibit(line, names) };
}

function readInhibit(text: string, names: readonly string[]): TraceFinding | null {
  const match = /^(set|cleared) reason=(\d{1,10}), inhibits=0x([0-9a-f]{1,13})(?: ([\w|]+))?$/.exec(text);
  if (match === null) return null;
  const reason = Number(match[2]);
  return {
    kind: "inhibit",
    set: match[1] === "set",
    reason,
    name: names[reason] ?? `reason ${reason}`,
    inhibits: Number.parseInt(match[3]!, 16),
    names: match[4] === undefined ? null : match[4].split("|"),
  };
}

/**
 * The event of 5.6 to 5.17. It has no mask: it fires when the reasons turn from none to some ("deactivate", and the bit
 * is the first) or from some to none ("activate").
 */
function matchUpdateRequest({ fields, text }: EventFormat): MatchedFormat | null {
  return has(fields, ["activate", "bit"]) && text === "%s bit=%lu" ? { read: readUpdateRequest } : null;
}

function readUpdateRequest(text: string): TraceFinding | null {
  const match = /^(activate|deactivate) bit=(\d{1,3})$/.exec(text);
  return match === null ? null : earlyInhibit(match[1] === "deactivate", Number(match[2]));
}

function earlyInhibit(set: boolean, reason: number): TraceFinding {
  const name = EARLY_NAMES[reason] ?? `reason ${reason}`;
  return { kind: "inhibit", set, reason, name, inhibits: null, names: null };
}

/**
 * Readers by event for a trace whose formats are not at hand, because others recorded it. Every generation that is known
 * is tried. trace-cmd and perf print bare fields where they cannot work out an event's format, as that of the inhibits
 * with its names: these are read too.
 */
export function readersOfRecorded(): ReadonlyMap<string, MatchedFormat> {
  const readers: readonly (readonly [event: string, read: TextReader])[] = [
    ["kvm_pi_irte_update", (text) => first(GENERATIONS, ({ pattern }) => readPosting(pattern, text))],
    ["kvm_apicv_inhibit_changed", (text) => readInhibit(text, []) ?? bareInhibit(text)],
    ["kvm_apicv_update_request", (text) => readUpdateRequest(text) ?? bareUpdateRequest(text)],
    ["irq_handler_entry", readHandler],
    ["kvm_msi_set_irq", readMsi],
    ["kvm_avic_ga_log", () => ({ kind: "ga log" })],
  ];
  return new Map(readers.map(([event, read]) => [event, { read }]));
}

function first<T, R>(all: readonly T[], call: (one: T) => R | null): R | null {
  for (const one of all) {
    const result = call(one);
    if (result !== null) return result;
  }
  return null;
}

/** "[FAILED TO PARSE] reason=9 set=1 inhibits=0x200", in any order; null if it is not that. */
function bareFields(text: string, wanted: readonly string[]): readonly number[] | null {
  const fields = new Map<string, string>();
  for (const word of text.replace("[FAILED TO PARSE]", "").trim().split(/\s+/)) {
    const match = /^(\w{1,32})=(0x[0-9a-f]{1,13}|\d{1,15})$/i.exec(word);
    if (match === null) return null;
    fields.set(match[1]!, match[2]!);
  }
  const values = wanted.map((name) => fields.get(name));
  return values.every((value) => value !== undefined) ? values.map(Number) : null;
}

function bareInhibit(text: string): TraceFinding | null {
  const values = bareFields(text, ["reason", "set", "inhibits"]);
  if (values === null) return null;
  const [reason, set, inhibits] = values as [number, number, number];
  return { kind: "inhibit", set: set !== 0, reason, name: `reason ${reason}`, inhibits, names: null };
}

function bareUpdateRequest(text: string): TraceFinding | null {
  const values = bareFields(text, ["activate", "bit"]);
  return values === null ? null : earlyInhibit(values[0] === 0, values[1]!);
}
