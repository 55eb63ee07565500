/**
 * The parsers on texts that are right, wrong and arbitrary: any bytes give a result or a FormatError, in short time.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { addressOfChip, isPciAddress, parseActions } from "#src/parse/action.js";
import { parseCommandLine } from "#src/parse/cmdline.js";
import { parseCpuInfo } from "#src/parse/cpuinfo.js";
import { parseCredentials } from "#src/parse/credentials.js";
import { parseEventfd, parseEventpoll, parseVfioDevice } from "#src/parse/fdinfo.js";
import { grew, grewBetween, parseInterrupts } from "#src/parse/interrupts.js";
import { hasGa, hasGuestApic, parseAmdTable, parseFeatures } from "#src/parse/iommu-amd.js";
import { canPost, canRemap, parseIntelTables, parseRegister } from "#src/parse/iommu-intel.js";
import { grewPerCpu, parsePerCpu } from "#src/parse/irq.js";
import { parseIrqDebug } from "#src/parse/irq-debug.js";
import { parseKernelRelease } from "#src/parse/kernel-release.js";
import { parseSwitch } from "#src/parse/modules.js";
import { parseMounts } from "#src/parse/mounts.js";
import { guestName, parseDescriptor } from "#src/source/descriptor.js";
import { DoctorError, FormatError } from "#src/source/error.js";
import { parseAbout } from "#src/source/saved.js";
import { parseTraceFacts } from "#src/source/saved-trace.js";
import { loadHost } from "./tree.js";

function textOf(host: string, path: string): string {
  const entry = loadHost(host).entries.get(path);
  if (entry === undefined || !("text" in entry)) throw new Error(`${host} has no file ${path}`);
  return entry.text;
}

const INTERRUPTS = textOf("intel-posted-6.12", "1/proc/interrupts");
const INTEL = textOf("intel-posted-6.12", "1/sys/kernel/debug/iommu/intel/ir_translation_struct");
const AMD = textOf("amd-avic-6.18", "1/sys/kernel/debug/iommu/amd/irqtbl");
const IRQ_DEBUG = textOf("intel-posted-6.18", "1/sys/kernel/debug/irq/irqs/132");
const TRACE = textOf("amd-inhibited-pit", "trace.json");
const MOUNTINFO =
  "22 27 0:21 / /proc rw,nosuid shared:13 master:1 - proc proc rw,gid=7,hidepid=invisible\n" +
  "31 1 8:2 / /a\\040b rw,relatime - ext4 /dev/sda2 rw\n";
const STATUS = "Name:\tnode\nGid:\t100\t101\t102\t103\nGroups:\t27 4 \nCapEff:\t0000000000080000\n";

/** Every parser, with a text of its own format to start from. */
const PARSERS: readonly (readonly [name: string, parse: (text: string) => unknown, sample: string])[] = [
  ["/proc/interrupts", parseInterrupts, INTERRUPTS],
  ["per_cpu_count", parsePerCpu, "0,48632,4294967295\n"],
  [
    "action names",
    (text) => parseActions(text, new Set(["vdpa0"])),
    "vfio-msix[3](0000:3b:00.0), vp-vdpa[0000:17:00.2]-0",
  ],
  ["kernel release", parseKernelRelease, "5.14.0-427.13.1.el9_4.x86_64\n"],
  ["kernel command line", parseCommandLine, 'root=/dev/sda2 a="b c" intremap=nopost,nosid'],
  ["/proc/cpuinfo", parseCpuInfo, textOf("intel-posted-6.12", "1/proc/cpuinfo")],
  ["descriptors", parseDescriptor, "anon_inode:kvm-vcpu:12"],
  ["eventfd", parseEventfd, "eventfd-count:               1f\neventfd-id: 105\neventfd-semaphore: 1\n"],
  [
    "eventpoll",
    parseEventpoll,
    "tfd:        5 events:       19 data:     7f1c00000005  pos:0 ino:41b sdev:f\n",
  ],
  ["vfio-device", parseVfioDevice, "vfio-device-syspath: /sys/devices/pci0000:e0/0000:e8:00.0\n"],
  ["registers", parseRegister, "8d2008c40660462\n"],
  ["Intel's tables", parseIntelTables, INTEL],
  ["AMD's features", parseFeatures, "246577efa2254afa:10\n"],
  ["AMD's table", parseAmdTable, AMD],
  ["debugfs' interrupt", parseIrqDebug, IRQ_DEBUG],
  ["switches", parseSwitch, "Y\n"],
  ["mounts", parseMounts, MOUNTINFO],
  ["credentials", parseCredentials, STATUS],
  [
    "a saved tree's about",
    (text) => parseAbout(text, "case"),
    "format: irqbypass-capture/1\nat: 2026-03-01T12:00:00Z\nseconds: 2.0\n",
  ],
  ["a saved trace", parseTraceFacts, TRACE],
];

