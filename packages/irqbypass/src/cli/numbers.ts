/**
 * The numbers that the interrupts of a workload's VMs have: in a module of their own, since a worker needs these and no checks of files.
 */

/** Vectors that a guest may use on one vCPU: 0 to 31 belong to the processor's exceptions. */
export const FIRST_VECTOR = 32;
export const VECTORS_PER_VCPU = 256 - FIRST_VECTOR;
/** KVM_SET_GSI_ROUTING takes 4,096 entries, and the first 24 GSIs are the I/O APIC's pins. */
export const FIRST_GSI = 24;
/** The I/O APIC's pins from here on are for the lines of `intx` devices; those below have PIC pins too. */
export const FIRST_LINE = 16;
export const LINES_PER_VM = FIRST_GSI - FIRST_LINE;
