/**
 * The verdict on one interrupt: the strongest that the evidence supports. What was not seen supports nothing.
 */
import type { Device, Vector } from "../facts/devices.js";
import type { Host } from "../facts/host.js";
import type { InterruptKind } from "../parse/action.js";
import { producerOf } from "../rules/producers.js";
import { known } from "../source/source.js";
import type { HandlerRuns, PostingChange, TraceFacts } from "../source/trace-facts.js";
import { growthOf, type Seen, type Window } from "./growth.js";
import type { Ability } from "./link.js";
import { releaseOf, seen } from "./link.js";
import { pairingOf } from "./pairing.js";
import type { Evidence, VectorReport, Verdict } from "./report.js";
import { type DeviceTable, type EntryState, entryOf } from "./tables.js";

/** What is known beside the vector itself. */
export interface Setting extends Window {
  readonly trace: TraceFacts | undefined;
  /** The user saw the guest's own counts grow. */
  readonly guestReceived: boolean;
  /** False where the doctor has no rules for the architecture. */
  readonly ruled: boolean;
  readonly able: Ability;
  /** Why nothing of this device or VM can be posted, or why that is not known; the evidence of `able`. */
  readonly because: Evidence;
  /** Why the VMM keeps an interrupt of that label from KVM; undefined if it does not. */
  readonly taken: (label: string) => Evidence | undefined;
  /** An update that KVM traced as posting did so: always on Intel, on AMD only with AVIC seen to be on in this VM. */
  readonly updatesPost: boolean;
  readonly table: DeviceTable | undefined;
}

/** Judges one vector of `device`. */
export function judgeVector(device: Device, vector: Vector, setting: Setting): VectorReport {
  const clues = cluesOf(device, vector, setting);
  const { verdict, evidence } = decide(vector, setting, clues);
  return {
    irq: vector.irq,
    label: vector.action.label,
    verdict,
    byDesign: setting.ruled && clues.barrier?.byDesign === true,
    able: ableOf(vector, setting, clues),
    way: verdict === "posted now" ? "around the host" : wayOf(vector, setting, clues),
    handledByHost: clues.growth.count,
    anew: clues.growth.anew,
    total: clues.growth.total,
    evidence,
  };
}

/** What is known of one vector. */
interface Clues {
  readonly growth: Seen;
  readonly entry: EntryState | undefined;
  readonly runs: HandlerRuns | undefined;
  readonly change: PostingChange | undefined;
  readonly barrier: Barrier | undefined;
}

function cluesOf(device: Device, vector: Vector, setting: Setting): Clues {
  const { trace, table } = setting;
  return {
    growth: growthOf(vector, setting),
    entry: table === undefined ? undefined : entryOf(table, device, vector),
    runs: vector.sharedWith === "" ? trace?.handled.find((runs) => isOf(runs, vector)) : undefined,
    change: trace?.posting.find(({ hostIrq }) => hostIrq === vector.irq),
    barrier: barrierOf(device, vector, setting),
  };
}

/** Handler runs of this very interrupt: when a trace was recorded its number may have been another's. */
function isOf({ irq, name }: HandlerRuns, vector: Vector): boolean {
  return irq === vector.irq && vector.line.actions.includes(name.trim());
}

/** Whether host and VMM let it be posted. */
function ableOf(vector: Vector, setting: Setting, { barrier }: Clues): Ability {
  if (!setting.ruled) return "unknown";
  if (barrier !== undefined) return "no";
  return doubtOf(vector, setting) === undefined ? "yes" : "unknown";
}

/** Which way the next interrupt goes that is not posted for sure. */
function wayOf(
  vector: Vector,
  { ruled, host }: Setting,
  { growth, runs, barrier, entry, change }: Clues,
): VectorReport["way"] {
  if (!ruled || growth.anew) return null;
  const debug = known(vector.debug);
  const unforwarded =
    known(host.cpu)?.arch === "arm64" &&
    debug?.forwarded === false &&
    debug.chips.some((chip) => /^ITS/.test(chip));
  const through =
    (growth.count ?? 0) > 0 ||
    runs !== undefined ||
    barrier !== undefined ||
    entry?.is === "remapped" ||
    change?.set === false ||
    unforwarded;
  return through ? "through the host" : null;
}

