import { Device, DeviceFlag } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Pool } from "../host/pool.js";

/** The live records of a pool. Under the host mutex. */
export function* liveRecords(pool: Pool): Generator<number> {
  for (let slot = 0; slot < pool.used; slot++) if (pool.lives(pool.at(slot))) yield pool.at(slot);
}

/** The records of a pool that live now. They may be given back as soon as this has returned. */
export function liveNow(host: HostMemory, pool: Pool): number[] {
  const found: number[] = [];
  host.forEachLive(pool, (record) => found.push(record));
  return found;
}

/** The live records of a pool that a thread has, by the word that names it. Nobody but that thread, or its repair, gives them back. */
export function ownedBy(host: HostMemory, pool: Pool, owner: number, thread: number): number[] {
  const found: number[] = [];
  host.forEachLive(pool, (record) => {
    if (host.words.get(record + owner) === thread) found.push(record);
  });
  return found;
}

/** Is this the first record of a device that is there? Under the host mutex. */
export function isDevice({ words, pools }: HostMemory, record: number): boolean {
  return (
    pools.device.lives(record) &&
    words.get(record + Device.head) === record &&
    (words.get(record + Device.flags) & DeviceFlag.table) === 0 &&
    words.load(record + Device.owner) !== 0
  );
}
