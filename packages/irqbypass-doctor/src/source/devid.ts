/**
 * AMD's interrupt tables: debugfs shows that of one device, the one whose address was last written to `devid`.
 * Writing changes only what the next read shows, yet two inspectors would disturb each other: done on request only.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { attempt } from "./live.js";
import type { Reading, Source } from "./source.js";

const TABLE = "sys/kernel/debug/iommu/amd/irqtbl";
const SELECT = "sys/kernel/debug/iommu/amd/devid";

/**
 * A source that has a file `irqtbl@ADDRESS` for each device: reading it writes the address to `devid` below `root`
 * and reads `irqtbl`. "unreadable" with EBUSY if another inspector selected another device in between.
 */
export function selectingDevid(inner: Source, root: string): Source {
  return {
    name: inner.name,
    list: (path) => inner.list(path),
    link: (path) => inner.link(path),
    read: (path): Reading<string> => {
      if (!path.startsWith(`${TABLE}@`)) return inner.read(path);
      const address = path.slice(TABLE.length + 1);
      const written = attempt(path, () => writeFileSync(join(root, SELECT), address));
      if (written.state !== "read") return written;
      const table = inner.read(TABLE);
      if (table.state !== "read") return { ...table, path };
      const ours = table.value.startsWith(`DeviceId ${address}`);
      return ours ? { ...table, path } : { state: "unreadable", path, code: "EBUSY" };
    },
  };
}