interface Decision {
  readonly verdict: Verdict;
  readonly evidence: readonly Evidence[];
}

function decide(vector: Vector, setting: Setting, clues: Clues): Decision {
  const { trace, table } = setting;
  const { growth, entry, runs, change, barrier } = clues;
  const tableSays = table === undefined ? [] : [doubted(table, entry)];
  // Elsewhere a line may grow for interrupts that went around the host.
  if (!setting.ruled)
    return { verdict: "unknown", evidence: [setting.because, growth.evidence, ...tableSays] };

  // Nor does anything follow from a name that its driver is not known to give.
  if (vector.action.kind === "unnamed")
    return { verdict: "unknown", evidence: [notProducer(vector, setting.host), growth.evidence] };

  const changeSays = change === undefined ? [] : [changed(change, setting)];
  const pairing = pairingOf(vector, trace);
  const grown = growth.count !== null && growth.count > 0;

  // The trace tells the last change, so it holds even if the host handled some before it. The table was read at the
  // start of the window: a line that grew in it, or began anew, says that the entry changed since.
  if (change?.set === true && setting.updatesPost && (runs?.sinceChange ?? 0) === 0)
    return { verdict: "posted now", evidence: [...changeSays, ...tableSays, growth.evidence] };
  if (!grown && !growth.anew) {
    if (entry?.is === "posted" && table?.doubt === undefined)
      return { verdict: "posted now", evidence: [...tableSays, growth.evidence] };
    const forwarded = forwardedEvidence(vector, setting.host);
    if (forwarded !== undefined) return { verdict: "posted now", evidence: [forwarded, growth.evidence] };
  }
  if (grown || runs !== undefined) {
    const events: Evidence[] =
      runs === undefined ? [] : [{ source: "irq:irq_handler_entry", says: `ran ${runs.count} times` }];
    const why = barrier === undefined ? [] : [barrier.evidence];
    return {
      verdict: "delivered by the host just now",
      evidence: [growth.evidence, ...events, ...why, ...changeSays, ...tableSays, ...pairing.evidence],
    };
  }
  if (barrier !== undefined)
    return { verdict: "cannot be", evidence: [barrier.evidence, growth.evidence, ...pairing.evidence] };
  return undecided(vector, setting, growth, [...tableSays, ...changeSays], pairing);
}

/** Nothing was seen of it, and nothing is in its way. */
function undecided(
  vector: Vector,
  setting: Setting,
  growth: Seen,
  says: readonly Evidence[],
  pairing: ReturnType<typeof pairingOf>,
): Decision {
  if (growth.anew) return { verdict: "unknown", evidence: [growth.evidence, ...says, ...pairing.evidence] };
  const rest = [...says, growth.evidence];
  if (pairing.paired) return { verdict: "paired", evidence: [...pairing.evidence, ...rest] };
  rest.push(...pairing.evidence);
  const doubt = doubtOf(vector, setting);
  if (doubt !== undefined) return { verdict: "unknown", evidence: [doubt, ...rest] };
  if (growth.count === null) return { verdict: "unknown", evidence: [growth.evidence, ...says] };
  if (setting.guestReceived) {
    const you = { source: "you", says: "saw that the guest received interrupts of it in the window" };
    return {
      verdict: "probably posted",
      evidence: [growth.evidence, you, setting.because, ...says],
    };
  }
  return { verdict: "able, not seen", evidence: [setting.because, ...rest] };
}

const KINDS: Record<InterruptKind, string> = {
  msi: "an MSI",
  intx: "a pin",
  queue: "the interrupt of a queue",
  config: "the interrupt for the configuration",
  other: "such an interrupt",
  unnamed: "an interrupt of that name",
};

