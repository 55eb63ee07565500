import { IrqBypassError } from "../host/errors.js";
import type { DeviceLife } from "./device-life.js";
import { isOurs } from "./device-record.js";
import { Raised, raise } from "./gate.js";

/**
 * The device raises the interrupt of a gate, in the thread that has it. Throws EBUSY where another one has it, and EBADF in a thread that
 * has left the host; of a device that has ended nobody is told.
 */
export function signalGate(life: DeviceLife, gate: number, subject: string): void {
  if (life.tenure !== undefined && !life.host.thread.left && raise(life, gate) === Raised.done) return;
  signalFirst(life, gate, subject);
}

/** The same where it is not known whose the device is: through a handle that has not signalled yet, or since another thread has begun to adopt it. */
function signalFirst(life: DeviceLife, gate: number, subject: string): void {
  life.host.checkAttached();
  for (let ours = true; ours && life.isLive(); ) {
    // Whoever adopts it is through by then, or has died, and nothing has come of it.
    life.act(() => {
      ours = isOurs(life);
    });
    if (ours && raise(life, gate) === Raised.done) return;
  }
  if (!life.isLive()) return;
  throw new IrqBypassError(
    "EBUSY",
    `${subject} is another thread's to signal: call adopt() of the device in this one first`,
    { subject },
  );
}
