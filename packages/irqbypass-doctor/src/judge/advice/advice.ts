/**
 * What to do: one or two sentences about the link that is the root of the trouble, with the exact parameter or
 * command, and about what the vectors show beside it.
 */

import type { Host } from "../../facts/host.js";
import { known } from "../../source/source.js";
import type { TraceFacts } from "../../source/trace-facts.js";
import { vendorModule, vendorOf } from "../chain-x86.js";
import { forbiddingWord } from "../command-line.js";
import type { Chain } from "../link.js";
import type { Advice, ChainLink, DeviceReport, VmReport } from "../report.js";
import { vmmLink } from "../vmm.js";
import { aboutParameter } from "./avic.js";
import { aboutInhibits } from "./inhibits.js";
import { addWords, removeWords } from "./persist.js";
import { aboutVmm } from "./vmm.js";

/** The advice, most important first; empty where nothing is wrong. */
export function advise(
  host: Host,
  chain: Chain,
  vms: readonly VmReport[],
  unclaimed: readonly DeviceReport[],
  trace: TraceFacts | undefined,
): Advice[] {
  const advice: Advice[] = [];
  if (chain.broken !== undefined) advice.push(aboutLink(host, chain.broken, trace));
  for (const process of host.processes.found) {
    const link = vmmLink(process);
    if (link.state === "broken" && chain.ruled && process.held.length > 0)
      advice.push(aboutVmm(process, link));
  }
  const devices = [...vms.flatMap((vm) => vm.devices), ...unclaimed];
  const vectors = devices.flatMap((device) => device.vectors.map((vector) => ({ device, vector })));
  const pins = vectors.filter(({ vector }) => vector.label === "intx");
  if (pins.length > 0) {
    const who = pins.map(({ device }) => device.address).join(", ");
    const says = `${who} uses INTx, which no hardware can post. Let the guest's driver use MSI-X or MSI.`;
    advice.push({
      about: "INTx",
      says,
      commands: ["lspci -vv -s <device>     # in the guest: look for MSI-X: Enable+"],
    });
  }
  const slow = vectors.filter(
    ({ vector }) => vector.verdict === "delivered by the host just now" && vector.label !== "intx",
  );
  const idle = vectors.filter(({ vector }) => vector.verdict === "able, not seen");
  if (slow.length > 0 && chain.able === "yes" && chain.broken === undefined)
    advice.push(...aboutDelivered(vms, trace));
  if (idle.length > 0) advice.push(ABOUT_IDLE);
  const bare = devices.filter(({ vectors, holder }) => vectors.length === 0 && holder !== "other");
  if (bare.length > 0 && chain.able !== "no") {
    const who = bare.map(({ address }) => address).join(", ");
    const says = `${who} has no interrupt yet. Start the guest and let its driver enable the device, then run the doctor again.`;
    advice.push({ about: "device", says, commands: [] });
  }
  return advice;
}

/** Able and not seen: what the user can do to see it. */
const ABOUT_IDLE: Advice = {
  about: "traffic",
  says: "A line that stays flat is either posted or idle. Let the device work during the window, and compare the guest's own count of the interrupt before and after; if that grew, say so.",
  commands: [
    "grep . /proc/interrupts     # in the guest, twice",
    "sudo irqbypass-doctor --interval 10 --guest-received",
  ],
};

/** The chain holds, yet the host delivered: what is left is the VM. */
function aboutDelivered(vms: readonly VmReport[], trace: TraceFacts | undefined): Advice[] {
  const polled = vms.find((vm) => vm.notes.some((note) => note.includes("polled in user space")));
  if (polled !== undefined) {
    return [
      {
        about: "irqfd",
        says: `The host can post, and VM ${polled.name ?? polled.pid} reads as many eventfds in user space as it had interrupts delivered. An interrupt is posted only if its eventfd is an irqfd: let the VMM hand it to KVM.`,
        commands: [],
      },
    ];
  }
  if (trace !== undefined) {
    return [
      {
        about: "delivery",
        says: "The chain holds, yet the host delivered. KVM posts an interrupt only if it has one vCPU as its destination: see whether the guest aims it at several, and whether an update was traced.",
        commands: ["cat /proc/irq/<N>/smp_affinity_list     # in the guest: one CPU"],
      },
    ];
  }
  return [
    {
      about: "delivery",
      says: "The chain holds, yet the host delivered. Trace while the VM starts, or while the guest moves the interrupt to another vCPU: it shows an inhibit, or an update that ended in remapped.",
      commands: ["sudo irqbypass-doctor --trace 30"],
    },
  ];
}

