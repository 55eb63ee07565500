/** What there is to see of NMIs, INIT and start-up; and the states that a VMM sets. */
import fc from "fast-check";
import { VCPU_STATES } from "#src/vm/apic/events.js";
import type { Scene } from "./scene.js";
import type { Step } from "./step.js";

export const vcpu = ({ ids }: Scene): fc.Arbitrary<number> => fc.nat(ids.length - 1);

export function looks(scene: Scene): fc.Arbitrary<Step> {
  return vcpu(scene).map((index) => ({
    name: `events of vCPU ${index}`,
    kernel: (side) => side.events(index),
    software: (side) => side.events(index),
  }));
}

export function states(scene: Scene): fc.Arbitrary<Step> {
  return fc.tuple(vcpu(scene), fc.nat(VCPU_STATES.length - 1)).map(([index, state]) => ({
    name: `vCPU ${index} is ${VCPU_STATES[state]}`,
    kernel(side) {
      side.events(index);
      side.vcpus[index]!.setState(state);
      return "";
    },
    software(side) {
      side.vcpus[index]!.state = VCPU_STATES[state]!;
      return "";
    },
  }));
}