/** Runs a parser; what it may throw is a typed error and nothing else. */
function survive(parse: (text: string) => unknown, text: string): void {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof DoctorError)) throw error;
  }
}

describe("any bytes give a result or a typed error", () => {
  for (const [name, parse, sample] of PARSERS) {
    it(`${name}: its own sample is read`, () => {
      parse(sample);
    });
    it(`${name}: arbitrary bytes`, () => {
      const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array).toString("utf8"));
      fc.assert(
        fc.property(fc.oneof(bytes, fc.string({ unit: "binary", maxLength: 200 })), (text) =>
          survive(parse, text),
        ),
      );
    });
    it(`${name}: its own sample with a part replaced, doubled or cut`, () => {
      const cut = fc.nat({ max: sample.length });
      const insert = fc.oneof(
        fc.string({ maxLength: 8 }),
        fc.constantFrom(
          "\n",
          "\0",
          ":",
          "  ",
          "0".repeat(40),
          "9".repeat(40),
          "ffffffffffffffffffff",
          "-1",
          "\n\n",
          "\t",
        ),
      );
      fc.assert(
        fc.property(cut, cut, insert, (a, b, text) => {
          survive(parse, sample.slice(0, Math.min(a, b)) + text + sample.slice(Math.max(a, b)));
          survive(parse, sample.slice(0, a) + text + sample.slice(b));
        }),
      );
    });
    it(`${name}: a long text of one kind does not take its square of time`, () => {
      // Half a million characters of what patterns stumble over; with a quadratic step each would take minutes.
      for (const unit of [
        " ",
        "\t",
        "1",
        "a",
        ":",
        "1 ",
        "a:",
        ", ",
        "[",
        "(",
        "\n",
        "=",
        '"',
        "-",
        "0 : ",
        "vfio-",
        "vfio-msix[1](",
        "hwirq:",
      ]) {
        const long = unit.repeat(Math.ceil(500_000 / unit.length));
        survive(parse, long);
        survive(parse, `${sample.trimEnd()}${long}`);
        survive(parse, `${long}\n${sample}`);
      }
    });
  }
});

