/**
 * Reasons for which a VM has APICv or AVIC switched off while it runs, and what that means for its devices. No file
 * shows them, only a tracepoint. They are a VM's, never the host's.
 */

import type { Host } from "../facts/host.js";
import type { VmProcess } from "../facts/processes.js";
import type { KernelRelease } from "../parse/kernel-release.js";
import { EARLY_NAMES, inhibitEffect, inhibitName, isTransient } from "../rules/inhibits.js";
import { known } from "../source/source.js";
import type { InhibitChange, TraceFacts } from "../source/trace-facts.js";
import { link, releaseOf } from "./link.js";
import type { ChainLink, Evidence } from "./report.js";

/** The events that tell of inhibits; a kernel has one of them. */
export const INHIBIT_EVENTS = ["kvm:kvm_apicv_inhibit_changed", "kvm:kvm_apicv_update_request"];

/** What is known of one VM's inhibits at the end of a trace. */
export interface VmInhibits {
  /** Names of the reasons that are in force, "reason 12" for one whose name is not known; transient ones too. */
  readonly reasons: readonly string[];
  /** The mask was seen to be empty, so that APICv or AVIC is on. */
  readonly clear: boolean;
  /** What that does to its devices; "unknown" where the reasons, or this kernel's way, are not known. */
  readonly effect: "nothing" | "no more" | "off" | "unknown";
  readonly evidence: Evidence;
}

/** The inhibits of one VM, by the threads of its process; undefined if no change of them was traced. */
export function inhibitsOf(vm: VmProcess, host: Host, trace: TraceFacts | undefined): VmInhibits | undefined {
  const own = trace?.inhibits.filter(({ tid }) => belongs(vm, tid)) ?? [];
  const last = own.at(-1);
  if (last === undefined) return undefined;
  const release = releaseOf(host);
  const reasons = reasonsOf(last, namesIn(trace?.inhibits ?? []), release);
  const lasting = reasons.filter((name) => !isTransient(name));
  const named = lasting.filter((name) => !UNNAMED.test(name));
  const vendor = known(host.cpu)?.vendor === "amd" ? "amd" : "intel";
  const rule = inhibitEffect(vendor, release) ?? "unknown";
  // A reason without a name may be a transient one.
  const effect =
    lasting.length === 0 || rule === "nothing" ? "nothing" : named.length === 0 ? "unknown" : rule;
  return { reasons, clear: reasons.length === 0, effect, evidence: evidenceOf(last, reasons) };
}

/** Reasons in words: "PIT_REINJ and APIC_ID_MODIFIED". */
export function listed(reasons: readonly string[]): string {
  return reasons.length < 2
    ? (reasons[0] ?? "none")
    : `${reasons.slice(0, -1).join(", ")} and ${reasons.at(-1)}`;
}

/** Those that stay; a transient one is no cause, unless it is all that there is. */
export function causes(reasons: readonly string[]): readonly string[] {
  const lasting = reasons.filter((name) => !isTransient(name));
  return lasting.length > 0 ? lasting : reasons;
}

const UNNAMED = /^reason \d+$/;

/** The reasons that are in force after a change, in the order of their bits. */
function reasonsOf(
  { set, reason, name, inhibits, names }: InhibitChange,
  given: ReadonlyMap<number, string>,
  release: KernelRelease,
): string[] {
  // The early event fires when the mask turns empty or not empty, and its numbers were never changed.
  if (inhibits === null) return set ? [UNNAMED.test(name) ? (EARLY_NAMES[reason] ?? name) : name] : [];
  const bits = bitsOf(inhibits);
  if (names !== null && names.length === bits.length) return [...names];
  return bits.map((bit) => given.get(bit) ?? inhibitName(bit, release) ?? `reason ${bit}`);
}

/** Names that the kernel itself gave to reasons that changed. */
function namesIn(changes: readonly InhibitChange[]): ReadonlyMap<number, string> {
  return new Map(changes.filter(({ name }) => !UNNAMED.test(name)).map(({ reason, name }) => [reason, name]));
}

function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  // Beyond 31 bits the operators of JavaScript do not reach.
  for (let bit = 0, rest = mask; rest >= 1; bit += 1, rest = Math.floor(rest / 2))
    if (rest % 2 === 1) bits.push(bit);
  return bits;
}

function evidenceOf({ set, inhibits, tid }: InhibitChange, reasons: readonly string[]): Evidence {
  const mask = inhibits === null ? "" : ` (inhibits 0x${inhibits.toString(16)})`;
  const source = INHIBIT_EVENTS[inhibits === null ? 1 : 0]!;
  const after = `after thread ${tid} ${set ? "set" : "cleared"} one`;
  return { source, says: `${reasons.length === 0 ? "none" : listed(reasons)} in force ${after}${mask}` };
}

/** The link of the chain that is about inhibits: broken if one keeps the devices of a VM from being posted. */
export function inhibitLink(host: Host, trace: TraceFacts | undefined): ChainLink {
  const name = "inhibit reasons";
  const vendor = known(host.cpu)?.vendor === "amd" ? "amd" : "intel";
  const release = releaseOf(host);
  if (inhibitEffect(vendor, release) === "nothing")
    return link(name, "holds", "none stops the posting of devices on Intel with this kernel");
  if (trace === undefined)
    return link(name, "unknown", "no file shows them; --trace does, while a VM starts");
  const event = INHIBIT_EVENTS.find((one) => trace.followed.includes(one));
  if (event === undefined) return link(name, "unknown", `${INHIBIT_EVENTS[0]} was not followed`);
  const span = `in ${trace.seconds.toFixed(1)} s`;
  const found = host.processes.found
    .filter(({ vmFds, held }) => vmFds > 0 && held.length > 0)
    .flatMap((vm) => {
      const inhibits = inhibitsOf(vm, host, trace);
      return inhibits === undefined ? [] : [{ vm, ...inhibits }];
    });
  const says = (ones: typeof found) =>
    ones.map(({ vm, reasons }) => `${nameOf(vm)} is inhibited: ${listed(causes(reasons))}`).join("; ");
  const off = found.filter(({ effect }) => effect === "off");
  if (off.length > 0) return link(name, "broken", says(off), ...off.map(({ evidence }) => evidence));
  const unclear = found.filter(({ effect }) => effect !== "nothing");
  if (unclear.length > 0)
    return link(name, "unknown", says(unclear), ...unclear.map(({ evidence }) => evidence));
  if (found.length === 0) {
    const none = `none changed ${span} in a VM with a device; one set before would not show`;
    return link(name, "unknown", none, { source: event, says: `no such event ${span}` });
  }
  return link(
    name,
    "holds",
    `none is in force in ${found.map(({ vm }) => nameOf(vm)).join(", ")}`,
    ...found.map(({ evidence }) => evidence),
  );
}

/** Changes whose threads belong to no process that holds a VM: their VMs have gone, or cannot be seen. */
export function strayInhibits(host: Host, trace: TraceFacts | undefined): number {
  const vms = host.processes.found.filter(({ vmFds }) => vmFds > 0);
  return trace?.inhibits.filter(({ tid }) => !vms.some((vm) => belongs(vm, tid))).length ?? 0;
}

function nameOf(vm: VmProcess): string {
  return vm.name === null ? `the VM of process ${vm.pid}` : `VM ${vm.name}`;
}

function belongs(vm: VmProcess, tid: number): boolean {
  return tid === vm.pid || vm.threads.includes(tid);
}
