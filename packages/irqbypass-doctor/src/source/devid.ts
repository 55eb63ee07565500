/**
 * AMD's interrupt tables: debugfs shows that of one device, the one whose address was last written to `devid`.
 * Writing changes only what the next read shows, yet two inspectors would disturb each other: done on request only,
 * told, and what was selected before is selected again at the end.
 */
import { closeSync, constants, lstatSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DoctorError } from "./error.js";
import type { LiveSource } from "./live.js";
import { rightFor } from "./rights.js";
import { attempt, known, type Reading, type Source } from "./source.js";

const AMD = "sys/kernel/debug/iommu/amd";
const TABLE = `${AMD}/irqtbl`;
const SELECT = `${AMD}/devid`;
const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Devices selected one after the other. */
export interface Selecting {
  /**
   * Has a file `irqtbl@ADDRESS` for each device: reading it writes the address to `devid` and reads `irqtbl`.
   * "unreadable" with EBUSY if another inspector selected another device in between.
   */
  readonly source: Source;
  /** Selects again what was selected before, and says what was written where; null if nothing was. Idempotent. */
  restore(): string | null;
}

/**
 * Makes ready to select; writes nothing yet.
 * @throws DoctorError ENOENT where there is no `devid`; EACCES, EPERM and the like where it may not be written.
 */
export function selectDevids(inner: LiveSource): Selecting {
  const devid = findDevid(inner);
  const before = (known(inner.read(SELECT)) ?? "").trim();
  const written: string[] = [];
  const select = (path: string, address: string): Reading<void> =>
    attempt(path, () => {
      write(devid, address);
      written.push(address);
    });
  const source: Source = {
    name: inner.name,
    list: (path) => inner.list(path),
    link: (path) => inner.link(path),
    read: (path): Reading<string> => {
      if (!path.startsWith(`${TABLE}@`)) return inner.read(path);
      const address = path.slice(TABLE.length + 1);
      if (!ADDRESS.test(address)) return { state: "absent", path };
      const selected = select(path, address);
      if (selected.state !== "read") return selected;
      const table = inner.read(TABLE);
      if (table.state !== "read") return { ...table, path };
      const shown = /^DeviceId (\S+)/.exec(table.value)?.[1];
      return shown === undefined || shown === address
        ? { ...table, path }
        : { state: "unreadable", path, code: "EBUSY" };
    },
  };
  return {
    source,
    restore() {
      if (written.length === 0) return null;
      const what = `wrote ${written.splice(0).join(", ")} to /${SELECT}`;
      if (!ADDRESS.test(before))
        return `${what}; nothing was selected before, so the last one stays selected`;
      const back = select(SELECT, before);
      written.length = 0;
      return back.state === "read"
        ? `${what}, and then ${before} again, which was selected before`
        : `${what}; ${before}, which was selected before, could not be written again`;
    },
  };
}

function findDevid(inner: LiveSource): string {
  const dir = attempt(SELECT, () => inner.tree.writable(AMD));
  const file = dir.state === "read" ? join(dir.value, "devid") : "";
  const opened = dir.state === "read" ? attempt(SELECT, () => closeSync(openToWrite(file, 0))) : dir;
  if (opened.state === "read") return file;
  if (opened.state === "absent") {
    throw new DoctorError(
      "ENOENT",
      `--write-devid finds no /${SELECT}: the file is AMD's, needs a kernel of about 6.17 or later with ` +
        "CONFIG_AMD_IOMMU_DEBUGFS=y and debugfs mounted; leave the option out on other hosts",
    );
  }
  const code = opened.state === "unreadable" ? opened.code : "EINVAL";
  const named = code === "EACCES" || code === "EPERM" ? code : "EIO";
  const why =
    code === "EPERM"
      ? "the kernel forbids it to root too, as lockdown does (/sys/kernel/security/lockdown): leave --write-devid out"
      : `--write-devid needs ${rightFor("devid")}`;
  throw new DoctorError(named, `/${SELECT} may not be written (${code}): ${why}`);
}

/** Opens a file that is there; none is made, no link followed. */
function openToWrite(path: string, flags: number): number {
  if (!lstatSync(path).isFile()) throw Object.assign(new Error(path), { code: "EINVAL" });
  // Nobody else can change what is here: see Tree.writable.
  return openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | flags);
}

function write(path: string, text: string): void {
  const fd = openToWrite(path, constants.O_TRUNC);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