describe("/proc/interrupts", () => {
  it("has a column per online CPU, and lines with fewer numbers", () => {
    const { cpus, lines } = parseInterrupts(INTERRUPTS);
    assert.deepEqual(cpus, [0, 1, 2, 3]);
    assert.deepEqual(lines.get("131")?.counts, [0, 40, 0, 0]);
    assert.equal(lines.get("131")?.chip, "IR-PCI-MSIX-0000:3b:00.0");
    assert.equal(lines.get("131")?.actions, "vfio-msix[1](0000:3b:00.0)");
    assert.deepEqual(lines.get("ERR")?.counts, [0]);
    assert.deepEqual(lines.get("PIN")?.counts, [17, 9, 22, 14]);
  });

  it("survives names that end in a newline, and puts what follows to the same line", () => {
    const { lines } = parseInterrupts(textOf("vp-vdpa", "1/proc/interrupts"));
    assert.deepEqual([...lines.keys()], ["64", "90", "91", "92", "PIN", "NPI", "PIW"]);
    const shared = parseInterrupts(
      "           CPU0\n 9:  5  IR-IO-APIC  9-fasteoi   vp-vdpa[0000:17:00.2]-0\n, i801_smbus\n\n 10: 1 XT  2-edge  b\n",
    );
    assert.equal(shared.lines.get("9")?.actions, "vp-vdpa[0000:17:00.2]-0\n, i801_smbus");
    assert.deepEqual(shared.lines.get("10")?.counts, [1]);
  });

  it("keeps names with blanks, commas and colons whole", () => {
    const { lines } = parseInterrupts(textOf("odd-names", "1/proc/interrupts"));
    assert.equal(lines.get("70")?.actions, "iwlwifi: default queue");
    assert.equal(lines.get("71")?.actions, "mlx5_comp0@pci:0000:5e:00.0, i801_smbus, a: b, 12: 34");
  });

  it("reads the arm64 trigger words", () => {
    const { lines } = parseInterrupts(textOf("arm64-gicv4", "1/proc/interrupts"));
    assert.equal(lines.get("11")?.actions, "arch_timer");
    assert.equal(lines.get("70")?.chip, "GICv4-vpe");
    assert.equal(lines.get("61")?.actions, "vfio-msix[1](0000:03:00.0)");
  });

  it("compares CPUs by number, so that one going offline looks like no traffic and one coming like none", () => {
    const two = parseInterrupts("  CPU0 CPU1\n 5: 10 100 X 0-edge a\n");
    const one = parseInterrupts("  CPU0\n 5: 12 X 0-edge a\n");
    assert.deepEqual(grewBetween(two, one, "5"), { count: 2, anew: false });
    assert.deepEqual(grewBetween(one, parseInterrupts("  CPU0 CPU1\n 5: 13 100 X 0-edge a\n"), "5"), {
      count: 1,
      anew: false,
    });
    assert.equal(grewBetween(one, one, "6"), null);
  });

  it("takes a counter that fell for one that began anew, and so a line that is another's now", () => {
    const old = parseInterrupts("  CPU0 CPU1\n 5: 5000 70 X 0-edge a\n");
    const fallen = parseInterrupts("  CPU0 CPU1\n 5: 3 71 X 0-edge a\n");
    assert.deepEqual(grewBetween(old, fallen, "5"), { count: 74, anew: true });
    for (const line of [" 5: 5001 70 X 0-edge b\n", " 5: 5001 70 Y 0-edge a\n"])
      assert.deepEqual(grewBetween(old, parseInterrupts(`  CPU0 CPU1\n${line}`), "5"), {
        count: 5071,
        anew: true,
      });
  });

  it("takes a number that starts an action's name for no count", () => {
    const { lines } = parseInterrupts("  CPU0\n 5: 10 X 0-edge 12: 34\n");
    assert.deepEqual(lines.get("5")?.counts, [10]);
    assert.equal(lines.get("5")?.actions, "12: 34");
  });

  it("counts modulo 2^32 where a counter was high", () => {
    assert.deepEqual(grew([[4294967290, 4]]), { count: 10, anew: false });
    assert.deepEqual(grewPerCpu([4294967295, 7], [0, 7]), { count: 1, anew: false });
    assert.deepEqual(grewPerCpu([2 ** 31 - 1, 7], [0, 7]), { count: 7, anew: true });
    assert.deepEqual(grewPerCpu([4294967295], [4294967290]), { count: 4294967290, anew: true });
  });

  it("refuses a text without a header of CPUs", () => {
    assert.throws(() => parseInterrupts("hello\n 1: 2\n"), FormatError);
    assert.throws(() => parseInterrupts(""), FormatError);
  });
});

