/**
 * What each format is, once more and apart from the parsers, and how the doctor says that a text is not of it. Each row
 * names the parsers that it holds to that.
 */
import type { Report } from "#src/index.js";
import {
  DESCRIPTOR,
  EVENT_FORMAT,
  isCount,
  isRegister,
  kernelWords,
  LINK,
  lines,
  matching,
  OTHER_FACTS,
  only,
  rightAmdTable,
  rightCpuInfo,
  rightEventfd,
  rightIntelTables,
  rightInterrupts,
  rightMounts,
  rightTraceFacts,
  TRACE,
  toldUnseen,
  vmmWords,
  withoutOtherNames,
} from "./right-texts.js";
import { compiled, type Weakening, withoutRefusals } from "./weakened.js";

/** What has to come of a text that is nearly right. */
export type Outcome =
  /** Shown raw where, and only where, it is not `right`; `as` where that is said otherwise than under "strange". */
  | {
      readonly is: "shown";
      readonly right: (text: string) => boolean;
      readonly as?: (report: Report) => boolean;
    }
  /** The capture is refused where, and only where, it is not. */
  | { readonly is: "refused"; readonly right: (text: string) => boolean }
  /** Nothing comes of it that does not come of what `keep` leaves of it; `say`: what is looked at beside the claims. */
  | {
      readonly is: "parts";
      readonly keep: (text: string) => string;
      readonly say?: (report: Report) => string[];
    }
  /** No file of a host: `parse` of the module throws where, and only where, one of `samples` is not `right` any more. */
  | {
      readonly is: "thrown";
      readonly module: string;
      readonly parse: string;
      readonly samples: readonly string[];
      readonly right: (text: string) => boolean;
    };

export interface Format {
  readonly name: string;
  /** "irq.parsePerCpu": of src/parse, or of src/source or src/trace with that before it. */
  readonly parsers: readonly string[];
  /** Where it is, below the directory of a sample. */
  readonly file: RegExp;
  readonly outcome: Outcome;
  /** The character without which nothing of it is left, where changes here and there do it little harm. */
  readonly joint?: string;
  /** Where changes are made; anywhere if not given. */
  readonly where?: RegExp;
  /** Changes that chance makes too seldom; they are tried first. */
  readonly also?: readonly ((text: string) => string)[];
  /** The parser without its rule, or without each of its refusals. Each has to be noticed. */
  readonly weakened: () => readonly Weakening[];
}

/** What a report advises. */
const advice = (report: Report) => [JSON.stringify(report.advice)];

/** `from` becomes `to` in a module. */
const change = (module: string, from: string, to: string) => () => [{ module, from, to }];
const refusalsOf =
  (...modules: readonly string[]) =>
  () =>
    modules.flatMap(withoutRefusals);
/** The refusals inside of one function of a module. */
const refusalsIn = (module: string, name: string) => () => {
  const text = compiled(module);
  const start = text.indexOf(`export function ${name}(`);
  const end = text.indexOf("\n}\n", start);
  return withoutRefusals(module).filter(({ from }) => text.slice(start, end).includes(from));
};

