import { checkFlag, isList, type OptionNames, reading, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { MAX_APIC_ID, MAX_VCPUS, VmFlag } from "../host/layout.js";
import type { VmPlan } from "./vm-record.js";

/** Options of a new VM. */
export interface VmOptions {
  /** How many vCPUs: 1 (the default) to 255. */
  readonly vcpus?: number;
  /**
   * false: the vCPUs are bare descriptors, for emulators with an interrupt controller of their own. Else each has a local APIC, of
   * which this says more.
   */
  readonly apic?: boolean | ApicOptions;
  /**
   * true: a pair of 8259s as PCs have them, on GSIs 0 to 15 beside the I/O APIC, and open at LINT0 of the boot processor, as a guest finds them
   * when it starts: {@link Vm.pic}. Not with `apic: false`: what they ask for reaches a vCPU through its local APIC.
   */
  readonly pic?: boolean;
}

/** How the local APICs of a VM are told apart, and how one of several is chosen. */
export interface ApicOptions {
  /** Their x2APIC ids, one for each vCPU: 0 to 4095, each once. Default: that of a vCPU is its index. */
  readonly ids?: readonly number[];
  /**
   * Messages have destinations of 32 bits (KVM_X2APIC_API_USE_32BIT_IDS), the default; with false of 8 bits, and nobody looks at the
   * upper half of an address.
   */
  readonly longIds?: boolean;
  /** To an APIC in x2APIC mode the destination 0xff is all of them, the default; with false it is not (KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK). */
  readonly broadcastQuirk?: boolean;
  /** Of lowest priority the vector says who gets it, the default; with false they take turns (the parameter `vector_hashing` of kvm). */
  readonly vectorHashing?: boolean;
}

const VM: OptionNames<VmOptions> = { vcpus: true, apic: true, pic: true };
const APIC: OptionNames<ApicOptions> = {
  ids: true,
  longIds: true,
  broadcastQuirk: true,
  vectorHashing: true,
};
const IDS_TEXT = "ids such as [0, 1, 256]";

/** What the options of a new VM come to. Throws EINVAL. */
export function readVmOptions(options: VmOptions): VmPlan {
  const {
    vcpus = 1,
    apic = true,
    pic = false,
  } = readOptions(options, VM, "options such as { vcpus: 2 }, or none");
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAX_VCPUS) {
    throw new IrqBypassError("EINVAL", `a VM has 1 to ${MAX_VCPUS} vCPUs, not ${show(vcpus)}`);
  }
  checkFlag(pic, "pic");
  if (pic && apic === false) {
    throw new IrqBypassError(
      "EINVAL",
      "pic: what 8259s ask for reaches a vCPU by LINT0 of its local APIC, and apic is false: leave one of the two out",
    );
  }
  const chips = pic ? VmFlag.pic : 0;
  const byIndex = Array.from({ length: vcpus }, (_, index) => index);
  if (typeof apic !== "object" || apic === null) {
    checkFlag(apic, "apic");
    return { flags: apic ? chips : VmFlag.bare, ids: byIndex };
  }
  const text = "apic: options such as { longIds: false }, or true or false";
  const { ids, ...flags } = readOptions(apic, APIC, text, "apic.");
  for (const [name, value] of Object.entries(flags)) checkFlag(value, `apic.${name}`);
  const { longIds = true, broadcastQuirk = true, vectorHashing = true } = flags;
  return {
    flags:
      chips |
      (longIds ? 0 : VmFlag.shortIds) |
      (broadcastQuirk ? 0 : VmFlag.noBroadcastQuirk) |
      (vectorHashing ? 0 : VmFlag.noVectorHashing),
    ids: ids === undefined ? byIndex : readIds(ids, vcpus),
  };
}

function readIds(given: unknown, vcpus: number): readonly number[] {
  if (!isList(given)) throw new IrqBypassError("EINVAL", `apic.ids is ${show(given)}: give ${IDS_TEXT}`);
  const ids = reading(IDS_TEXT, () => Array.from(given));
  if (ids.length !== vcpus) {
    throw new IrqBypassError(
      "EINVAL",
      `apic.ids has ${ids.length} ids, and the VM ${vcpus} vCPUs: give one for each`,
    );
  }
  return ids.map((id, index) => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= MAX_APIC_ID) {
      throw new IrqBypassError("EINVAL", `apic.ids has ${show(id)}: an id is 0 to ${MAX_APIC_ID - 1}`);
    }
    if (ids.indexOf(id) !== index)
      throw new IrqBypassError("EINVAL", `apic.ids has ${id} twice: give each vCPU one of its own`);
    return id;
  });
}
