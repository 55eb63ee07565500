/**
 * The chain on arm64: a GICv4 that injects virtual LPIs itself, and KVM asked to use it.
 */

import type { Host } from "../facts/host.js";
import { settings } from "../parse/cmdline.js";
import { known } from "../source/source.js";
import { type Chain, link, seen, whyNot } from "./link.js";
import type { ChainLink } from "./report.js";

/** Examines the links of an arm64 host. */
export function armChain(host: Host): Chain {
  const links = [virtualisation(host), commandLine(host), gic(host)];
  const broken = links.find((one) => one.state === "broken");
  const able = broken !== undefined ? "no" : links.every((one) => one.state === "holds") ? "yes" : "unknown";
  return { links, able, broken, contradictions: [] };
}

function virtualisation(host: Host): ChainLink {
  const evidence = { source: "/sys/class/misc/kvm/dev", says: host.kvmNode ? "is there" : "is not there" };
  return host.kvmNode
    ? link("CPU virtualisation", "holds", "KVM is there", evidence)
    : link(
        "CPU virtualisation",
        "broken",
        "KVM is not there: no EL2, or the kernel was built without it",
        evidence,
      );
}

function commandLine(host: Host): ChainLink {
  const name = "kernel command line";
  const line = known(host.cmdline);
  if (line === undefined) return link(name, "unknown", `/${host.cmdline.path} ${whyNot(host.cmdline)}`);
  const asked = settings(line, "kvm-arm.vgic_v4_enable").some((value) => /^(1|y|Y|on)$/.test(value));
  return asked
    ? link(name, "holds", "kvm-arm.vgic_v4_enable=1", seen(host.cmdline, "kvm-arm.vgic_v4_enable=1"))
    : link(
        name,
        "broken",
        "kvm-arm.vgic_v4_enable=1 is missing, and without it KVM leaves GICv4 alone",
        seen(host.cmdline, "no kvm-arm.vgic_v4_enable=1"),
      );
}

function gic(host: Host): ChainLink {
  const interrupts = known(host.interrupts);
  if (interrupts === undefined)
    return link("GICv4", "unknown", `/${host.interrupts.path} ${whyNot(host.interrupts)}`);
  const chips = new Set(
    [...interrupts.lines.values()].map(({ chip }) => chip).filter((chip) => chip.startsWith("GIC")),
  );
  const vpe = [...chips].filter((chip) => chip.startsWith("GICv4"));
  if (vpe.length > 0)
    return link("GICv4", "holds", `in use: ${vpe.join(", ")}`, seen(host.interrupts, vpe.join(", ")));
  const shown = [...chips].sort().join(", ") || "no GIC";
  return link(
    "GICv4",
    "unknown",
    `no interrupt of a virtual CPU shows; chips: ${shown}`,
    seen(host.interrupts, shown),
  );
}
