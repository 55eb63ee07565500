/**
 * The verdict on one interrupt: the strongest that the evidence supports. What was not seen supports nothing.
 */
import type { Device, Vector } from "../facts/devices.js";
import type { Host, Later } from "../facts/host.js";
import { grewBetween } from "../parse/interrupts.js";
import { grewPerCpu } from "../parse/irq.js";
import { known } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import type { Ability } from "./link.js";
import { seen, whyNot } from "./link.js";
import type { Evidence, VectorReport, Verdict } from "./report.js";
import { type DeviceTable, type EntryState, entryOf } from "./tables.js";

/** What is known beside the vector itself. */
export interface Setting {
  readonly host: Host;
  readonly later: Later;
  readonly seconds: number;
  readonly trace: TraceFacts | undefined;
  /** The user saw the guest's own counts grow. */
  readonly guestReceived: boolean;
  readonly able: Ability;
  /** Why nothing of this device or VM can be posted, or why that is not known; the evidence of `able`. */
  readonly because: Evidence;
  readonly table: DeviceTable | undefined;
}

/** Judges one vector of `device`. */
export function judgeVector(device: Device, vector: Vector, setting: Setting): VectorReport {
  const growth = growthOf(vector, setting);
  const { verdict, evidence } = decide(device, vector, setting, growth);
  return { irq: vector.irq, label: vector.action.label, verdict, handledByHost: growth.count, evidence };
}

interface Growth {
  readonly count: number | null;
  readonly evidence: Evidence;
}

/** How often the host's handler ran in the window. The per-CPU file counts offline CPUs too, so it goes first. */
function growthOf(vector: Vector, { host, later, seconds }: Setting): Growth {
  const span = `in ${seconds.toFixed(1)} s`;
  const words = (count: number) =>
    count > 0 ? `grew by ${count} ${span}` : `flat for ${seconds.toFixed(1)} s`;
  const before = known(vector.files.perCpu);
  const reading = later.perCpu.get(vector.irq);
  const after = reading === undefined ? undefined : known(reading);
  if (before !== undefined && after !== undefined) {
    const count = grewPerCpu(before, after);
    return { count, evidence: seen(vector.files.perCpu, words(count)) };
  }
  const [first, second] = [known(host.interrupts), known(later.interrupts)];
  const count = first && second ? grewBetween(first, second, String(vector.irq)) : null;
  const says = count === null ? `no line in the second sample: ${whyNot(later.interrupts)}` : words(count);
  return { count, evidence: { source: `/proc/interrupts, line ${vector.irq}`, says } };
}

function decide(
  device: Device,
  vector: Vector,
  setting: Setting,
  growth: Growth,
): { verdict: Verdict; evidence: readonly Evidence[] } {
  const { trace, table, able } = setting;
  const runs = trace?.handled.find(({ irq }) => irq === vector.irq);
  const change = trace?.posting.find(({ hostIrq }) => hostIrq === vector.irq);
  const entry = table === undefined ? undefined : entryOf(table, device, vector);
  const tableSays = table === undefined ? [] : [doubted(table, entry)];
  const changeSays: Evidence[] =
    change === undefined
      ? []
      : [
          {
            source: "kvm:kvm_pi_irte_update",
            says: change.set
              ? `posted to vCPU ${change.vcpu}, vector 0x${change.guestVector.toString(16)}, GSI ${change.gsi}`
              : "back to remapped",
          },
        ];
  const pairing = pairingOf(vector, trace);
  const barrier = barrierOf(vector, setting);

  // The trace tells the last change, so it holds even if the host handled some before it. The table was read at the
  // start of the window: a line that grew in it says that the entry changed since.
  if (change?.set === true && (runs?.sinceChange ?? 0) === 0)
    return { verdict: "posted now", evidence: [...changeSays, ...tableSays, growth.evidence] };
  const postedEntry = entry?.is === "posted" && table?.doubt === undefined;
  if (postedEntry && !(growth.count !== null && growth.count > 0)) {
    return { verdict: "posted now", evidence: [...tableSays, growth.evidence] };
  }
  if ((growth.count ?? 0) > 0 || runs !== undefined) {
    const events: Evidence[] =
      runs === undefined ? [] : [{ source: "irq:irq_handler_entry", says: `ran ${runs.count} times` }];
    const why = barrier === undefined ? [] : [barrier];
    return {
      verdict: "delivered by the host just now",
      evidence: [growth.evidence, ...events, ...why, ...changeSays, ...tableSays, ...pairing.evidence],
    };
  }
  if (barrier !== undefined)
    return { verdict: "cannot be", evidence: [barrier, growth.evidence, ...pairing.evidence] };

  const rest = [...tableSays, ...changeSays, growth.evidence];
  if (pairing.paired) return { verdict: "paired", evidence: [...pairing.evidence, ...rest] };
  rest.push(...pairing.evidence);
  if (able === "unknown") return { verdict: "unknown", evidence: [setting.because, ...rest] };
  if (growth.count === null) return { verdict: "unknown", evidence: [growth.evidence, ...tableSays] };
  if (setting.guestReceived) {
    const you = { source: "you", says: "saw that the guest received interrupts of it in the window" };
    return {
      verdict: "probably posted",
      evidence: [growth.evidence, you, setting.because, ...tableSays, ...changeSays],
    };
  }
  return { verdict: "able, not seen", evidence: [setting.because, ...rest] };
}

/** What rules posting out for this vector. */
function barrierOf(vector: Vector, { host, able, because }: Setting): Evidence | undefined {
  if (vector.action.intx) {
    return { source: "/proc/interrupts", says: "INTx is level-triggered: only MSI and MSI-X can be posted" };
  }
  if (able === "no") return because;
  const chip = known(vector.files.chip) ?? known(host.interrupts)?.lines.get(String(vector.irq))?.chip ?? "";
  if (/^PCI-MSI/.test(chip)) {
    return {
      source: "/proc/interrupts",
      says: `its chip is ${chip}, without IR-: this interrupt is not remapped`,
    };
  }
  return undefined;
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

/** Both ends registered with the same eventfd, without an error. */
function pairingOf(
  vector: Vector,
  trace: TraceFacts | undefined,
): { paired: boolean; evidence: readonly Evidence[] } {
  const producer = trace?.registrations
    .filter((one) => one.side === "producer" && one.hostIrq === vector.irq)
    .at(-1);
  if (producer === undefined) return { paired: false, evidence: [] };
  const consumer = trace?.registrations
    .filter((one) => one.side === "consumer" && one.eventfdId === producer.eventfdId)
    .at(-1);
  const words = (side: string, result: number | undefined) =>
    result === undefined
      ? `no ${side}`
      : result === 0
        ? `${side} registered`
        : `${side} refused (${errno(result)})`;
  const says = `eventfd ${producer.eventfdId}: ${words("producer", producer.result)}, ${words("consumer", consumer?.result)}`;
  return {
    paired: producer.result === 0 && consumer?.result === 0,
    evidence: [{ source: "probes of irq_bypass_register_*", says }],
  };
}

/** The errors that registration is refused with. */
function errno(result: number): string {
  if (result === -16) return "EBUSY: the eventfd has one already";
  if (result === -22) return "EINVAL: posting is not possible for it";
  return String(result);
}
