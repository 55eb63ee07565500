import type { EventfdContext, EventfdReader } from "../eventfd/context.js";

/**
 * Listens to an eventfd in the device's thread, and runs a handler for what arrives (drivers/vfio/virqfd.c).
 *
 * The kernel's runs inside the writer's wake-up. This one reads the eventfd asynchronously, so that the device's state
 * stays with the device's thread: the handler runs when that thread returns to its event loop, or in `poll`. As with
 * every reader, an irqfd on the same eventfd leaves it nothing to see. A count that is there at the start runs the
 * handler once, as in the kernel, but is read out. The listener keeps the event loop alive until it is removed.
 */
export class Virqfd {
  private readonly stop = new AbortController();
  private readonly reader: EventfdReader;

  /**
   * Starts to listen. Throws what reading throws: EBADF, EINVAL for a Linux eventfd that blocks before Linux 5.8, and ENOMEM or EMFILE where there is
   * no room for one more who waits; nothing is read then.
   */
  constructor(
    private readonly eventfd: EventfdContext,
    private readonly handler: () => void,
  ) {
    this.reader = eventfd.reader();
    try {
      this.poll();
    } catch (error) {
      this.reader.close();
      throw error;
    }
    void this.listen();
  }

  /** Is the handle that this listens to closed? Then nothing can arrive any more (EPOLLHUP). */
  get closed(): boolean {
    return this.eventfd.closed;
  }

  /** Runs the handler now if something has arrived. */
  poll(): void {
    if (!this.closed && this.eventfd.tryRead() !== undefined) this.handler();
  }

  /** Ends listening; what was written before still counts. Doing it again does nothing. */
  remove(): void {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    this.poll();
  }

  private async listen(): Promise<void> {
    const { reader } = this;
    const { signal } = this.stop;
    try {
      while (!signal.aborted) {
        try {
          await reader.next(signal);
        } catch (error) {
          if (signal.aborted || this.closed) return;
          throw error;
        }
        // Also after `remove`, which may have come between the read and this: what was taken must not get lost.
        this.handler();
      }
    } finally {
      reader.close(); // not in `remove`: until here what it waits on is in use
    }
  }
}
