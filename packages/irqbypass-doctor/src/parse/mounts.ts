/**
 * /proc/self/mountinfo and /proc/self/mounts: how procfs is mounted, because its option `hidepid` keeps processes of other
 * users out of sight (proc(5); has_pid_permissions() in fs/proc/base.c).
 */
import { FormatError } from "../source/error.js";

/** One procfs that is mounted. */
export interface ProcMount {
  /** Where, with odd bytes in octal as the kernel writes them. */
  readonly point: string;
  /** "hidepid=invisible", as it stands there; "" without one. */
  readonly hidepid: string;
  /**
   * What other users see of a process: all of it, its number alone, or nothing. "but the group" is nothing too, and
   * everything for the group `gid`.
   */
  readonly shows: "all" | "numbers" | "nothing but to the group" | "nothing";
  /** The group that sees all the same where `shows` says so; root's if no other was named. */
  readonly gid: number;
}

/** A number up to 5.7, a word from 5.8 on. A value that is not known may hide anything. */
const SHOWS: Readonly<Record<string, ProcMount["shows"]>> = {
  "": "all",
  "hidepid=0": "all",
  "hidepid=off": "all",
  "hidepid=1": "numbers",
  "hidepid=noaccess": "numbers",
  "hidepid=2": "nothing but to the group",
  "hidepid=invisible": "nothing but to the group",
};

/** The mounts of procfs, in their order. @throws FormatError for a line of neither file. */
export function parseMounts(text: string): readonly ProcMount[] {
  const mounts: ProcMount[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const info = /^\d+ \d+ \d+:\d+ \S+ (\S+) \S+(?: \S+)* - (\S+) \S* (\S+)$/.exec(line);
    const [, point, type, options] = info ?? /^\S* (\S+) (\S+) (\S+) \d+ \d+$/.exec(line) ?? [];
    if (point === undefined || options === undefined)
      throw new FormatError(`line ${index + 1} is no line of mountinfo, nor of mounts`);
    if (type !== "proc") continue;
    const words = options.split(",");
    const hidepid = words.find((word) => word.startsWith("hidepid=")) ?? "";
    const gid = Number(/^gid=(\d{1,10})$/m.exec(words.join("\n"))?.[1] ?? 0);
    mounts.push({ point, hidepid, shows: SHOWS[hidepid] ?? "nothing", gid });
  }
  return mounts;
}