describe("names of actions", () => {
  const cases: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ["vfio-msix[3](0000:3b:00.0)", "0000:3b:00.0", "msix[3]"],
    ["vfio-msi[0](0000:3b:00.0)", "0000:3b:00.0", "msi[0]"],
    ["vfio-intx(0000:3b:00.0)", "0000:3b:00.0", "intx"],
    ["vfio-irq[2](dpni.4)", "dpni.4", "irq[2]"],
    ["vfio-msi[1](cdx-00:01)", "cdx-00:01", "msi[1]"],
    ["vp-vdpa[0000:17:00.2]-1\n", "0000:17:00.2", "queue 1"],
    ["vp-vdpa[0000:17:00.2]-config\n", "0000:17:00.2", "config"],
    ["ifcvf[0000:17:00.2]-vqs-reused-irq\n", "0000:17:00.2", "vqs-reused-irq"],
    ["eni-vdpa[0000:17:00.2]-0\n", "0000:17:00.2", "queue 0"],
    ["ifcvf[0000:17:00.2]-dev-irq\n", "0000:17:00.2", "dev-irq"],
    ["snet[0000:17:00.2]-vq[3]", "0000:17:00.2", "queue 3"],
    ["snet[0000:17:00.2]-cfg[0]", "0000:17:00.2", "config"],
    ["vdpa0-vq-3", "vdpa0", "queue 3"],
    ["web-vq-vq-3", "web-vq", "queue 3"],
    ["other-vq-3", undefined, undefined],
    ["vdpa-vdpa0-1", "vdpa0", "queue 1"],
    ["nvme0q0", undefined, undefined],
    ["my vfio-msix thing", undefined, undefined],
  ];
  for (const [name, device, label] of cases) {
    it(JSON.stringify(name), () => {
      const { assigned } = parseActions(name, new Set(["vdpa0", "web-vq"]));
      assert.deepEqual(
        assigned.map((action) => [action.device, action.label]),
        device === undefined ? [] : [[device, label]],
      );
    });
  }
});

describe("a shared line", () => {
  it("has every assigned interrupt, and the names of the others", () => {
    const { assigned, others } = parseActions(
      "ehci_hcd:usb1, vfio-intx(0000:06:00.0), i801, smbus, vfio-intx(0000:07:00.0)",
    );
    assert.deepEqual(
      assigned.map(({ device }) => device),
      ["0000:06:00.0", "0000:07:00.0"],
    );
    assert.equal(others, "ehci_hcd:usb1, i801, smbus");
  });
});

describe("registers and tables", () => {
  it("finds Intel's bits", () => {
    assert.equal(canPost(parseRegister("8d2008c40660462")), true);
    assert.equal(canPost(parseRegister("d2008c40660462")), false);
    assert.equal(canRemap(parseRegister("f020df")), true);
    assert.equal(canRemap(parseRegister("f020d7")), false);
  });

  it("finds AMD's bits", () => {
    const [features] = parseFeatures("200080\n");
    assert.deepEqual([hasGa(features!), hasGuestApic(features!)], [true, true]);
    assert.deepEqual(parseFeatures("10:246577efa2254afa\n"), [0x10n, 0x246577efa2254afan]);
    assert.throws(() => parseFeatures("1:2:3\n"), FormatError);
    assert.deepEqual([hasGa(0x200000n), hasGuestApic(0x80n)], [false, false]);
  });

  it("reads both parts of Intel's tables", () => {
    const { remapping, entries } = parseIntelTables(INTEL);
    assert.deepEqual(remapping, ["dmar0", "dmar1"]);
    assert.equal(entries.filter(({ posted }) => posted).length, 5);
    assert.deepEqual(
      entries.find(({ index }) => index === 41),
      {
        unit: "dmar0",
        index: 41,
        device: "3b:00.0",
        posted: true,
        vector: 0x51,
      },
    );
  });

  it("says which units do not remap", () => {
    const text = "Remapped Interrupt supported on IOMMU: dmar0\nInterrupt Remapping is not enabled\n****\n";
    assert.deepEqual(parseIntelTables(text).disabled, ["dmar0"]);
    assert.deepEqual(parseIntelTables(text).remapping, []);
  });

  it("refuses an entry whose posted bit contradicts the part it stands in", () => {
    assert.throws(
      () => parseIntelTables(INTEL.replace("05a3c2c000418001", "05a3c2c000410001")),
      /posted bit/,
    );
  });

  it("reads guest mode out of AMD's entries, and 32-bit ones as never posted", () => {
    const table = parseAmdTable(AMD);
    assert.ok(table.state === "table" && table.entries.every(({ posted }) => posted));
    const narrow = parseAmdTable("DeviceId 0000:c4:00.0\nIRT[0000] 00310001\nIRT[0001] 00000000\n");
    assert.ok(narrow.state === "table");
    assert.deepEqual([narrow.wide, narrow.entries.length, narrow.entries[0]?.posted], [false, 1, false]);
  });

  it("reads AMD's indexes as decimal", () => {
    const table = parseAmdTable("DeviceId 0000:c4:00.0\nIRT[0010] 00310001\n");
    assert.equal(table.state === "table" && table.entries[0]?.index, 10);
    assert.throws(() => parseAmdTable("DeviceId 0000:c4:00.0\nIRT[000a] 00310001\n"), FormatError);
  });

  it("knows what stands in place of AMD's table", () => {
    const states = [
      "Enter a valid device ID to 'devid' file\n",
      "Please provide valid device id input\n",
      "Device table not found",
      "The device's DTE contains an invalid IRT length value.",
      "",
    ].map((text) => parseAmdTable(text).state);
    assert.deepEqual([...new Set(states)], ["nothing shown"]);
    assert.equal(parseAmdTable("Interrupt remapping is disabled\n").state, "remapping off");
    assert.deepEqual(parseAmdTable("IRQ lookup table not set for 0000:c4:00:0\n"), {
      state: "no table",
      device: "0000:c4:00.0",
    });
    assert.throws(() => parseAmdTable("Interrupt remapping is disabled, perhaps\n"), FormatError);
  });

  it("finds the IOMMU's own level of an interrupt among the nested ones", () => {
    const { remap, chips, forwarded } = parseIrqDebug(IRQ_DEBUG);
    assert.deepEqual(remap, { chip: "INTEL-IR", hwirq: 42 * 65536 });
    assert.deepEqual([chips[0], forwarded], ["IR-PCI-MSIX-0000:3b:00.0", false]);
    assert.equal(parseIrqDebug("chip: APIC\n").remap, undefined);
  });

  it("takes a flag of an interrupt from its state alone, and a text of another kind for none", () => {
    const flags = "dstate:   0x33501200\n            IRQD_ACTIVATED\n            IRQD_FORWARDED_TO_VCPU\n";
    assert.equal(parseIrqDebug(`${flags}domain:  ITS\n chip:    ITS\n`).forwarded, true);
    assert.equal(parseIrqDebug(IRQ_DEBUG.replace("dstate", "ddstate")).forwarded, false);
    assert.equal(parseIrqDebug("chip:    ITS\nIRQD_FORWARDED_TO_VCPU\n").forwarded, false);
    assert.throws(() => parseIrqDebug("IRQD_FORWARDED_TO_VCPU\n"), FormatError);
  });
});

