import { Host, IrqBypassError } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { Unavailable } from "./suite.js";

/** A Linux eventfd on a host of its own, or {@link Unavailable} with the reason. */
export function makeLinuxEventfd(): LinuxEventfd {
  return available(() => LinuxEventfd.create(Host.create({ kinds: [linux()], capacity: { eventfd: 16 } })));
}

/** Runs what needs something of the machine; its refusal becomes {@link Unavailable}. */
export function available<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof IrqBypassError) throw new Unavailable(error.message);
    throw error;
  }
}
