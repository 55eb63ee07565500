import type { EventfdContext, EventfdReader } from "../eventfd/context.js";
import { BusyError } from "../host/mutex.js";
import { whenFree } from "../host/when-free.js";

/** Runs `look` while the listener is the one that is to hear; returns false, with nothing done, where it is not any more. */
export type Turn = (look: () => void) => boolean;

const always: Turn = (look) => {
  look();
  return true;
};

/**
 * Listens to an eventfd in the device's thread, and runs a handler for what arrives (drivers/vfio/virqfd.c).
 *
 * The kernel's runs inside the writer's wake-up. This one reads the eventfd asynchronously, so that the device's state
 * stays with the device's thread: the handler runs when that thread returns to its event loop, or in `poll`. As with
 * every reader, an irqfd on the same eventfd leaves it nothing to see. A count that is there at the start runs the
 * handler once, as in the kernel, but is read out. The listener keeps the event loop alive until it is removed, or
 * finds out that another thread has: it takes a count out and runs the handler in one turn, and nothing where it has none.
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
    private readonly turn = always,
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
    this.look();
  }

  /** Ends listening; what was written before still counts. Doing it again does nothing. */
  remove(): void {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    this.poll();
  }

  /** Has something arrived? Then the handler has run. Undefined where nothing has yet, false where nothing can any more. */
  private look(): boolean | undefined {
    let found: true | undefined;
    const isTheOne =
      !this.closed &&
      this.turn(() => {
        if (this.eventfd.tryRead() === undefined) return;
        found = true;
        this.handler();
      });
    return isTheOne ? found : false;
  }

  private async listen(): Promise<void> {
    try {
      while (await this.next());
    } catch (error) {
      if (!this.stop.signal.aborted && !this.closed) throw error;
    } finally {
      this.reader.close(); // not in `remove`: until here what it waits on is in use
    }
  }

  /** Resolves once something has arrived, or false where nothing can any more. */
  private async next(): Promise<boolean | undefined> {
    const { signal } = this.stop;
    const look = () => this.look();
    try {
      return await this.reader.next(signal, look);
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      // This thread may not wait for its turn. What has arrived stays in the eventfd until it has one.
      return (await whenFree(this.eventfd.memory, look, { signal })) !== false;
    }
  }
}
