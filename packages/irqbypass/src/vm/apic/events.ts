/**
 * What reaches a vCPU beside its maskable interrupts: NMIs, of which two are kept, INIT and start-up (process_nmi, kvm_apic_accept_events).
 * Others leave them in words of the vCPU; whoever runs it takes them over here, in its own time.
 */
import type { BypassHost } from "../../bypass/bypass-host.js";
import { show } from "../../host/argument.js";
import { IrqBypassError } from "../../host/errors.js";
import { EVENT, Latch, Vcpu, VcpuState, Vm, VmFlag } from "../../host/layout.js";
import type { Words } from "../../host/words.js";
import { takeKick } from "../../posting/descriptor.js";
import type { VmLife } from "../vm-mutex.js";
import { changeApics } from "./change.js";
import { Base } from "./mode.js";
import { clear } from "./power-on.js";

/** What a wait of a vCPU can end with beside an interrupt or a kick. */
export type Event = "init" | "start-up" | "nmi";

/** Whether a vCPU executes its guest: of KVM's mp_state those that have a meaning here. */
export const VCPU_STATES = ["runnable", "uninitialized", "init-received"] as const;
/** One of {@link VCPU_STATES}. */
export type RunState = (typeof VCPU_STATES)[number];

/** As many NMIs are kept, one that is being handled not counted. */
const NMI_LIMIT = 2;

/** The events of a vCPU, in the thread that runs it. */
export class VcpuEvents {
  constructor(
    private readonly host: BypassHost,
    private readonly life: VmLife,
    private readonly record: number,
    /** The registers of the local APIC are others now. */
    private readonly wasReset: () => void,
  ) {}

  /** What comes next, which is left there: INIT and start-up before an NMI. */
  next(): Event | undefined {
    const { words } = this.host;
    takeKick(words, this.record + Vcpu.descriptor, EVENT); // before the look: what comes from here on sets it again
    this.takeOver(); // without EVENT as well: whoever sleeps by the interrupt file has taken it there
    const untold = words.get(this.record + Vcpu.untold);
    if (untold & Latch.init) return "init";
    if (untold & Latch.startUp) return "start-up";
    return this.runs && words.get(this.record + Vcpu.pendingNmis) > 0 ? "nmi" : undefined;
  }

  /** Takes what {@link next} has said. */
  take(event: Event): void {
    const { words } = this.host;
    if (event === "nmi") {
      const pending = this.record + Vcpu.pendingNmis;
      words.set(pending, words.get(pending) - 1);
      return;
    }
    const untold = this.record + Vcpu.untold;
    words.set(untold, words.get(untold) & ~(event === "init" ? Latch.init : Latch.startUp));
  }

  /** Does it execute its guest? Else neither an interrupt nor an NMI means anything to it. */
  get runs(): boolean {
    return this.host.words.get(this.record + Vcpu.state) === VcpuState.runnable;
  }

  get state(): RunState {
    this.takeOver();
    return VCPU_STATES[this.host.words.get(this.record + Vcpu.state)]!;
  }

  set state(state: RunState) {
    const number = VCPU_STATES.indexOf(state);
    if (number < 0)
      throw new IrqBypassError("EINVAL", `state is ${show(state)}: use ${VCPU_STATES.join(", ")}`);
    this.takeOver();
    this.host.words.set(this.record + Vcpu.state, number);
  }

  /** The vector of the last start-up that started it. */
  get startUpVector(): number {
    return (this.host.words.get(this.record + Vcpu.untold) >>> Latch.vectorShift) & 0xff;
  }

  private takeOver(): void {
    const { words } = this.host;
    if (words.load(this.record + Vcpu.latch) !== 0) applyLatch(words, this.record, () => this.reset());
    foldNmis(words, this.record);
  }

  /** INIT: nobody asks whether it may. With an interrupt controller of the emulator's it leaves alone what that has. */
  private reset(): void {
    const { host, record } = this;
    const { words } = host;
    if ((words.get(this.life.record + Vm.flags) & VmFlag.bare) !== 0) {
      words.set(record + Vcpu.pendingNmis, 0);
      words.store(record + Vcpu.nmis, 0);
      return;
    }
    host.thread.begun = true;
    changeApics(host, this.life, () => clear(host, record));
    this.wasReset();
  }
}

/** Takes over the NMIs that have come; what is above the limit is lost. */
export function foldNmis(words: Words, vcpu: number): void {
  const come = words.load(vcpu + Vcpu.nmis);
  if (come === 0) return;
  // There before they are gone here: of a thread that dies in between one is there once more than it came, and none is lost.
  words.set(vcpu + Vcpu.pendingNmis, Math.min(words.get(vcpu + Vcpu.pendingNmis) + come, NMI_LIMIT));
  words.add(vcpu + Vcpu.nmis, -come);
}

/**
 * Applies an INIT that has come, by `reset`, and then a start-up: that starts a vCPU that waits for it, and is dropped by any other.
 */
export function applyLatch(words: Words, vcpu: number, reset: () => void): void {
  const latch = vcpu + Vcpu.latch;
  for (let seen = words.load(latch); seen !== 0; seen = words.load(latch)) {
    let untold = words.get(vcpu + Vcpu.untold);
    if (seen & Latch.init) {
      reset();
      const isBoot = (words.load(vcpu + Vcpu.base) & Base.boot) !== 0;
      words.set(vcpu + Vcpu.state, isBoot ? VcpuState.runnable : VcpuState.initReceived);
      untold = Latch.init; // a start-up that nobody was told of means nothing any more
    } else if (words.get(vcpu + Vcpu.state) === VcpuState.initReceived) {
      words.set(vcpu + Vcpu.state, VcpuState.runnable);
      untold = (untold & Latch.init) | seen; // with its vector
    }
    words.set(vcpu + Vcpu.untold, untold);
    // Last, and only where nothing came meanwhile: what is done a second time after a death comes to the same.
    words.compareExchange(latch, seen, seen & Latch.init ? seen & ~Latch.init : 0);
  }
}
