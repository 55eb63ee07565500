/**
 * What a descriptor of a process is, by the target of its link in /proc/PID/fd.
 */
import { MASKED } from "./mask.js";

export type Descriptor =
  | { readonly kind: "vm" }
  | { readonly kind: "vcpu"; readonly number: number }
  | { readonly kind: "eventfd" }
  | { readonly kind: "eventpoll" }
  /** `name` is that of a cdev, "vfio0"; null for one that came out of a group. */
  | { readonly kind: "vfio-device"; readonly name: string | null }
  | { readonly kind: "vfio-group"; readonly group: string }
  | { readonly kind: "vhost-vdpa"; readonly name: string }
  | { readonly kind: "other" };

/** Never fails: what is not known is "other". */
export function parseDescriptor(target: string): Descriptor {
  const anon = /^anon_inode:\[?([\w-]{1,32})(?::(\d{1,6}))?\]?$/.exec(target);
  if (anon !== null) {
    if (anon[1] === "kvm-vm") return { kind: "vm" };
    if (anon[1] === "kvm-vcpu" && anon[2] !== undefined) return { kind: "vcpu", number: Number(anon[2]) };
    if (anon[1] === "eventfd") return { kind: "eventfd" };
    if (anon[1] === "eventpoll") return { kind: "eventpoll" };
    if (anon[1] === "vfio-device") return { kind: "vfio-device", name: null };
    return { kind: "other" };
  }
  const node =
    /^\/dev\/(?:vfio\/devices\/((?:noiommu-)?vfio\d{1,9})|vfio\/((?:noiommu-)?\d{1,9})|(vhost-vdpa-\d{1,9}))$/.exec(
      target,
    );
  if (node?.[1] !== undefined) return { kind: "vfio-device", name: node[1] };
  if (node?.[2] !== undefined) return { kind: "vfio-group", group: node[2] };
  if (node?.[3] !== undefined) return { kind: "vhost-vdpa", name: node[3] };
  return { kind: "other" };
}

/** The name of the guest, where a known VMM got one as an argument; null otherwise. */
export function guestName(argv: readonly string[]): string | null {
  const program = baseName(argv[0] ?? "");
  const after = (option: string): string | undefined => {
    const at = argv.indexOf(option);
    if (at > 0) return argv[at + 1];
    return argv.find((word) => word.startsWith(`${option}=`))?.slice(option.length + 1);
  };
  if (argv.includes(MASKED)) return null;
  if (/^(qemu|kvm)/.test(program)) {
    const parts = (after("-name") ?? "").split(",");
    const guest = parts.find((part) => part.startsWith("guest="))?.slice("guest=".length);
    return guest ?? (parts[0]?.includes("=") === false && parts[0] !== "" ? parts[0] : null);
  }
  if (program.startsWith("firecracker")) return after("--id") ?? null;
  if (program === "lkvm" || program === "vm") return after("--name") ?? after("-n") ?? null;
  return null;
}

/** Last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
