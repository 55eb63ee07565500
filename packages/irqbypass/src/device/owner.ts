import { IrqBypassError } from "../host/errors.js";
import type { DeviceLife } from "./device-life.js";

/**
 * A signal by a thread that does not have the device. Throws EBUSY where another one has it, and EBADF in a thread that has left the
 * host; of a device that has ended nobody is told.
 */
export function notYours(life: DeviceLife, subject: string): void {
  life.host.checkAttached();
  if (!life.isLive()) return;
  throw new IrqBypassError(
    "EBUSY",
    `${subject} is another thread's to signal: call adopt() of the device in this one first`,
    { subject },
  );
}
