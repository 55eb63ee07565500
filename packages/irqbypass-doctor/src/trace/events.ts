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

/** The four generations of kvm_pi_irte_update, told apart by their fields and by how their text begins. */
function matchPosting({ fields, text }: EventFormat): MatchedFormat | null {
  if (!has(fields, ["vcpu_id", "gsi", "gvec", "set"])) return null;
  const irq = fields.includes("host_irq");
  const address = fields.includes("pi_desc_addr");
  const vtd = text.startsWith("VT-d PI is %s for ");
  const plain = text.startsWith("PI is %s for ");
  if (vtd && !irq && address)
    return posting("Linux 4.4 on, without the host interrupt", /^VT-d PI is/, / for this irq/, ADDRESS);
  if (vtd && irq && address) return posting("Linux 4.x to 6.10, VT-d PI", /^VT-d PI is/, HOST_IRQ, ADDRESS);
  if (plain && irq && address)
    return posting("Linux 6.11 to 6.16, with an address", /^PI is/, HOST_IRQ, ADDRESS);
  if (plain && irq) return posting("Linux 6.17 on, every change", /^PI is/, HOST_IRQ, /$/);
  return null;
}

const HOST_IRQ = / for irq (?<irq>\d{1,10})/;
const ADDRESS = /, pi_desc_addr: 0x[0-9a-f]{1,16}$/;
const TARGET = /, vcpu (?<vcpu>-?\d{1,10}), gsi: 0x(?<gsi>[0-9a-f]{1,8}), gvec: 0x(?<gvec>[0-9a-f]{1,8})/;

function posting(generation: string, start: RegExp, irq: RegExp, end: RegExp): MatchedFormat {
  const state = / (?<state>enabled and being updated|disabled)/;
  const whole = new RegExp([start, state, irq, TARGET, end].map((part) => part.source).join(""));
  return {
    generation,
    read(text) {
      const groups = whole.exec(text)?.groups;
      if (groups === undefined) return null;
      return {
        kind: "posting",
        hostIrq: groups.irq === undefined ? null : Number(groups.irq),
        set: groups.state !== "disabled",
        vcpu: Number(groups.vcpu),
        gsi: Number.parseInt(groups.gsi!, 16),
        guestVector: Number.parseInt(groups.gvec!, 16),
      };
    },
  };
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
  return {
    read(line) {
      const match = /^(set|cleared) reason=(\d{1,10}), inhibits=0x([0-9a-f]{1,13})(?: ([\w|]+))?$/.exec(line);
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
    },
  };
}

/**
 * The event of 5.6 to 5.17. It has no mask: it fires when the reasons turn from none to some ("deactivate", and the bit
 * is the first) or from some to none ("activate").
 */
function matchUpdateRequest({ fields, text }: EventFormat): MatchedFormat | null {
  if (!has(fields, ["activate", "bit"]) || text !== "%s bit=%lu") return null;
  return {
    read(line) {
      const match = /^(activate|deactivate) bit=(\d{1,3})$/.exec(line);
      if (match === null) return null;
      const reason = Number(match[2]);
      return {
        kind: "inhibit",
        set: match[1] === "deactivate",
        reason,
        name: EARLY_NAMES[reason] ?? `reason ${reason}`,
        inhibits: null,
        names: null,
      };
    },
  };
}
