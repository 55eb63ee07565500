import { Unavailable } from "./suite.js";

/**
 * The ring buffer that is compared against. A development dependency: beside an installed irqbypass it may be absent,
 * and then this throws {@link Unavailable}.
 */
export async function loadRingBuffer(): Promise<typeof import("ringbuf.js").RingBuffer> {
  try {
    return (await import("ringbuf.js")).RingBuffer;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND")
      throw new Unavailable("the package ringbuf.js is not installed");
    throw error;
  }
}
