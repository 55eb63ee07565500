/**
 * Delivery of an interrupt message to the local APICs of a software VM, from any thread.
 */
import type { HostMemory } from "../host/memory.js";
import type { Reason } from "../posting/reason.js";
import { acceptMessage } from "./apic/accept.js";
import { Delivery, type Message } from "./apic/message.js";
import { type Targets, targetsOf } from "./apic/targets.js";

/**
 * Delivers to every vCPU that a message of a device or a pin reaches. Returns what KVM_SIGNAL_MSI does: how many took it, 0 where those
 * that it reaches do not or the map has nobody, -1 where nobody was found by asking each. Under the VM's mutex.
 */
export function deliver(memory: HostMemory, vm: number, message: Message, took?: Took): number {
  return deliverTo(memory, targetsOf(memory, vm, message, 0), message, took);
}

/** Hears of each vCPU that takes a message. */
type Took = (vcpu: number, delivery: Delivery) => void;

/** The same to those that it was found to reach. */
export function deliverTo(
  memory: HostMemory,
  { vcpus, missed, delivery }: Targets,
  message: Message,
  took?: Took,
): number {
  let taken = 0;
  for (const vcpu of vcpus) {
    if (acceptMessage(memory, vcpu, message, delivery) === 0) continue;
    taken++;
    took?.(vcpu, delivery);
  }
  return vcpus.length === 0 ? missed : taken;
}

/** Why nobody took a message, by what {@link deliver} returned; undefined where one did. */
export function whyDropped({ delivery }: Message, taken: number): Reason | undefined {
  if (taken > 0) return undefined;
  return delivery === Delivery.smi || delivery === Delivery.extInt ? "delivery-mode" : "no-vcpu";
}