/** Why it is not known whether the vector could be posted. */
function doubtOf(vector: Vector, { host, able, because }: Setting): Evidence | undefined {
  const { family, kind } = vector.action;
  if (able === "unknown") return because;
  if (producerOf(family, kind, releaseOf(host)) === undefined) return notProducer(vector, host);
  // its_irq_set_vcpu_affinity(): only an interrupt of an ITS is forwarded.
  if (known(host.cpu)?.arch === "arm64" && !/^ITS/.test(chipOf(vector)))
    return {
      source: "/proc/interrupts",
      says: `its chip is ${chipOf(vector)}, and only those of an ITS are known to be forwarded`,
    };
  return undefined;
}

function notProducer({ action: { family, kind } }: Vector, host: Host): Evidence {
  const says = `whether ${KINDS[kind]} of ${family} can be a producer on Linux ${releaseOf(host).text} is not known`;
  return { source: "/proc/interrupts", says };
}

/** What rules posting out for a vector, and whether that is as it should be. */
interface Barrier {
  readonly evidence: Evidence;
  readonly byDesign?: boolean;
}

/** What rules posting out for this vector. */
function barrierOf(
  device: Device,
  vector: Vector,
  { host, able, because, taken }: Setting,
): Barrier | undefined {
  const source = "/proc/interrupts";
  const { family, kind } = vector.action;
  if (kind === "unnamed") return undefined;
  const producer = producerOf(family, kind, releaseOf(host));
  if (producer !== undefined && producer.producing !== "yes") {
    const says = family === "vfio" ? `${device.driver}: ${producer.because}` : producer.because;
    return { evidence: { source, says }, byDesign: producer.producing === "never" };
  }
  if (device.noiommu) {
    const says = `it is in noiommu mode: IOMMU group ${device.group} is VFIO's own, and nothing remaps its interrupts`;
    return { evidence: { source: `/sys/kernel/iommu_groups/${device.group}/name`, says } };
  }
  if (able === "no") return { evidence: because };
  const vmm = taken(vector.action.label);
  if (vmm !== undefined) return { evidence: vmm };
  // Both files name it, and only where they agree it is the chip.
  const chip = vector.line.chip;
  if (known(host.cpu)?.arch === "x86" && /^PCI-MSI/.test(chip) && chipOf(vector) === chip) {
    return { evidence: { source, says: `its chip is ${chip}, without IR-: this interrupt is not remapped` } };
  }
  return undefined;
}

/** The chip's name; in /proc/interrupts it ends at the first blank. */
function chipOf({ files, line }: Vector): string {
  return known(files.chip) ?? line.chip;
}

/**
 * its_vlpi_map() sets the flag and its_vlpi_unmap() clears it: an interrupt of an ITS has it while, and only while, it is
 * forwarded as a virtual one. Elsewhere the flag means other things, and its absence on x86 means nothing.
 */
function forwardedEvidence(vector: Vector, host: Host): Evidence | undefined {
  const debug = known(vector.debug);
  if (known(host.cpu)?.arch !== "arm64" || debug?.forwarded !== true) return undefined;
  if (!debug.chips.some((chip) => /^ITS/.test(chip))) return undefined;
  return seen(vector.debug, "IRQD_FORWARDED_TO_VCPU, as a virtual LPI");
}

/** What KVM traced of its last update. */
function changed({ set, vcpu, guestVector, gsi }: PostingChange, { updatesPost }: Setting): Evidence {
  const source = "kvm:kvm_pi_irte_update";
  if (!set) return { source, says: "back to remapped" };
  const where = `posted to vCPU ${vcpu}, vector 0x${guestVector.toString(16)}, GSI ${gsi}`;
  const says = updatesPost
    ? where
    : `to be ${where}; on AMD it is while AVIC is on in this VM, which was not seen`;
  return { source, says };
}

/** What the table says, with what it leaves open about this entry. */
function doubted(table: DeviceTable, entry: EntryState | undefined): Evidence {
  const { source, says: sum } = table.evidence;
  const says = entry?.index === undefined ? sum : `entry ${entry.index} is ${entry.is} (${sum})`;
  if (entry?.is === "posted" && table.doubt !== undefined)
    return { source, says: `${says}; but ${table.doubt}` };
  if (entry?.is === "some posted")
    return { source, says: `${says}; it does not say which vectors these are` };
  return { source, says };
}
