import type { Handle, HostHandle, Msi } from "irqbypass";

/** What a thread beside needs to change routes of a guest. */
export interface RoutesData {
  readonly host: HostHandle;
  readonly vm: Handle<"kvm-vm">;
  readonly gsis: readonly number[];
}

/** Where a route leads, by a number: each another vector than the one before. */
export const msi = (number: number): Msi => ({ vcpu: 0, vector: 32 + (number % 200) });
