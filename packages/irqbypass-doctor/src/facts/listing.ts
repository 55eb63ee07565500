/**
 * Whether /proc lists every process of the host. Where it does not, that none is seen to hold a VM or a device says
 * nothing.
 */
import { parseCredentials } from "../parse/credentials.js";
import { type ProcMount, parseMounts } from "../parse/mounts.js";
import { known, type Reading, readAs, type Source } from "../source/source.js";

/** Why processes may be there that do not show. */
export interface Unlisted {
  readonly by: "hidepid" | "PID namespace";
  /** Path of the file that tells, with a leading slash. */
  readonly source: string;
  /** A clause. */
  readonly says: string;
}

/** The numbers of the namespaces that a kernel begins with: PROC_PID_INIT_INO and PROC_USER_INIT_INO. */
const FIRST_PIDS = "pid:[4026531836]";
const FIRST_USERS = "user:[4026531837]";

/** undefined where all are listed, or where nothing tells that they are not. */
export function unlistedOf(source: Source): Unlisted | undefined {
  return hiddenByMount(source) ?? hiddenByNamespace(source);
}

function hiddenByMount(source: Source): Unlisted | undefined {
  const mounts = mountsOf(source);
  if (mounts.state === "absent") return undefined;
  const path = `/${mounts.path}`;
  if (mounts.state !== "read")
    return {
      by: "hidepid",
      source: path,
      says: "whether /proc hides processes of others (hidepid) is not known",
    };
  const self = known(readAs(source, "proc/self/status", parseCredentials));
  const users = known(source.link("proc/self/ns/user")) ?? FIRST_USERS;
  const mayLookInto = self?.ptrace === true && users === FIRST_USERS;
  const hiding = mounts.value.find(({ point, shows, gid }) => {
    if (!/(^|\/)proc$/.test(point) || shows === "all" || shows === "numbers") return false;
    return !mayLookInto && !(shows === "nothing but to the group" && self?.groups.includes(gid) === true);
  });
  if (hiding === undefined) return undefined;
  return {
    by: "hidepid",
    source: path,
    says: `${hiding.point} is mounted with ${hiding.hidepid}, which hides processes of other users`,
  };
}

/** Those of the reader itself. */
function mountsOf(source: Source): Reading<readonly ProcMount[]> {
  for (const path of ["proc/self/mountinfo", "proc/self/mounts"]) {
    const reading = readAs(source, path, parseMounts);
    if (reading.state !== "absent") return reading;
  }
  return readAs(source, "proc/mounts", parseMounts);
}

/** The threads of the kernel are in the first namespace alone, and its second process is the one that makes them. */
function hiddenByNamespace(source: Source): Unlisted | undefined {
  const path = "proc/self/ns/pid";
  const own = known(source.link(path));
  if (own === undefined || own === FIRST_PIDS) return undefined;
  if (known(source.read("proc/2/comm"))?.trim() === "kthreadd") return undefined;
  return {
    by: "PID namespace",
    source: `/${path}`,
    says: "/proc lists the processes of a container's PID namespace, and none outside of it",
  };
}
