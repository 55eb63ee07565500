/**
 * /proc/self/status: what the doctor itself may see of other users' processes.
 */
import { FormatError } from "../source/error.js";

export interface Credentials {
  /** CAP_SYS_PTRACE is among its effective capabilities. */
  readonly ptrace: boolean;
  /** Its groups, with the one that files are opened as. */
  readonly groups: readonly number[];
}

const CAP_SYS_PTRACE = 19n;

/** @throws FormatError where there is no line of capabilities. */
export function parseCredentials(text: string): Credentials {
  const effective = /^CapEff:\s*([0-9a-f]{16})$/m.exec(text)?.[1];
  if (effective === undefined) throw new FormatError("has no line CapEff");
  // Of the four the last is the one that counts in a file system.
  const own = /^Gid:(?:\s+\d+){3}\s+(\d+)$/m.exec(text)?.[1] ?? "";
  const others = /^Groups:(.*)$/m.exec(text)?.[1] ?? "";
  const groups = `${own} ${others}`.split(/\s+/).filter((word) => /^\d{1,10}$/.test(word));
  return { ptrace: ((BigInt(`0x${effective}`) >> CAP_SYS_PTRACE) & 1n) === 1n, groups: groups.map(Number) };
}
