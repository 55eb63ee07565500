/**
 * How the host is booted and its modules loaded: where a change of either is made to last.
 */
import { parseModprobe } from "../parse/modprobe.js";
import { parseOsRelease } from "../parse/os-release.js";
import { known, type Source } from "../source/source.js";

/** An option of a module, and the file that gives it. */
export interface GivenOption {
  readonly file: string;
  readonly module: string;
  readonly parameter: string;
  readonly value: string;
}

export interface Boot {
  /** The distribution and what it is like; empty where that is not known. */
  readonly distribution: readonly string[];
  /** Proxmox' own tool keeps the boot partitions. */
  readonly proxmoxBoot: boolean;
  /** There is an /etc/kernel/cmdline, which kernel-install and Proxmox put on the kernels they install. */
  readonly kernelCmdline: boolean;
  readonly options: readonly GivenOption[];
}

const DIR = "etc/modprobe.d";

/** Reads a few small files under /etc; what cannot be read is as if it were not there. */
export function readBoot(source: Source): Boot {
  const kernel = known(source.list("etc/kernel")) ?? [];
  const files = (known(source.list(DIR)) ?? []).filter((name) => /^[\w.-]{1,128}\.conf$/.test(name)).sort();
  return {
    distribution: parseOsRelease(known(source.read("etc/os-release")) ?? ""),
    proxmoxBoot: kernel.includes("proxmox-boot-uuids"),
    kernelCmdline: kernel.includes("cmdline"),
    options: files.flatMap((name) =>
      parseModprobe(known(source.read(`${DIR}/${name}`)) ?? "")
        .filter(({ module }) => /^kvm/.test(module))
        .map((option) => ({ file: `/${DIR}/${name}`, ...option })),
    ),
  };
}
