/**
 * What the storm must know of the host before it starts: other VMs, the limit of descriptors, and whether KVM
 * registers irqfds with irqbypass at all. Read-only, through a {@link Source}.
 */
import { unlistedOf } from "../facts/listing.js";
import { parseKernelRelease } from "../parse/kernel-release.js";
import { since } from "../rules/row.js";
import { known, readAs, type Source } from "../source/source.js";
import type { ConsumerRegistration } from "./judge.js";

/** Processes that hold a VM. */
export interface OtherVms {
  /** Process ids that hold a kvm-vm descriptor, ascending, without `self`. */
  readonly pids: readonly number[];
  /** Processes whose descriptors could not be looked at, so that they may hold one; ascending, without 1. */
  readonly hidden: readonly number[];
  /** Why there may be processes that /proc does not list, as a clause; undefined where nothing says so. */
  readonly unlisted: string | undefined;
}

/**
 * Looks for kvm-vm descriptors under /proc. Where KVM is a module whose use count is 0, no process can hold one, and
 * nothing counts as hidden. Nor does process 1 count as hidden: init runs no VM, and some systems hide it even from root.
 */
export function otherVms(source: Source, self: number): OtherVms {
  const pids: number[] = [];
  const hidden: number[] = [];
  for (const name of known(source.list("proc")) ?? []) {
    if (!/^\d+$/.test(name) || Number(name) === self) continue;
    const fds = source.list(`proc/${name}/fd`);
    if (fds.state === "absent") continue;
    const links = (known(fds) ?? []).map((fd) => source.link(`proc/${name}/fd/${fd}`));
    if (links.some((link) => known(link) === "anon_inode:kvm-vm")) pids.push(Number(name));
    else if ([fds, ...links].some(({ state }) => state === "unreadable")) hidden.push(Number(name));
  }
  const unused = ["kvm_intel", "kvm_amd"].some(
    (module) => known(source.read(`sys/module/${module}/refcnt`))?.trim() === "0",
  );
  const ascending = (a: number, b: number) => a - b;
  return {
    pids: pids.sort(ascending),
    hidden: unused ? [] : hidden.filter((pid) => pid !== 1).sort(ascending),
    unlisted: unused ? undefined : unlistedOf(source)?.says,
  };
}

/** The soft limit of open files in /proc/self/limits; null where the text has none that can be read. */
export function openFilesLimit(text: string): number | null {
  const match = /^Max open files\s+(\d+|unlimited)\s/m.exec(text);
  if (match === null) return null;
  return match[1] === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(match[1]);
}

/** Descriptors that this process may still open; null if /proc does not tell. */
export function freeDescriptors(source: Source): number | null {
  const limit = openFilesLimit(known(source.read("proc/self/limits")) ?? "");
  const open = known(source.list("proc/self/fd"));
  return limit === null || open === undefined ? null : Math.max(0, limit - open.length);
}

/**
 * Whether KVM registers an irqfd as an irqbypass consumer (kvm_arch_has_irq_bypass). From 6.16 on x86 that is the
 * parameter enable_device_posted_irqs as lowered at load; before, it followed APICv and the IOMMU, or was always so.
 */
export function consumerRegistration(source: Source): ConsumerRegistration {
  const modules = ["kvm_intel", "kvm_amd"].filter(
    (module) => source.list(`sys/module/${module}`).state === "read",
  );
  for (const module of modules) {
    const path = `sys/module/${module}/parameters/enable_device_posted_irqs`;
    const value = known(source.read(path))?.trim();
    if (value === "Y") return { state: "yes", because: `/${path} is Y` };
    if (value === "N") return { state: "no", because: `/${path} is N` };
  }
  const iommus = known(source.list("sys/class/iommu"));
  if (iommus !== undefined && !iommus.some((name) => /^(dmar|ivhd)/.test(name)) && from616(source)) {
    return {
      state: "no",
      because: "there is no IOMMU in /sys/class/iommu, and from Linux 6.16 on KVM asks for one that can post",
    };
  }
  if (modules.length === 0) {
    return {
      state: "unknown",
      because: "neither kvm_intel nor kvm_amd is loaded, so no parameter tells",
    };
  }
  return {
    state: "unknown",
    because: `${modules.join(" and ")} has no readable parameter enable_device_posted_irqs (Linux 6.16 and later)`,
  };
}

function from616(source: Source): boolean {
  const release = known(readAs(source, "proc/sys/kernel/osrelease", parseKernelRelease));
  return release !== undefined && since(release, "6.16") === "yes";
}
