/**
 * A vCPU that goes idle on an event loop. One asynchronous wait stands on the control word of its descriptor, and goes on standing
 * when nobody is idle any more; to arm is to say in that word that whoever posts is to wake it, and to disarm is to take that back. So
 * an idle that no wake-up ended costs two changes of a word, and makes nothing.
 *
 * The rule of sleeping is that of `src/posting/descriptor.ts`. A wake-up that was meant for an earlier idle is harmless: whoever is
 * woken looks, and a wait that has ended is installed again before the next wake-up can be missed, because what ends it goes on
 * in this very thread, and looks whether the vCPU is armed by then.
 */
import { IrqBypassError } from "../host/errors.js";
import { Descriptor } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { StandingWait } from "../host/standing.js";
import { checkWaitAsync } from "../host/words.js";
import { block, unblock } from "../posting/descriptor.js";

/** The idle of one vCPU, in the thread that runs it. While it is armed, that is what the thread waits for. */
export class Idle implements StandingWait {
  readonly word: number;
  since = 0;
  private callback: (() => void) | undefined;
  /** Lets the event loop end, where it was to be kept alive. */
  private release: (() => void) | undefined;
  /** Is there a wait that has not ended? */
  private stands = false;

  /** `isPending` says whether there is something for a wait to end with, and takes nothing of it. */
  constructor(
    private readonly memory: HostMemory,
    private readonly file: number,
    private readonly isPending: () => boolean,
  ) {
    this.word = file + Descriptor.control;
  }

  get isArmed(): boolean {
    return this.callback !== undefined;
  }

  /** Throws EBUSY while it is armed: `what` would be a second wait of the vCPU. */
  checkFree(what: string): void {
    if (!this.isArmed) return;
    throw new IrqBypassError(
      "EBUSY",
      `this vCPU is armed, and ${what} would be a second wait: disarm it first`,
    );
  }

  /** Calls `callback` once as soon as something is pending; false, and it is never called, where something is already. */
  arm(callback: () => void, ref: boolean): boolean {
    checkWaitAsync();
    if (!this.block()) return false;
    this.callback = callback;
    if (ref) this.release = this.memory.platform.hold();
    return true;
  }

  /** The mirror image: from here on it is not called. Says whether it was still to be. */
  disarm(): boolean {
    if (!this.isArmed) return false;
    this.callback = undefined;
    this.release?.();
    this.release = undefined;
    this.memory.thread.standing.remove(this);
    unblock(this.memory.words, this.file);
    return true;
  }

  /** A thread that leaves has put its vCPUs, or somebody repairs after it. */
  wake(): void {}

  /** The vCPU leaves this thread: so does the wait. */
  end(): void {
    this.disarm();
    if (this.stands) this.memory.words.notify(this.word);
  }

  /** Makes ready to be woken; false where something is pending. */
  private block(): boolean {
    for (;;) {
      if (this.isPending()) return false;
      const asleep = block(this.memory.words, this.file);
      if (asleep === 0) continue; // a bit has come that nobody was woken for
      if (this.callback === undefined) this.memory.thread.standing.add(this);
      if (!this.stands) void this.stand(asleep);
      return true;
    }
  }

  private async stand(asleep: number): Promise<void> {
    this.stands = true;
    await this.memory.words.waitAsync(this.word, asleep, Infinity);
    this.stands = false;
    const { callback } = this;
    // Armed, the vCPU is this thread's: whoever puts it disarms it. So this may unblock it, as no other continuation may.
    if (callback === undefined || this.block()) return;
    this.disarm();
    callback();
  }
}
