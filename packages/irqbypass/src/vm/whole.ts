import type { BypassHost } from "../bypass/bypass-host.js";
import type { MemoryOptions } from "../host/memory.js";
import { DeathWatch } from "./death-watch.js";
import { HostRepair } from "./host-repair.js";

/**
 * From here on the calling thread can repair its host after a dead thread and, where the options do not forbid it, does so by itself.
 * `ofAll` as for {@link DeathWatch}, which is returned where the platform's locks prove deaths.
 */
export function beginRepair(
  host: BypassHost,
  { repairs = true }: MemoryOptions,
  ofAll: boolean,
): DeathWatch | undefined {
  const repair = new HostRepair(host);
  host.repair = repair;
  if (!repairs) return undefined;
  host.thread.repair = (gone) => repair.thread(gone);
  const { locks } = host.platform;
  return locks && new DeathWatch(host, locks, ofAll);
}