function aboutLink(host: Host, link: ChainLink, trace: TraceFacts | undefined): Advice {
  const module = vendorModule(host);
  switch (link.name) {
    case "CPU virtualisation":
      return aboutVirtualisation(host, link);
    case "architecture":
      return { about: link.name, says: link.says, commands: [] };
    case "kernel":
      return {
        about: link.name,
        says: "Use a newer kernel: this one has no way around the host for the interrupts of assigned devices.",
        commands: [],
      };
    case "IOMMU":
      return {
        about: link.name,
        says: "Switch the IOMMU on in the firmware (VT-d, AMD-Vi) and in the kernel.",
        // AMD's driver needs no word, and Intel's does unless the kernel was built otherwise.
        commands: vendorOf(host) === "amd" ? ["firmware: IOMMU, SVM"] : addWords(host, "intel_iommu=on"),
      };
    case "interrupt remapping":
      return {
        about: link.name,
        says: "The IOMMU is there and does not remap interrupts. See why the kernel left it off; firmware that opts out of x2APIC, or a quirk, are the usual causes.",
        commands: ["dmesg | grep -e DMAR-IR -e AMD-Vi"],
      };
    case "posting capability":
      return {
        about: link.name,
        says: "One unit that cannot post keeps Linux from posting through any. No setting helps: the hardware, or what the hypervisor below gives this host, has to change.",
        commands: [],
      };
    case "GICv4":
      return {
        about: link.name,
        says: "Forwarding needs a GICv4 and an ITS in the VM. If the hardware has it, see that the VMM gives the VM an ITS.",
        commands: ["dmesg | grep GICv4"],
      };
    case "kernel command line":
      return aboutCommandLine(host, link);
    case "module parameters":
      return module === undefined
        ? { about: link.name, says: link.says, commands: [] }
        : aboutParameter(host, link, module);
    case "VMM":
      return { about: link.name, says: link.says, commands: [] };
    case "APICv/AVIC":
      return {
        about: link.name,
        says: "The CPU, or the hypervisor below this host, does not offer it. No setting of this host helps.",
        commands: [],
      };
    case "inhibit reasons":
      return aboutInhibits(host, link, trace);
    case "KVM's own conclusion":
      return {
        about: link.name,
        says: "KVM can be told not to post, or found itself unable for a reason that no file shows. See whether it was asked off, and load it anew while no VM runs.",
        commands: ["grep -r enable_device_posted_irqs /etc/modprobe.d /proc/cmdline"],
      };
  }
}

function aboutVirtualisation(host: Host, link: ChainLink): Advice {
  const cpu = known(host.cpu);
  const wanted = cpu?.vendor === "amd" ? "kvm_amd" : "kvm_intel";
  if (cpu !== undefined && (cpu.flags.has("vmx") || cpu.flags.has("svm"))) {
    return { about: link.name, says: "Load KVM's module for this CPU.", commands: [`modprobe ${wanted}`] };
  }
  return {
    about: link.name,
    says: "Interrupts are posted by VMX or SVM hardware. Use a host that shows one of them: bare metal with virtualisation on in the firmware, or a nested guest whose host passes it on. Until then an irqfd still saves the way through user space.",
    commands: ["grep -cwE 'vmx|svm' /proc/cpuinfo"],
  };
}

function aboutCommandLine(host: Host, link: ChainLink): Advice {
  const forbidding = forbiddingWord(host, vendorModule(host));
  if (forbidding === undefined) {
    return {
      about: link.name,
      says: "KVM leaves GICv4 alone unless it is asked. Boot with the word, on hardware that has GICv4.",
      commands: addWords(host, "kvm-arm.vgic_v4_enable=1"),
    };
  }
  return {
    about: link.name,
    says: `Take ${forbidding.word} off the kernel command line and boot again: it ${forbidding.does}.`,
    commands: removeWords(host, forbidding.word),
  };
}
