import type { EventfdHost } from "../eventfd/kind.js";
import type { Kind } from "./kind.js";
import type { Manager } from "./manager.js";

/** A host's memory with its manager: what the ends of a bypass work on. */
export interface BypassHost extends EventfdHost {
  /** @internal */
  readonly kinds: readonly Kind[];
  /** @internal */
  readonly manager: Manager;
}
