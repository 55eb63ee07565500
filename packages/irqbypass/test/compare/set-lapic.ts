/** What KVM_SET_LAPIC does beside setting the page: nothing that a software VM has a call for, so the software side plays it. */
import { Vcpu as V, Vm as VM } from "#src/host/layout.js";
import { harvest } from "#src/posting/fast-path.js";
import { type Delivery, type Message, Shorthand } from "#src/vm/apic/message.js";
import { isX2apic } from "#src/vm/apic/mode.js";
import { isMeant } from "#src/vm/apic/targets.js";
import { CLOCK_PIN } from "#src/vm/clock.js";
import type { Host } from "#src/vm/host.js";
import { testBit } from "#src/vm/lapic.js";
import { Entry, Register } from "#src/vm/redirection.js";
import type { Vcpu } from "#src/vm/vcpu.js";
import type { Vm } from "#src/vm/vm.js";
import type { Scene } from "./scene.js";

/** Whose registers they are. */
interface Side {
  readonly host: Host;
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];
  readonly scene: Scene;
}

export function afterSetLapic(side: Side, index: number): void {
  const { words } = side.host;
  const { record } = side.vcpus[index]!;
  // Told in the other form in x2APIC mode, the upper half of ICR is set in both.
  if (isX2apic(words, record)) words.store(record + V.icr2, words.load(record + V.icrHigh));
  restoreClock(side, record);
}

/** Who has the vector of the clock's entry requested or in service, and is meant by that, is to end it (kvm_rtc_eoi_tracking_restore_one). */
function restoreClock({ host, vm, scene }: Side, vcpu: number): void {
  const { words } = host;
  harvest(host, vcpu + V.descriptor, vcpu + V.irr);
  const [low, high] = [0, 1].map((half) => vm.ioapic.read(Register.redirection + CLOCK_PIN * 2 + half));
  const vector = low! & 0xff;
  const message: Message = {
    vector,
    delivery: ((low! >>> 8) & 7) as Delivery,
    logical: (low! & Entry.logical) !== 0,
    destination: high! >>> 24,
    level: (low! & Entry.level) !== 0,
    asserted: true,
    redirected: false,
    shorthand: Shorthand.none,
  };
  if (!isMeant(words, vcpu, message, 0, scene.broadcastQuirk)) return;
  const isPending = [V.irr, V.isr].some((bank) => testBit(words, vcpu + bank, vector));
  if (isPending === (words.load(vcpu + V.clock) !== 0)) return;
  words.store(vcpu + V.clock, isPending ? vector + 1 : 0);
  const count = words.get(vcpu + V.vm) + VM.clockEois;
  words.set(count, words.get(count) + (isPending ? 1 : -1));
}
