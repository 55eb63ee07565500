/** The eventfds of vectors that are connected: made before a change takes the table's mutex, by code that is the caller's. */
import { checkEventfd, EventfdContext } from "../../eventfd/context.js";
import { checkClass, show } from "../../host/argument.js";
import { IrqBypassError } from "../../host/errors.js";
import type { PoolName } from "../../host/layout.js";
import type { HostMemory } from "../../host/memory.js";
import type { MsixTable } from "./table.js";

/** What a vector takes that is connected. */
const ROOM: readonly PoolName[] = ["eventfd", "reference", "producer", "consumer", "route"];

/** Eventfds that a call has made before it took the table's mutex. */
export interface Brought<E> {
  /** For vectors that are connected from here on. */
  readonly free: E[];
  /** Those that are triggers already, by vector. */
  readonly triggers: Map<number, E>;
}

/**
 * Makes a change under the table's mutex, with as many eventfds as it finds `lacking` there. What is left of them is closed. Throws what
 * `create` does; ENOMEM where so many vectors would find no room half-way; and for what `create` gives that cannot be one vector's alone.
 */
export function bring<E extends EventfdContext>(
  table: MsixTable,
  create: () => E,
  lacking: () => number,
  act: (brought: Brought<E>) => void,
): void {
  const { host } = table;
  const brought: Brought<E> = { free: [], triggers: new Map() };
  try {
    for (;;) {
      const more = table.guard(() => {
        const wanted = lacking() - brought.free.length;
        if (wanted <= 0) {
          checkBrought(host, brought.free);
          act(brought);
        } else checkRoom(host, wanted);
        return wanted;
      });
      if (more <= 0) return;
      for (let made = 0; made < more; made++) {
        const eventfd = create();
        checkClass(eventfd, EventfdContext, () => `createEventfd gave ${show(eventfd)}, which is no eventfd`);
        brought.free.push(eventfd);
      }
    }
  } finally {
    for (const eventfd of brought.triggers.values()) eventfd.handOver();
    for (const eventfd of brought.free) if (!eventfd.closed) eventfd.close();
  }
}

function checkRoom({ mutex, pools }: HostMemory, vectors: number): void {
  mutex.guard(() => {
    for (const name of ROOM) pools[name].checkRoom(vectors);
  });
}

/**
 * Throws for eventfds of which not each can be one vector's alone, whatever `createEventfd` has given, or closed since: EBADF, EXDEV, EBUSY.
 */
function checkBrought(host: HostMemory, eventfds: readonly EventfdContext[]): void {
  const found = new Set<number>();
  for (const eventfd of eventfds) {
    const { record, closed, id } = eventfd;
    const refusal = (code: "EBADF" | "EBUSY", why: string) =>
      new IrqBypassError(code, `createEventfd gave eventfd ${id} ${why}: make a new one in each call`, {
        subject: `eventfd ${id}`,
      });
    if (closed) throw refusal("EBADF", "closed, or as another vector's that has it");
    checkEventfd(host, eventfd, "createEventfd makes");
    if (found.has(record)) throw refusal("EBUSY", "for two vectors");
    found.add(record);
  }
}
