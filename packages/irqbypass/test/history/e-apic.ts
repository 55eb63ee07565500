/** Fixes of 2022 to 2026 in the registers of local APICs (E1, E2, E4, E6, E15): what a guest programs, and whom it reaches by that. */
import assert from "node:assert/strict";
import { Vcpu, Vm, type VmOptions } from "irqbypass";
import { ApicMap, Vm as M, Vcpu as V } from "#src/host/layout.js";
import { type Proof, playFalse, prove } from "./proof.js";
import { recordOf, VECTOR, World } from "./world.js";

const [SVR, LDR, ICR] = [0xf0, 0xd0, 0x300];
const ENABLED = 0x1ff;
const LOGICAL = 4;
const [TPR_MSR, SELF_IPI_MSR] = [0x808, 0x83f];

/** A VM whose local APICs are in xAPIC mode and enabled. */
class Paged {
  readonly world = new World();
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];

  constructor(options: VmOptions = {}) {
    const { host } = this.world;
    this.vm = new Vm(host, { vcpus: 2, ...options });
    this.vcpus = [0, 1].map((index) => Vcpu.open(host, this.vm.vcpu(index).handle));
    for (const { apic } of this.vcpus) {
      apic.reset();
      apic.write(SVR, ENABLED);
    }
  }

  /** How many take a message to this destination. */
  reached(destination: number, bits = 0): number {
    return this.vm.signalMsi({ address: (0xfee00000 | (destination << 12) | bits) >>> 0, data: VECTOR });
  }

  /** Messages are found by this map, whatever the registers come to. */
  playMap(map: ApicMap): void {
    const word = recordOf(this.vm) + M.apicMap;
    this.world.playWords((real) => ({ load: (at) => (at === word ? map : real.load(at)) }));
  }

  /** A register of vCPU 0 keeps these bits, which are not to be kept. */
  playRegister(register: V, bits: number): void {
    const word = this.vm.vcpu(0).record + register;
    this.world.playWords((real) => ({
      store: (at, value) => real.store(at, at === word ? value | bits : value),
    }));
  }
}

export const apicProofs: readonly Proof[] = [
  prove<(paged: Paged) => void>(
    "E1",
    "vCPUs whose logical ids have several bits, or the same one, are each reached by them",
    () => {},
    { "gives each bit to one vCPU": (paged) => paged.playMap(ApicMap.flat) },
    (play) => {
      const paged = new Paged();
      const [first, second] = paged.vcpus;
      for (const [ids, destination] of [
        [[0x01, 0x01], 0x01],
        [[0x18, 0x10], 0x10],
      ] as const) {
        first!.apic.write(LDR, ids[0] << 24);
        second!.apic.write(LDR, ids[1] << 24);
        play(paged);
        assert.equal(paged.reached(destination, LOGICAL), 2);
        paged.world.playWords(() => ({}));
      }
    },
  ),

  prove<(paged: Paged) => void>(
    "E2",
    "two vCPUs with one 8-bit id are both reached by it, and only the first where ids are long",
    () => {},
    { "finds one vCPU for an id": (paged) => paged.playMap(ApicMap.softwareDisabled) },
    (play) => {
      const long = new Paged({ apic: { ids: [0, 256] } });
      assert.equal(long.reached(0), 1);
      const paged = new Paged({ apic: { ids: [0, 256], longIds: false } });
      play(paged);
      assert.equal(paged.reached(0), 2);
    },
  ),

  prove<(vcpu: Vcpu) => void>(
    "E4",
    "a reserved bit of the self-IPI, or one above 31, is a #GP, and nothing is sent or stored",
    () => {},
    {
      "sends by the low byte": ({ apic }) =>
        playFalse(apic, (real) => ({
          writeX2apic: (offset: number, value: number) => real("writeX2apic", offset, value & 0xff),
        })),
      "takes the low half": ({ apic }) =>
        playFalse(apic, (real) => ({
          writeMsr: (msr: number, value: bigint) => real("writeMsr", msr, BigInt.asUintN(32, BigInt(value))),
        })),
    },
    (play) => {
      const vcpu = new World().vcpu();
      play(vcpu);
      assert.equal(vcpu.apic.writeMsr(SELF_IPI_MSR, 0x100 | VECTOR), false);
      assert.equal(vcpu.apic.writeMsr(TPR_MSR, 0x1_0000_0020n), false);
      assert.deepEqual([vcpu.acknowledge(), vcpu.tpr], [undefined, 0]);
      assert.equal(vcpu.apic.writeMsr(SELF_IPI_MSR, VECTOR), true);
      assert.equal(vcpu.acknowledge(), VECTOR);
    },
  ),

  prove<(paged: Paged) => void>(
    "E6",
    "an ICR that was written is not busy: bit 12 reads 0",
    () => {},
    { "keeps the bit as it was written": (paged) => paged.playRegister(V.icr, 1 << 12) },
    (play) => {
      const paged = new Paged();
      play(paged);
      const { apic } = paged.vcpus[0]!;
      apic.write(ICR, 0x4_1000 | VECTOR); // to itself
      assert.equal(apic.read(ICR), 0x4_0000 | VECTOR);
      assert.equal(paged.vcpus[0]!.acknowledge(), VECTOR);
    },
  ),

  prove<(paged: Paged) => void>(
    "E15",
    "a bit that suppresses the broadcast of EOIs is not there to be set: every EOI of a level reaches the I/O APIC",
    () => {},
    { "keeps the bit": (paged) => paged.playRegister(V.svr, 1 << 12) },
    (play) => {
      const paged = new Paged();
      play(paged);
      const { vm, vcpus } = paged;
      const { apic } = vcpus[0]!;
      apic.write(SVR, 0x11f0);
      vm.setGsiRouting([{ gsi: 5, irqchip: { chip: "ioapic", pin: 5 } }]);
      vm.ioapic.redirect(5, { vcpu: 0, vector: VECTOR, level: true });
      vm.setIrqLine(5, true);
      assert.equal(vcpus[0]!.acknowledge(), VECTOR);
      vcpus[0]!.eoi();
      assert.equal(vcpus[0]!.acknowledge(), VECTOR, "its line is up, and its EOI was heard");
      assert.equal(apic.read(SVR), 0x1f0);
    },
  ),
];
