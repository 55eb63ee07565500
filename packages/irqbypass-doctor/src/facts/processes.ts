/**
 * The processes that hold a virtual machine or an assigned device, and what they hold.
 */

import { type EventfdInfo, parseEventfd, parseEventpoll, parseVfioDevice } from "../parse/fdinfo.js";
import { parseLibvirtLog, parseVmm, type VmmSettings } from "../parse/vmm.js";
import { baseName, type Descriptor, guestName, parseDescriptor } from "../source/descriptor.js";
import { known, type Reading, readAs, type Source } from "../source/source.js";
import { type Unlisted, unlistedOf } from "./listing.js";

export interface HeldEventfd {
  readonly fd: number;
  readonly info: Reading<EventfdInfo>;
  /** It is in an epoll set of the same process. */
  readonly polled: boolean;
}

/** A hold on something of VFIO or vDPA. */
export interface HeldDevice {
  readonly fd: number;
  readonly descriptor: Extract<Descriptor, { kind: "vfio-device" | "vfio-group" | "vhost-vdpa" }>;
  /** What fdinfo names, from about 6.18 on. */
  readonly address: string | undefined;
}

export interface VmProcess {
  readonly pid: number;
  readonly program: string;
  readonly name: string | null;
  /** Descriptors of VMs; 0 for a process that holds a device and no VM. */
  readonly vmFds: number;
  readonly vcpus: number;
  readonly eventfds: readonly HeldEventfd[];
  readonly held: readonly HeldDevice[];
  /** Ids of its threads. */
  readonly threads: readonly number[];
  /** What its command line says of interrupts. */
  readonly settings: VmmSettings;
  /** Where that was read: "/proc/4242/cmdline", or libvirt's log of the guest. */
  readonly commandLine: string;
}

export interface Processes {
  readonly found: readonly VmProcess[];
  /** Processes whose descriptors we may not see. */
  readonly hidden: number;
  /** Why there may be more than /proc lists; undefined where nothing says so. */
  readonly unlisted: Unlisted | undefined;
  /** /proc itself; not "read" means that nothing can be said of processes. */
  readonly proc: Reading<number>;
}

/** Looks at every process once. Blocks for about a second on a host with a million descriptors. */
export function readProcesses(source: Source): Processes {
  const proc = source.list("proc");
  if (proc.state !== "read") return { found: [], hidden: 0, unlisted: undefined, proc };
  const pids = proc.value.filter((name) => /^\d{1,10}$/.test(name)).map(Number);
  const found: VmProcess[] = [];
  let hidden = 0;
  for (const pid of pids.sort((a, b) => a - b)) {
    const began = startOf(source, pid);
    const fds = readDescriptors(source, pid);
    if (fds === "hidden" && !isKernelThread(source, pid)) hidden += 1;
    if (fds === "hidden" || fds === undefined) continue;
    const process = readProcess(source, pid, fds);
    // One that got the number meanwhile is not the one that was looked into.
    if (process !== undefined && startOf(source, pid) === began) found.push(process);
  }
  return {
    found,
    hidden,
    unlisted: unlistedOf(source),
    proc: { state: "read", path: "proc", value: pids.length },
  };
}

