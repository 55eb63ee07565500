/**
 * Level-triggered irqfds of a VM whose interrupt controller is the emulator's: its line is a word here, and the emulator says when the
 * guest has ended the interrupt, as user space does for KVM's split irqchip.
 */
import { addReference, dropReference } from "../eventfd/reference.js";
import { signalRecord } from "../eventfd/signal.js";
import { Consumer, Line, OWN_LINE, Reference, Role } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";

/** Is this irqfd such a line? */
export function isOwnLine(words: Words, irqfd: number): boolean {
  return (words.get(irqfd + Consumer.flags) & OWN_LINE) !== 0;
}

/** A signal has come. Before the interrupt is delivered: whoever takes that looks at the line. */
export function raiseLine(words: Words, irqfd: number): void {
  words.store(irqfd + Consumer.line, Line.high);
}

/**
 * The guest has ended the interrupt: the line is let go of, then the resample eventfd is signalled. In this order: a device that signals
 * again because it was asked raises the line that this has let go of. Does nothing where the irqfd is not there any more, as
 * `isThere` says under the host mutex.
 */
export function acknowledgeLine(memory: HostMemory, irqfd: number, isThere: () => boolean): void {
  const { words, mutex, thread } = memory;
  const mark = askedBy(thread.lockId);
  const asked = mutex.guard(() => {
    if (!isThere()) return 0;
    const reference = addReference(memory, words.get(irqfd + Consumer.resample), Role.hold);
    words.store(irqfd + Consumer.line, mark); // by this whoever repairs after a death asks
    return reference;
  });
  if (asked === 0) return;
  signalRecord(memory, words.get(asked + Reference.eventfd)); // not under a mutex: a Linux eventfd takes a system call
  dropReference(memory, asked);
  // Its own mark alone: another thread's is for a signal that may have come since; and that of a next irqfd in this record is not it.
  words.compareExchange(irqfd + Consumer.line, mark, Line.low);
}

/** The line while the thread with this lock id is to ask its device. */
function askedBy(lockId: number): number {
  return (lockId << Line.askerShift) | Line.asking;
}

/** The thread of a record has died, which may have been asking the device of this irqfd: it is asked. */
export function askForIt(memory: HostMemory, irqfd: number, gone: number): void {
  const { words, pools, thread } = memory;
  const mark = askedBy(thread.lockIdOf(gone));
  acknowledgeLine(
    memory,
    irqfd,
    () => pools.consumer.lives(irqfd) && words.load(irqfd + Consumer.line) === mark,
  );
}
