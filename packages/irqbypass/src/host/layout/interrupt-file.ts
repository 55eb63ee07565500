/**
 * An interrupt file: the pending interrupts of one CPU, 256 ids in 64 bytes at an address of their own. It is VT-d's
 * posted-interrupt descriptor, with a header in its reserved words; a vCPU's descriptor is one. Compiled code knows this table
 * too: `include/interrupt_file.h` is made from it.
 */

/** Raised with each change of what is in this file; `npm run layout` holds it to a digest of its own. */
export const FILE_VERSION = 1;

export const enum Descriptor {
  /** 256 bits, one for each vector. A */
  pir = 0,
  /** ON, SN, KICKED, EVENT and NV; its owner sleeps on it. A */
  control = 8,
  /** Notification destination: the thread that runs the vCPU. A, written only while SN is set */
  ndst = 9,
  /** {@link FILE_HEADER}; constant. A */
  header = 10,
  /** How often its owner has suspended it: an asynchronous wait from before that ends. A */
  suspensions = 11,
  words = 16,
}
export const PIR_WORDS = 8;

/** What is in the header: "IF" in its upper half, the version, and the binary logarithm of how many ids there are. */
export const FILE_MAGIC = 0x4649;
export const FILE_HEADER = (FILE_MAGIC << 16) | (FILE_VERSION << 8) | 8;

/**
 * Bits of the control word (bits 256 to 287 of the descriptor). Its states, and who takes it from which to which:
 * `scenarios/states/descriptor-control.ts`; of KICKED and EVENT, `scenarios/states/control-kicks.ts`.
 */
export const ON = 1;
export const SN = 2;
export const KICKED = 4;
/** There is something to see in the vCPU's own word: clear this, then look there. */
export const EVENT = 8;
export const NV_SHIFT = 16;
export const NV_MASK = 0xff << NV_SHIFT;
/** Notification vectors, with the numbers that Linux gives them on x86. With the second the file is blocked: who posts wakes. */
export const NOTIFICATION_VECTOR = 0xf2;
export const WAKEUP_VECTOR = 0xf1;
