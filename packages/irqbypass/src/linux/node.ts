/**
 * What Linux objects need of Node.js. It is asked of the process and not imported, as in the core: so `irqbypass/linux` and
 * `irqbypass/kvm` load in a page too, where they can say why they are of no use.
 */
import { IrqBypassError } from "../host/errors.js";
import { nodePlatform } from "../host/platform-node.js";

export const files = () => process.getBuiltinModule("node:fs");
export const threads = () => process.getBuiltinModule("node:worker_threads");
export const modules = () => process.getBuiltinModule("node:module");
export const errorNames = () => process.getBuiltinModule("node:util");

/** Throws ENOSYS where there is no Node.js: `what` says what needs it. */
export function checkNode(what: string): void {
  if (nodePlatform() === undefined)
    throw new IrqBypassError(
      "ENOSYS",
      `${what} Node.js on Linux, and this is another place, such as a page: shared eventfds and software VMs work here`,
    );
}
