/**
 * /proc/PID/fdinfo/N of the descriptors that a VMM holds.
 */
import { FormatError } from "../source/error.js";

export interface EventfdInfo {
  readonly count: bigint;
  /** Unique among the eventfds that exist; null on kernels before about 5.2. */
  readonly id: number | null;
  readonly semaphore: boolean | null;
}

/** @throws FormatError without a count. */
export function parseEventfd(text: string): EventfdInfo {
  const fields = parseFields(text);
  const count = fields.get("eventfd-count") ?? "";
  if (!/^[0-9a-f]{1,16}$/i.test(count)) throw new FormatError("has no eventfd-count");
  const id = fields.get("eventfd-id");
  if (id !== undefined && !/^-?\d{1,10}$/.test(id)) throw new FormatError("eventfd-id is not a number");
  const semaphore = fields.get("eventfd-semaphore");
  return {
    count: BigInt(`0x${count}`),
    id: id === undefined ? null : Number(id),
    semaphore: semaphore === undefined ? null : semaphore === "1",
  };
}

/** Descriptors that an epoll instance watches; a watched descriptor is read in user space. */
export function parseEventpoll(text: string): readonly number[] {
  const watched: number[] = [];
  for (const line of text.split("\n")) {
    const match = /^tfd:\s{1,16}(\d{1,9})\s/.exec(line);
    if (match !== null) watched.push(Number(match[1]));
  }
  return watched;
}

/**
 * The PCI address, or name on another bus, of the device behind a VFIO descriptor; undefined on kernels before about 6.18,
 * and for what is no path of a device.
 */
export function parseVfioDevice(text: string): string | undefined {
  const path = parseFields(text).get("vfio-device-syspath") ?? "";
  return /^\/sys\/devices(?:\/[\w.:,@+-]{1,64}){1,32}$/.exec(path) === null
    ? undefined
    : path.slice(path.lastIndexOf("/") + 1);
}

function parseFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}