export const FORMATS: readonly Format[] = [
  {
    name: "per_cpu_count",
    parsers: ["parse/irq.parsePerCpu"],
    file: /^sys\/kernel\/irq\/\d+\/per_cpu_count$/,
    outcome: { is: "shown", right: (text) => text.trim().split(",").every(isCount) },
    weakened: refusalsOf("parse/irq"),
  },
  {
    name: "switches of modules",
    parsers: ["parse/modules.parseSwitch"],
    file: /^sys\/module\/kvm_(intel|amd)\/parameters\/\w+$/,
    outcome: { is: "shown", right: matching(/^\s*[YN01]\s*$/) },
    weakened: refusalsOf("parse/modules"),
  },
  {
    name: "cap and ecap",
    parsers: ["parse/iommu-intel.parseRegister"],
    file: /intel-iommu\/e?cap$/,
    outcome: { is: "shown", right: isRegister },
    weakened: refusalsIn("parse/iommu-intel", "parseRegister"),
  },
  {
    name: "AMD's features",
    parsers: ["parse/iommu-amd.parseFeatures"],
    file: /amd-iommu\/features$/,
    outcome: {
      is: "shown",
      right: (text) => text.trim().split(":").length <= 2 && text.trim().split(":").every(isRegister),
    },
    also: [(text) => `${text.trim()}:1:1`],
    weakened: refusalsIn("parse/iommu-amd", "parseFeatures"),
  },
  {
    name: "ir_translation_struct",
    parsers: ["parse/iommu-intel.parseIntelTables"],
    file: /ir_translation_struct$/,
    outcome: { is: "shown", right: rightIntelTables },
    where: /^ \d.*$/gm,
    also: [
      (text) => text.replace(/^Remapped.*\n/, ""),
      (text) => text.replace(/^( \d+ +\S+ )(\S+ )/m, "$1$2$2"),
      (text) => text.replace(/[13579bdf]$/m, "0"),
      (text) => text.replace(/(?<=\t[0-9a-f]{12})0/, "8"),
    ],
    // Its rows are refused in one place, for reasons of their own.
    weakened: () =>
      [...new Set(compiled("parse/iommu-intel").match(/^ +refuse\(.*\);$/gm) ?? [])].map((from) => ({
        module: "parse/iommu-intel",
        from,
        to: ";",
      })),
  },
  {
    name: "irqtbl",
    parsers: ["parse/iommu-amd.parseAmdTable"],
    file: /iommu\/amd\/irqtbl(@|$)/,
    outcome: { is: "shown", right: rightAmdTable },
    weakened: refusalsIn("parse/iommu-amd", "parseAmdTable"),
  },
  {
    name: "debugfs' interrupts",
    parsers: ["parse/irq-debug.parseIrqDebug"],
    file: /^sys\/kernel\/debug\/irq\/irqs\/\d+$/,
    joint: ":",
    outcome: {
      is: "shown",
      right: (text) =>
        lines(text).some((line) =>
          /^(dstate:\s{1,8}0[xX][0-9a-fA-F]{1,16}|chip:\s{1,8}\S{1,64})$/.test(line.trim()),
        ),
    },
    weakened: refusalsOf("parse/irq-debug"),
  },
  {
    name: "eventfds",
    parsers: ["parse/fdinfo.parseEventfd"],
    file: /^proc\/\d+\/fdinfo\/\d+$/,
    outcome: { is: "shown", right: rightEventfd },
    where: /^eventfd-\w+:.*$/gm,
    weakened: refusalsIn("parse/fdinfo", "parseEventfd"),
  },
  {
    name: "eventpolls",
    parsers: ["parse/fdinfo.parseEventpoll"],
    file: /^proc\/\d+\/fdinfo\/4$/,
    where: /^tfd:.*$/gm,
    outcome: {
      is: "parts",
      keep: only(/^tfd:\s{1,16}\d{1,9}\s/),
      say: ({ vms }) => vms.flatMap(({ eventfds }) => eventfds.map(({ polled, fds }) => `${fds}: ${polled}`)),
    },
    weakened: change("parse/fdinfo", "/^tfd:\\s{1,16}(\\d{1,9})\\s/", "/tfd\\W*(\\d{1,9})/"),
  },
  {
    name: "VFIO devices",
    parsers: ["parse/fdinfo.parseVfioDevice"],
    file: /^proc\/\d+\/fdinfo\/\d+$/,
    where: /^vfio-device-syspath:.*$/gm,
    outcome: {
      is: "parts",
      keep: only(/^vfio-device-syspath:\s*\/sys\/devices(\/[\w.:,@+-]{1,64}){1,32}\s*$/),
      say: ({ vms, unclaimed }) =>
        [...vms.flatMap(({ devices }) => devices), ...unclaimed].map(({ address }) => `device ${address}`),
    },
    weakened: change(
      "parse/fdinfo",
      "=== null\n        ? undefined\n",
      "=== undefined\n        ? undefined\n",
    ),
  },
  {
    name: "interrupts",
    parsers: ["parse/interrupts.parseInterrupts"],
    file: /^proc\/interrupts$/,
    outcome: { is: "shown", right: rightInterrupts },
    also: [
      (text) => text.replace("CPU1", "CPU0"),
      (text) => text.replace(/^( *\w+:.*\n)/m, "$1$1"),
      (text) => text.replace(/^( *\d+: +)\d+ /m, "$1"),
    ],
    weakened: refusalsOf("parse/interrupts"),
  },
  {
    name: "names of actions",
    parsers: ["parse/action.parseActions"],
    file: /^proc\/interrupts$/,
    where: /(vfio-|vp-vdpa|ifcvf)\S*/g,
    outcome: { is: "parts", keep: withoutOtherNames },
    weakened: change("parse/action", "const kind = named ?", "const kind = true ?"),
  },
  {
    name: "osrelease",
    parsers: ["parse/kernel-release.parseKernelRelease"],
    file: /^proc\/sys\/kernel\/osrelease$/,
    outcome: {
      is: "shown",
      right: (text) => /^\d{1,3}\.\d{1,3}(\.\d{1,4})?([^\d\n][^\n]*)?$/.test(text.trim()),
    },
    weakened: refusalsOf("parse/kernel-release"),
  },
  {
    name: "cpuinfo",
    parsers: ["parse/cpuinfo.parseCpuInfo"],
    file: /^proc\/cpuinfo$/,
    joint: ":",
    outcome: { is: "shown", right: rightCpuInfo },
    weakened: refusalsOf("parse/cpuinfo"),
  },
  {
    name: "the kernel's command line",
    parsers: ["parse/cmdline.parseCommandLine"],
    file: /^proc\/cmdline$/,
    where: / (?=intremap=(off|nopost)|(intel_|amd_)iommu=off|pci=nomsi|noapic|nosmp|kvm_\w+\.\w+=0)/g,
    also: [",", ":", "x"].map((joint) => (text) => text.replaceAll(" ", joint)),
    outcome: { is: "parts", keep: kernelWords },
    weakened: change("parse/cmdline", "/\\s/.test(char)", "/[^\\w=-]/.test(char)"),
  },
  {
    name: "command lines of VMMs",
    parsers: ["parse/vmm.parseVmm"],
    file: /^proc\/\d+\/cmdline$/,
    where: /kernel.irqchip=\w+|x-no-kvm-msix?=\w+|userspace/g,
    outcome: { is: "parts", keep: vmmWords },
    weakened: change("parse/vmm", "IRQCHIPS.get(word)", "IRQCHIPS.get(word.slice(0, 3))"),
  },
  {
    name: "libvirt's logs",
    parsers: ["parse/vmm.parseLibvirtLog"],
    file: /^var\/log\/libvirt\/qemu\/.*\.log$/,
    where: /^.*starting up libvirt version:/gm,
    outcome: {
      is: "parts",
      keep: (text) => {
        const start = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d{4}: starting up libvirt version: /gm;
        const at = [...text.matchAll(start)].at(-1)?.index;
        return at === undefined ? "" : text.slice(at);
      },
    },
    weakened: change("parse/vmm", "/^\\d{4}-\\d\\d-\\d\\d \\d\\d", "/\\d"),
  },
  {
    name: "mounts",
    parsers: ["parse/mounts.parseMounts"],
    file: /^proc\/self\/mountinfo$/,
    outcome: { is: "shown", right: rightMounts, as: toldUnseen },
    weakened: refusalsOf("parse/mounts"),
  },
  {
    name: "credentials",
    parsers: ["parse/credentials.parseCredentials"],
    file: /^proc\/self\/status$/,
    where: /^CapEff:.*$/gm,
    outcome: { is: "shown", right: (text) => /^CapEff:\s*[0-9a-f]{16}$/m.test(text), as: toldUnseen },
    weakened: refusalsOf("parse/credentials"),
  },
  {
    name: "descriptors",
    parsers: ["source/descriptor.parseDescriptor"],
    file: /^proc\/\d+\/fd\/\d+$/,
    outcome: {
      is: "parts",
      keep: (target) => (DESCRIPTOR.test(target) ? target : "other"),
      say: ({ vms }) => vms.map(({ pid, vcpus, eventfds }) => `${pid}: ${vcpus}, ${eventfds.length}`),
    },
    weakened: change("source/descriptor", "/^anon_inode:", "/anon.inode:"),
  },
  {
    name: "a capture's trace",
    parsers: ["source/saved-trace.parseTraceFacts"],
    file: /^trace\.json$/,
    outcome: { is: "refused", right: rightTraceFacts },
    where: /(?<=: ?|\[)(-?\d+|true|false|null|\[\])|"(seconds|producer|posting)"/g,
    also: OTHER_FACTS.map((facts) => (text) => JSON.stringify(Object.assign(JSON.parse(text), facts))),
    weakened: () =>
      refusalsOf("source/fields", "source/saved-trace")().filter(
        ({ from }) => !/is not JSON/.test(from) /* It is no object either. */,
      ),
  },
  {
    name: "lines of traces",
    parsers: ["parse/trace-line.parseTraceLine"],
    file: /^recorded$/,
    outcome: { is: "parts", keep: only(TRACE) },
    weakened: change("parse/trace-line", "const FTRACE = /^ *(?:.{1,16}?)-", "const FTRACE = /"),
  },
  {
    name: "texts of events",
    parsers: ["trace/events.readersOfRecorded"],
    file: /^recorded$/,
    where: /PI is.*$/gm,
    also: [(text) => text.replaceAll("PI is", "-PI is")],
    outcome: { is: "parts", keep: only(TRACE) },
    weakened: change(
      "trace/events",
      "whole(/^PI is/, HOST_IRQ, /$/)",
      "whole(/PI is/, HOST_IRQ, /(?=$|[^$])/)",
    ),
  },
  {
    name: "formats of events",
    parsers: ["parse/trace-format.parseEventFormat"],
    file: /^$/,
    outcome: {
      is: "thrown",
      module: "parse/trace-format",
      parse: "parseEventFormat",
      samples: [EVENT_FORMAT],
      right: (text) =>
        /^name: \w+$/m.test(text) &&
        /^print fmt: "(?:[^"\\]|\\.)*"/m.test(text) &&
        lines(text).some((line) =>
          /^\s+field:(?!.*\bcommon_\w+(\[\w*\])?\s*;)[^;]*\w(\[\w*\])?\s*;\s*offset:\d+;\s*size:\d+;/.test(
            line,
          ),
        ),
    },
    weakened: refusalsOf("parse/trace-format"),
  },
  {
    name: "a capture's links",
    parsers: ["source/names.parseLinks", "source/names.decodeName"],
    file: /^$/,
    outcome: {
      is: "thrown",
      module: "source/names",
      parse: "parseLinks",
      samples: ["1/proc/7/fd/3 /memfd:a%20b%0a\n1/proc/7/fd/4 anon_inode:kvm-vm\n"],
      right: (text) => lines(text).every((line) => line === "" || RegExp(`^${LINK} ${LINK}$`).test(line)),
    },
    weakened: refusalsOf("source/names"),
  },
  {
    name: "os-release",
    parsers: ["parse/os-release.parseOsRelease"],
    file: /^etc\/os-release$/,
    also: [(text) => text.replaceAll(/^(ID(?:_LIKE)?=.*)$/gm, "$1;")],
    outcome: { is: "parts", keep: only(/^ID(_LIKE)?=(["']?)[\w.\- ]{1,200}\2\s*$/), say: advice },
    weakened: change("parse/os-release", "\\\\1\\\\s*$`", "`"),
  },
  {
    name: "modprobe.d",
    parsers: ["parse/modprobe.parseModprobe"],
    file: /^etc\/modprobe\.d\//,
    outcome: { is: "parts", keep: only(/^\s*options\s+\S+(\s+\S+)*\s*$/), say: advice },
    weakened: change("parse/modprobe", 'command !== "options"', '!command?.includes("opt")'),
  },
];