/** When a process began, in ticks since boot; undefined where that does not show, as in captures, which do not change. */
function startOf(source: Source, pid: number): string | undefined {
  const stat = known(source.read(`proc/${pid}/stat`)) ?? "";
  // Its name stands in brackets and may hold anything; what follows the last bracket are numbers, the 22nd field among them.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

/** Why a process may hold something and not be seen to, as a clause; undefined where all could be looked into. */
export function unseenProcesses({ hidden, unlisted, proc }: Processes): string | undefined {
  if (proc.state !== "read") return "the processes could not be listed";
  const closed = hidden === 0 ? [] : [`${hidden} process${hidden === 1 ? "" : "es"} may not be looked into`];
  const all = unlisted === undefined ? closed : [...closed, unlisted.says];
  return all.length === 0 ? undefined : all.join("; ");
}

/** Threads of the kernel have no command line, hold nothing, and are as closed as other users' processes. */
function isKernelThread(source: Source, pid: number): boolean {
  return known(source.read(`proc/${pid}/cmdline`)) === "";
}

/** What a process has open; undefined if it has gone. With one right of two they may be listed, and not seen. */
function readDescriptors(
  source: Source,
  pid: number,
): ReadonlyMap<number, Descriptor> | "hidden" | undefined {
  const names = source.list(`proc/${pid}/fd`);
  if (names.state !== "read") return names.state === "unreadable" ? "hidden" : undefined;
  const fds = new Map<number, Descriptor>();
  // In the order of their numbers, whatever that of the listing: a report depends on the host alone.
  for (const name of [...names.value].sort((a, b) => Number(a) - Number(b))) {
    if (!/^\d{1,9}$/.test(name)) continue;
    const target = source.link(`proc/${pid}/fd/${name}`);
    if (target.state === "unreadable") return "hidden";
    if (target.state === "read") fds.set(Number(name), parseDescriptor(target.value));
  }
  return fds;
}

function readProcess(
  source: Source,
  pid: number,
  fds: ReadonlyMap<number, Descriptor>,
): VmProcess | undefined {
  const ofKind = (kind: Descriptor["kind"]) =>
    [...fds]
      .filter(([, descriptor]) => descriptor.kind === kind)
      .map(([fd]) => fd)
      .sort((a, b) => a - b);
  const vmFds = ofKind("vm").length;
  const held = readHeld(source, pid, fds);
  if (vmFds === 0 && held.length === 0) return undefined;

  const polled = new Set<number>();
  for (const fd of ofKind("eventpoll")) {
    const watched = known(readAs(source, `proc/${pid}/fdinfo/${fd}`, parseEventpoll));
    for (const one of watched ?? []) polled.add(one);
  }
  const vcpus = new Set<number>();
  for (const descriptor of fds.values()) if (descriptor.kind === "vcpu") vcpus.add(descriptor.number);
  const { argv, path } = readCommandLine(source, pid);
  const comm = (known(source.read(`proc/${pid}/comm`)) ?? "").trim();
  return {
    pid,
    program: baseName(argv[0] ?? "") || comm || "?",
    name: guestName(argv),
    vmFds,
    vcpus: vcpus.size,
    eventfds: ofKind("eventfd").map((fd) => ({
      fd,
      info: readEventfd(source, pid, fd),
      polled: polled.has(fd),
    })),
    held,
    threads: (known(source.list(`proc/${pid}/task`)) ?? []).map(Number),
    settings: parseVmm(argv),
    commandLine: `/${path}`,
  };
}

/** A process's command line; where only its program is to be had, libvirt's log of the guest may have the rest. */
function readCommandLine(
  source: Source,
  pid: number,
): { readonly argv: readonly string[]; readonly path: string } {
  const path = `proc/${pid}/cmdline`;
  const argv = (known(source.read(path)) ?? "").split("\0").filter((word) => word.trim() !== "");
  if (argv.length > 1) return { argv, path };
  for (const file of known(source.list("run/libvirt/qemu")) ?? []) {
    if (!file.endsWith(".pid")) continue;
    if (Number(known(source.read(`run/libvirt/qemu/${file}`))?.trim()) !== pid) continue;
    const log = `var/log/libvirt/qemu/${file.slice(0, -".pid".length)}.log`;
    const logged = parseLibvirtLog(known(source.read(log)) ?? "");
    if (logged !== undefined) return { argv: logged, path: log };
  }
  return { argv, path };
}

/** What fdinfo shows of one eventfd. */
export function readEventfd(source: Source, pid: number, fd: number): Reading<EventfdInfo> {
  return readAs(source, `proc/${pid}/fdinfo/${fd}`, parseEventfd);
}

function readHeld(source: Source, pid: number, fds: ReadonlyMap<number, Descriptor>): HeldDevice[] {
  const held: HeldDevice[] = [];
  for (const [fd, descriptor] of fds) {
    if (descriptor.kind === "vfio-device") {
      const address = known(readAs(source, `proc/${pid}/fdinfo/${fd}`, parseVfioDevice));
      held.push({ fd, descriptor, address });
    } else if (descriptor.kind === "vfio-group" || descriptor.kind === "vhost-vdpa") {
      held.push({ fd, descriptor, address: undefined });
    }
  }
  return held;
}
