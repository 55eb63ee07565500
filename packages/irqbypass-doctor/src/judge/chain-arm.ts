/**
 * The chain on arm64: a GICv4 that injects virtual LPIs itself, and KVM asked to use it.
 */

import type { Host } from "../facts/host.js";
import { readSwitch } from "../rules/booleans.js";
import { known } from "../source/source.js";
import { forbiddingWord, wordsWithoutEffect } from "./command-line.js";
import { kernelLink } from "./kernel.js";
import { type Chain, contradictedLink, link, NO_SYSFS, releaseOf, seen, whyNot } from "./link.js";
import type { ChainLink } from "./report.js";

/** Examines the links of an arm64 host. */
export function armChain(host: Host): Chain {
  const examined = [kernelLink(host, "arm64", undefined), virtualisation(host), commandLine(host), gic(host)];
  const contradictions = wordsWithoutEffect(host, false, false);
  const links = examined.map((one) => contradictedLink(one, contradictions));
  const broken = links.find((one) => one.state === "broken");
  const able = broken !== undefined ? "no" : links.every((one) => one.state === "holds") ? "yes" : "unknown";
  return { links, able, broken, contradictions, ruled: true };
}

function virtualisation(host: Host): ChainLink {
  const evidence = { source: "/sys/class/misc/kvm/dev", says: host.kvmNode ? "is there" : "is not there" };
  if (!host.kvmNode && !host.sysfs) return link("CPU virtualisation", "unknown", NO_SYSFS, evidence);
  return host.kvmNode
    ? link("CPU virtualisation", "holds", "KVM is there", evidence)
    : link(
        "CPU virtualisation",
        "broken",
        "KVM is not there: no EL2, or the kernel was built without it",
        evidence,
      );
}

const WORD = "kvm-arm.vgic_v4_enable";

/** early_gicv4_enable(): off until a word that kstrtobool() understands switches it, and the last of these counts. */
function commandLine(host: Host): ChainLink {
  const name = "kernel command line";
  const line = known(host.cmdline);
  if (line === undefined) return link(name, "unknown", `/${host.cmdline.path} ${whyNot(host.cmdline)}`);
  const forbidding = forbiddingWord(host, undefined);
  if (forbidding !== undefined)
    return link(name, "broken", `${forbidding.word} ${forbidding.does}`, seen(host.cmdline, forbidding.word));
  const words = line.filter((word) => word.name === WORD.replaceAll("-", "_"));
  let on: boolean | undefined = false;
  for (const { value } of words) {
    const read = value === null ? null : readSwitch(value, releaseOf(host));
    if (read !== null) on = read;
  }
  const shown = words.map(({ text }) => text).join(" ") || `no ${WORD}`;
  const evidence = seen(host.cmdline, shown);
  if (on === undefined)
    return link(name, "unknown", `whether this kernel reads ${shown} as on or off is not known`, evidence);
  if (on) return link(name, "holds", shown, evidence);
  const says =
    words.length === 0
      ? `${WORD}=1 is missing, and without it KVM leaves GICv4 alone`
      : `${shown} leaves it off: KVM uses GICv4 only with ${WORD}=1`;
  return link(name, "broken", says, evidence);
}

/**
 * vgic_v4_init() requests a doorbell for each vCPU of a VM with an ITS (and of every VM on GICv4.1). So the chip of a
 * doorbell shows that GICv4 is in use, and a VM that runs without one cannot have an interrupt forwarded. "GICv3" alone
 * says nothing: hosts with GICv4 show it too.
 */
function gic(host: Host): ChainLink {
  const interrupts = known(host.interrupts);
  if (interrupts === undefined)
    return link("GICv4", "unknown", `/${host.interrupts.path} ${whyNot(host.interrupts)}`);
  const chips = new Set([...interrupts.lines.values()].map(({ chip }) => chip));
  const vpe = [...chips].filter((chip) => /^GICv4(\.1)?-vpe$/.test(chip));
  if (vpe.length > 0)
    return link("GICv4", "holds", `in use: ${vpe.join(", ")}`, seen(host.interrupts, vpe.join(", ")));
  const newer = [...chips].find((chip) => /^GICv(?![1-4]\b)\d/.test(chip));
  if (newer !== undefined)
    return link(
      "GICv4",
      "unknown",
      "the interrupt controller is newer than GICv4, and how it forwards interrupts is not known to the doctor",
      seen(host.interrupts, newer),
    );
  const evidence = seen(host.interrupts, "no line of a chip GICv4-vpe or GICv4.1-vpe");
  if (host.processes.found.some(({ vmFds, vcpus }) => vmFds > 0 && vcpus > 0))
    return link(
      "GICv4",
      "broken",
      "a VM runs and has no doorbell: the interrupt controller is no GICv4, or the VM has no ITS",
      evidence,
    );
  return link("GICv4", "unknown", "no VM runs that would show a doorbell of its virtual CPUs", evidence);
}
