import { Consumer, Descriptor, Eventfd as E, LEAVING, Vcpu as V, Vm as VmRecord } from "#src/host/layout.js";
import { droppedOf } from "#src/posting/dropped.js";
import type { Host } from "#src/vm/host.js";

/** Signals whose fate a scenario accounts for: those of one eventfd, or of one vector of a VM. */
export interface Signals {
  /** Through which the words are read. */
  readonly host: Host;
  /** The eventfd that was signalled; absent where the vCPU was posted to. */
  readonly eventfd?: { readonly record: number };
  /** Where its interrupts go, to whichever of its vCPUs; absent where they go to nobody. */
  readonly vm?: { readonly life: { readonly record: number } };
  /** What is in the eventfd's counter, where that is not in the memory. */
  readonly counted?: () => number;
  /** The vector that they have. */
  readonly vector?: number;
  /** Signals that were through: 1 where it is not said. What a thread that died was in the middle of is none. */
  readonly sent?: number;
  /** Interrupts, or counts, that a thread has taken. */
  readonly taken?: number;
  /** Most that may be found; as many as were sent where it is not said. */
  readonly most?: number;
}

/** Where signals are, each a number of them. */
export interface Whereabouts {
  /** Requested at a vCPU, or in service. */
  readonly interrupts: number;
  readonly counted: number;
  /** The irqfd is pending, or a line of the I/O APIC is up. */
  readonly pending: number;
  readonly dropped: number;
}

const VECTOR = 0x41;

/** What the words of the memory say of some signals. */
export function whereabouts({ host, eventfd, counted, vm, vector = VECTOR }: Signals): Whereabouts {
  const { words, pools } = host;
  const lives = eventfd !== undefined && pools.eventfd.lives(eventfd.record);
  const irqfd = lives ? words.load(eventfd.record + E.irqfd) & ~LEAVING : 0;
  const due = irqfd !== 0 && words.load(irqfd + Consumer.pending) !== 0;
  const record = vm?.life.record ?? 0;
  const line = record !== 0 && words.get(record + VmRecord.lines) !== 0;
  return {
    interrupts: record === 0 ? 0 : requested(host, record, vector),
    counted: counted?.() ?? (lives ? Number(words.load64(eventfd.record + E.counter)) : 0),
    pending: (due ? 1 : 0) + (line ? 1 : 0),
    dropped: lives ? (droppedOf(words, eventfd.record)?.count ?? 0) : 0,
  };
}

/** At how many vCPUs of a VM a vector is posted, requested or in service. */
function requested({ words }: Host, vm: number, vector: number): number {
  const bank = vector >>> 5;
  let found = 0;
  for (let index = 0; index < words.get(vm + VmRecord.vcpus); index++) {
    const vcpu = words.get(vm + VmRecord.vcpu + index);
    const pir = words.load(vcpu + V.descriptor + Descriptor.pir + bank);
    const apic = words.get(vcpu + V.irr + bank) | words.get(vcpu + V.isr + bank);
    if ((pir | apic) & (1 << (vector & 31))) found += 1;
  }
  return found;
}

/** Throws where a signal is missing, or is found more than once. */
export function account(signals: Signals): void {
  const { sent = 1, taken = 0, most = sent } = signals;
  const { interrupts, counted, pending, dropped } = whereabouts(signals);
  const found = interrupts + counted + pending + dropped + taken;
  const where = `${interrupts} interrupts, ${counted} counted, ${pending} pending, ${dropped} dropped, ${taken} taken`;
  if (sent > 0 && found === 0) throw new Error(`a signal is lost: ${where}`);
  if (found > most) throw new Error(`of ${most} signals there are ${found}: ${where}`);
}

/**
 * The end of a scenario in which something ends or changes beside signals: each of them is an interrupt, or counted in its
 * eventfd, or pending, or dropped with a reason, and no two of these. Where something is to be done before that is looked at,
 * such as the repair after a death, the function does it that returns the signals; `end` comes after it.
 */
export function conserves<Results>(
  signals: Signals | readonly Signals[] | ((results: Results) => Signals | readonly Signals[]),
  end: (results: Results) => void = () => {},
): ((results: Results) => void) & { readonly conserves: true } {
  const checked = (results: Results) => {
    const all = [typeof signals === "function" ? signals(results) : signals].flat() as Signals[];
    if (all.length === 0) throw new Error("this scenario accounts for no signal: say why there is none");
    for (const one of all) account(one);
    end(results);
  };
  return Object.assign(checked, { conserves: true as const });
}
