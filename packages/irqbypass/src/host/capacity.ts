/**
 * What a host has room for: three sizes by use, single capacities beside them, and what is said where there is no room.
 * `docs/capacity.md` has all of it as one table, which a test holds to this file.
 */
import { readOptions, show } from "./argument.js";
import { IrqBypassError } from "./errors.js";
import { DEFAULT_ROUTES, POOLS, type PoolName } from "./layout.js";

/**
 * How many records of each kind a host has room for.
 *
 * Beside what the names say: `thread` counts the creator and the relays too; a `reference` is a thread's handle to an eventfd,
 * or its wait, or to an epoll; a `watch` is one eventfd in one epoll; a `routing` is the GSI routing table of a VM, and while it is replaced the VM has two; an `injection` is the
 * bypass of one irqfd of a KVM guest; a `node` is one of the indexes by which producers, irqfds and Linux eventfds are found.
 */
export type Capacity = Readonly<Record<PoolName, number>>;

/**
 * A host by its use: "small" for a first program, "medium" for a VMM with some VMs and devices, "large" for thousands of VMs.
 */
export type Size = "small" | "medium" | "large";

/** What can be given, in the order of the table in `docs/capacity.md`. */
export const CAPACITIES: readonly PoolName[] = POOLS.map(({ name }) => name);
/** What is left out follows from the others. */
type Room = Omit<Capacity, "reference" | "watch" | "node">;

const ROOM: Readonly<Record<Size, Room>> = {
  small: {
    thread: 32,
    eventfd: 512,
    producer: 512,
    consumer: 512,
    vm: 16,
    vcpu: 64,
    route: 2048,
    routing: 24,
    injection: 512,
    ioeventfd: 512,
    epoll: 16,
    device: 256,
  },
  medium: {
    thread: 64,
    eventfd: 8192,
    producer: 8192,
    consumer: 8192,
    vm: 64,
    vcpu: 512,
    route: 16384,
    routing: 96,
    injection: 8192,
    ioeventfd: 8192,
    epoll: 64,
    device: 2048,
  },
  large: {
    thread: 128,
    eventfd: 65536,
    producer: 65536,
    consumer: 65536,
    vm: 2048,
    vcpu: 8192,
    route: 65536,
    routing: 2304,
    injection: 65536,
    ioeventfd: 65536,
    epoll: 1024,
    device: 16384,
  },
};
export const SIZES = Object.keys(ROOM) as readonly Size[];

/** A handle has room for so many records: generation * 2^21 + record number, a safe integer. */
export const CAPACITY_LIMIT = 2 ** 21 - 1;

/** What each of a host's pools has room for, the host's own records not counted. */
export function capacityOf(size: Size): Capacity {
  return complete(ROOM[size]);
}

/** Two references and one watch for each eventfd; and the nodes that indexes of such sizes need, with slack for numbers that are not dense. */
function complete(room: Room): Capacity {
  const { eventfd, producer, consumer } = room;
  return {
    ...room,
    reference: Math.min(2 * eventfd, CAPACITY_LIMIT),
    watch: eventfd,
    node: Math.ceil((producer + consumer) / 32) + Math.ceil(eventfd / 32) + 64,
  };
}

/** The size and the single capacities that were asked for, as one capacity. Throws EINVAL for what no host can have. */
export function checkCapacity(given: Partial<Capacity> = {}, size: Size = "small"): Capacity {
  if (!SIZES.includes(size)) {
    throw new IrqBypassError("EINVAL", `size is ${show(size)}: use "small", "medium" or "large"`);
  }
  const preset = capacityOf(size);
  const wanted = readOptions(given, preset, "a capacity such as { eventfd: 100 }, or none", "capacity.");
  for (const [name, value] of Object.entries(wanted)) {
    const most = mostOf(name as PoolName);
    if (!Number.isSafeInteger(value) || value < 1 || value > most) {
      throw new IrqBypassError(
        "EINVAL",
        `capacity.${name} is ${show(value)}: give a whole number from 1 to ${most}`,
      );
    }
  }
  // More eventfds, producers or irqfds take more of what follows from them; fewer take nothing away.
  const { reference, watch, node } = complete({ ...preset, ...wanted });
  return {
    ...preset,
    reference: Math.max(preset.reference, reference),
    watch: Math.max(preset.watch, watch),
    node: Math.max(preset.node, node),
    ...wanted,
  };
}

/** What can be asked of a pool at most. */
const mostOf = (pool: PoolName) => CAPACITY_LIMIT - ownRecords(pool);

/** The records of a pool that the host itself has from the start: its default routing table. */
export function ownRecords(pool: PoolName): number {
  if (pool === "route") return DEFAULT_ROUTES;
  return pool === "routing" ? 1 : 0;
}

/**
 * ENOMEM: of the `capacity` records of a pool, the host's own not counted, `free` are left, and `needed` more are wanted. Names the
 * smallest size that has so many.
 */
export function noRoom(pool: PoolName, capacity: number, needed = 1, free = 0): IrqBypassError {
  const wanted = capacity + needed;
  const size = SIZES.find((one) => capacityOf(one)[pool] >= wanted);
  const remedy =
    size !== undefined
      ? `create the host with size "${size}", which has ${capacityOf(size)[pool]}, or with a larger capacity.${pool}`
      : wanted <= mostOf(pool)
        ? `create the host with capacity.${pool} of ${wanted} or more`
        : "a host can have no more: use a second one";
  const more = needed === 1 ? "one more is needed" : `${needed} more are needed`;
  const what = needed === 1 && free === 0 ? "all are in use" : more;
  return new IrqBypassError("ENOMEM", `capacity.${pool} is ${capacity}, and ${what}: ${remedy}`, {
    subject: pool,
  });
}