describe("what a process holds", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["anon_inode:kvm-vm", "vm"],
    ["anon_inode:[kvm-vm]", "vm"],
    ["anon_inode:kvm-vcpu:3", "vcpu"],
    ["anon_inode:[eventfd]", "eventfd"],
    ["anon_inode:[eventpoll]", "eventpoll"],
    ["anon_inode:[vfio-device]", "vfio-device"],
    ["/dev/vfio/devices/vfio7", "vfio-device"],
    ["/dev/vfio/devices/noiommu-vfio7", "vfio-device"],
    ["/dev/vfio/14", "vfio-group"],
    ["/dev/vfio/noiommu-0", "vfio-group"],
    ["/dev/vfio/vfio", "other"],
    ["/dev/vhost-vdpa-2", "vhost-vdpa"],
    ["/dev/kvm", "other"],
    ["anon_inode:kvm-vcpu-stats:0", "other"],
    ["/home/kvm-vm", "other"],
  ];
  for (const [target, kind] of cases) it(target, () => assert.equal(parseDescriptor(target).kind, kind));

  it("finds the guest's name where a known VMM has it", () => {
    assert.equal(guestName(["/usr/bin/qemu-system-x86_64", "-name", "guest=web1,debug-threads=on"]), "web1");
    assert.equal(guestName(["qemu-kvm", "-name", "db"]), "db");
    assert.equal(guestName(["qemu-kvm", "-name", "debug-threads=on"]), null);
    assert.equal(guestName(["/usr/bin/firecracker", "--id=vm-17"]), "vm-17");
    assert.equal(guestName(["lkvm", "run", "--name", "test"]), "test");
    assert.equal(guestName(["crosvm", "-name", "x"]), null);
    assert.equal(guestName([]), null);
  });

  it("reads an eventfd's count as hexadecimal of 64 bits, and its id where the kernel has one", () => {
    assert.deepEqual(parseEventfd("eventfd-count: fffffffffffffffe\n"), {
      count: 0xfffffffffffffffen,
      id: null,
      semaphore: null,
    });
    assert.throws(() => parseEventfd("pos: 0\n"), FormatError);
  });
});

