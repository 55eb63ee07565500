import { guestTables, signalMsi } from "irqbypass/kvm";
import { encodeMsi } from "#src/kvm/structs.js";
import { loadFfi } from "#src/linux/koffi.js";
import { vectorsOf } from "./board.js";
import type { RealGuest as Described } from "./work.js";

/** Below every vector of the lines, so that the guest takes it after all of theirs. */
const LAST_VECTOR = 0x21;
const NAP_MS = 0.05;
/** What a work item of the kernel takes, by far: an irqfd's count at assign goes that way. */
const WORK_MS = 1;

/** A running KVM guest, seen from the ledger. */
export class RealGuest {
  private readonly count: Uint32Array;
  private readonly nap = new Int32Array(new SharedArrayBuffer(4));
  private readonly message = encodeMsi({ addressLow: 0xfee00000, addressHigh: 0, data: LAST_VECTOR });
  private readonly ffi = loadFfi();

  constructor(private readonly guest: Described) {
    this.count = guestTables(guest.memory, 0).count;
  }

  /** Interrupts of a line that it has taken. */
  taken(line: number): number {
    return vectorsOf(line).reduce((sum, vector) => sum + Atomics.load(this.count, vector), 0);
  }

  /** Blocks until the guest has taken all that is requested: one more of lower priority comes last. */
  rest(patienceMs: number): boolean {
    const before = Atomics.load(this.count, LAST_VECTOR);
    const deadline = performance.now() + patienceMs;
    Atomics.wait(this.nap, 0, 0, WORK_MS);
    signalMsi(this.ffi, this.guest.fd, this.message);
    while (Atomics.load(this.count, LAST_VECTOR) === before) {
      if (performance.now() > deadline) return false;
      Atomics.wait(this.nap, 0, 0, NAP_MS);
    }
    return true;
  }
}
