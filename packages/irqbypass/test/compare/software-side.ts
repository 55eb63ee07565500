/** The software VM as the other side. Its vCPUs run in the calling thread, and so does its relay, between steps. */
import { IrqBypassError } from "#src/host/errors.js";
import { Vcpu as V } from "#src/host/layout.js";
import { linux } from "#src/linux/kind.js";
import { harvest } from "#src/posting/fast-path.js";
import { readBase } from "#src/vm/apic/base.js";
import { VCPU_STATES } from "#src/vm/apic/events.js";
import { Register, readRegister } from "#src/vm/apic/registers.js";
import { Host } from "#src/vm/host.js";
import { relayOne } from "#src/vm/relay.js";
import { Vcpu } from "#src/vm/vcpu.js";
import { Vm } from "#src/vm/vm.js";
import { noRelay } from "../support/host.js";
import { softwareChips } from "./chip-state.js";
import { pageLine } from "./page.js";
import { hex, type Scene } from "./scene.js";
import { afterSetLapic } from "./set-lapic.js";
import { SoftwareIrqfds } from "./software-irqfds.js";

export class SoftwareSide implements Disposable {
  readonly host = Host.create({ size: "small", spawn: noRelay, kinds: [linux()] });
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];
  private made: SoftwareIrqfds | undefined;

  constructor(readonly scene: Scene) {
    const { ids, longIds, broadcastQuirk, chips } = scene;
    this.vm = new Vm(this.host, { vcpus: ids.length, apic: { ids, longIds, broadcastQuirk }, pic: chips });
    this.vcpus = ids.map((_, index) => Vcpu.open(this.host, this.vm.vcpu(index).handle));
    for (const vcpu of this.vcpus) vcpu.apic.reset(); // as KVM makes them
  }

  /** Its irqfds, of which most scenes have none. */
  get irqfds(): SoftwareIrqfds {
    this.made ??= new SoftwareIrqfds(this.host, this.vm);
    return this.made;
  }

  /** What a call returns, or the code of its refusal. */
  outcome(call: () => unknown): string {
    try {
      return String(call());
    } catch (error) {
      if (error instanceof IrqBypassError) return error.code;
      throw error;
    }
  }

  /** Everything that was signalled is delivered. */
  settle(): void {
    const { pending } = this.host;
    while (pending.any) pending.takeAll((irqfd) => relayOne(this.host, irqfd));
  }

  state(): string[] {
    const { words } = this.host;
    const vcpus = this.vcpus.map(({ record }) => {
      harvest(this.host, record + V.descriptor, record + V.irr);
      // KVM_GET_LAPIC shows what x2APIC mode hides, too.
      const read = (offset: number) => {
        if (offset === Register.dfr) return words.load(record + V.dfr);
        return readRegister(words, record, offset) ?? words.load(record + V.icrHigh);
      };
      return `base ${hex(readBase(words, record))} ${pageLine(read)}`;
    });
    return this.scene.chips ? [...vcpus, ...softwareChips(this.host, this.vm, this.vcpus[0]!.record)] : vcpus;
  }

  events(index: number): string {
    const vcpu = this.vcpus[index]!;
    const state = VCPU_STATES.indexOf(vcpu.state);
    return `state ${state} nmis ${this.host.words.get(vcpu.record + V.pendingNmis)}`;
  }

  /** Puts a vector into service, as KVM_SET_LAPIC would. */
  serve(index: number, vector: number): void {
    const { words } = this.host;
    const { record } = this.vcpus[index]!;
    const word = record + V.isr + (vector >>> 5);
    words.set(word, words.get(word) | (1 << (vector & 31)));
    afterSetLapic(this, index);
  }

  [Symbol.dispose](): void {
    this.made?.[Symbol.dispose]();
    for (const vcpu of this.vcpus) vcpu.put();
    this.vm.dispose();
    this.host.dispose();
  }
}