describe("who sees which processes", () => {
  const cases: readonly (readonly [option: string, shows: string, gid: number])[] = [
    ["rw", "all", 0],
    ["rw,hidepid=off", "all", 0],
    ["rw,hidepid=0", "all", 0],
    ["rw,hidepid=1", "numbers", 0],
    ["rw,hidepid=noaccess,gid=9", "numbers", 9],
    ["rw,gid=27,hidepid=2", "nothing but to the group", 27],
    ["rw,hidepid=invisible,subset=pid", "nothing but to the group", 0],
    ["rw,gid=27,hidepid=ptraceable", "nothing", 27],
    ["rw,hidepid=4", "nothing", 0],
    ["rw,hidepid=new", "nothing", 0],
  ];
  for (const [options, shows, gid] of cases)
    it(options, () => {
      const hidepid = /hidepid=\w+/.exec(options)?.[0] ?? "";
      const found = [{ point: "/proc", hidepid, shows, gid }];
      assert.deepEqual(parseMounts(`22 27 0:21 / /proc rw - proc proc ${options}\n`), found);
      assert.deepEqual(parseMounts(`proc /proc proc ${options} 0 0\n`), found);
    });

  it("takes mounts of procfs alone, and no line of another file", () => {
    assert.equal(parseMounts(MOUNTINFO).length, 1);
    assert.deepEqual(parseMounts("31 1 8:2 / /proc rw - ext4 /dev/proc rw,hidepid=2\n"), []);
    assert.throws(() => parseMounts("proc on /proc type proc (rw)\n"), FormatError);
  });

  it("reads the capability and the groups of a process", () => {
    assert.deepEqual(parseCredentials(STATUS), { ptrace: true, groups: [103, 27, 4] });
    assert.equal(parseCredentials("CapEff:\t000001fffff7ffff\n").ptrace, false);
    assert.throws(() => parseCredentials("CapPrm:\t000001ffffffffff\n"), FormatError);
  });
});

describe("the command line and the switches", () => {
  it("keeps the words in their order, quoted values whole, and leaves out what is for init", () => {
    const line = parseCommandLine(
      'a="b c" intremap=nosid intel-iommu=on quiet intremap=nopost -- iommu=off\n',
    );
    assert.deepEqual(
      line.map(({ name, value }) => [name, value]),
      [
        ["a", "b c"],
        ["intremap", "nosid"],
        ["intel_iommu", "on"],
        ["quiet", null],
        ["intremap", "nopost"],
      ],
    );
    assert.equal(line[2]?.text, "intel-iommu=on");
  });

  it("knows Y, N, 1 and 0, and no other word", () => {
    assert.deepEqual(["Y\n", "1", "N\n", "0"].map(parseSwitch), [true, true, false, false]);
    assert.throws(() => parseSwitch("auto\n"), FormatError);
  });

  it("knows a PCI address", () => {
    assert.deepEqual(
      ["0000:3b:00.0", "10000:e1:00.0", "3b:00.0", "0000:3b:00.8", "dpni.4"].map(isPciAddress),
      [true, true, false, false, false],
    );
    assert.equal(addressOfChip("IR-PCI-MSIX-0000:08:00.2"), "0000:08:00.2");
    assert.equal(addressOfChip("IR-PCI-MSI"), undefined);
  });
});

describe("a saved trace", () => {
  it("refuses a field that is missing or of another kind, naming it", () => {
    const facts = JSON.parse(TRACE) as Record<string, unknown>;
    for (const name of Object.keys(facts)) {
      const { [name]: _, ...rest } = facts;
      assert.throws(
        () => parseTraceFacts(JSON.stringify(rest)),
        (error: Error) => error instanceof FormatError && error.message.includes(name),
      );
    }
    assert.throws(() => parseTraceFacts("{"), FormatError);
    assert.throws(() => parseTraceFacts(JSON.stringify({ ...facts, posting: [{}] })), FormatError);
  });
});
