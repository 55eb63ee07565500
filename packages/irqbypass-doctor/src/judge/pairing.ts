/**
 * Whether both ends of an interrupt registered with the irqbypass manager, as probes saw it.
 */
import type { Vector } from "../facts/devices.js";
import type { TraceFacts } from "../source/trace-facts.js";
import type { Evidence } from "./report.js";

/** `paired`: both ends registered with the same eventfd, without an error. */
export function pairingOf(
  vector: Vector,
  trace: TraceFacts | undefined,
): { readonly paired: boolean; readonly evidence: readonly Evidence[] } {
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
