/**
 * The rules: that the rows of each table are in order, and that a kernel between rows, or one
 * whose number is not its own, gets no answer instead of the nearest.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseCommandLine } from "#src/parse/cmdline.js";
import { type Arch, parseCpuInfo } from "#src/parse/cpuinfo.js";
import { compareVersions, parseKernelRelease, parseVersion } from "#src/parse/kernel-release.js";
import { efrOf, FEATURE_ORDER } from "#src/rules/amd-features.js";
import { BEGINNINGS, begun } from "#src/rules/beginnings.js";
import { readSwitch } from "#src/rules/booleans.js";
import { moduleSwitch, runCommandLine, type SwitchName } from "#src/rules/command-line.js";
import { INHIBIT_EFFECTS, inhibitEffect, inhibitName, NUMBERINGS } from "#src/rules/inhibits.js";
import { PRODUCERS, producerOf } from "#src/rules/producers.js";
import { claim, type Row, since } from "#src/rules/row.js";
import { FormatError } from "#src/source/error.js";

const of = parseKernelRelease;

describe("rows", () => {
  const rows = [
    { from: "5.6", until: "5.19", source: "", is: "a" },
    { from: "5.19", until: "6.3", source: "", is: "b" },
    { from: "6.5", until: null, source: "", is: "b" },
  ];
  const is = (text: string) => claim(rows, of(text), (row) => row.is);

  it("answer where one row holds, or all that may hold agree", () => {
    assert.equal(is("5.18.19"), "a");
    assert.equal(is("5.19.0"), "b");
    assert.equal(is("5.19.0-50-generic"), "b");
    assert.equal(is("7.3.4"), "b");
  });

  it("are silent before the first, in a gap, and where they differ", () => {
    for (const text of ["5.5.0", "6.4.1", "5.14.0-427.el9.x86_64", "6.2.0-1.el9.x86_64", "6.4.0-rc1"])
      assert.equal(is(text), undefined, text);
  });

  it("say that an enterprise kernel has what is older than its number, and no more", () => {
    assert.equal(since(of("4.18.0-553.el8"), "4.4"), "yes");
    assert.equal(since(of("4.18.0-553.el8"), "5.10"), "perhaps");
    assert.equal(since(of("4.2.0-42-generic"), "4.4"), "no");
  });

  const tables: Record<string, readonly (readonly Row[])[]> = {
    "order of AMD's registers": [FEATURE_ORDER],
    "numbers of inhibits": [NUMBERINGS],
    "effects of inhibits": ["intel", "amd"].map((vendor) =>
      INHIBIT_EFFECTS.filter((row) => row.vendor === vendor),
    ),
    beginnings: BEGINNINGS.map((row) => [row]),
    producers: [...new Set(PRODUCERS.map(({ family, kind }) => `${family} ${kind}`))].map((key) =>
      PRODUCERS.filter(({ family, kind }) => `${family} ${kind}` === key),
    ),
  };
  for (const [name, groups] of Object.entries(tables))
    it(`are in order and do not overlap: ${name}`, () => {
      for (const group of groups)
        for (const [at, { from, until, source }] of group.entries()) {
          assert.notEqual(source, "");
          const next = group[at + 1]?.from ?? null;
          if (until === null) assert.equal(next, null);
          else {
            assert.ok(compareVersions(parseVersion(from), parseVersion(until)) < 0);
            assert.ok(next === null || compareVersions(parseVersion(until), parseVersion(next)) <= 0);
          }
        }
    });
});

describe("beginnings", () => {
  it("are those of each platform", () => {
    assert.equal(begun(of("4.3.6"), "Intel").answer, "no");
    assert.equal(begun(of("4.4.0"), "Intel").answer, "yes");
    assert.equal(begun(of("4.8.17"), "AMD").answer, "no");
    assert.equal(begun(of("4.14.9"), "arm64").answer, "no");
    assert.equal(begun(of("3.10.0-1160.el7.x86_64"), "Intel").answer, "perhaps");
  });
});

describe("AMD's two registers", () => {
  const efr = 0x246577efa2254afan;
  it("are told apart by their values before the version", () => {
    for (const text of ["6.1.124", "6.12.41", "5.14.0-427.el9"]) {
      assert.equal(efrOf([0x10n, efr], of(text)), efr);
      assert.equal(efrOf([efr, 0xe0n], of(text)), efr);
    }
  });

  it("go by the version where both could be either, and by nothing where that does not tell", () => {
    assert.equal(efrOf([efr, efr + 1n], of("6.6.9")), efr + 1n);
    assert.equal(efrOf([efr, efr + 1n], of("6.7.0")), efr);
    assert.equal(efrOf([efr, efr + 1n], of("5.19.0")), undefined);
    assert.equal(efrOf([efr, efr + 1n], of("5.14.0-427.el9.x86_64")), undefined);
    assert.equal(efrOf([0x80n, 0x80n], of("4.18.0-553.el8")), undefined);
    assert.equal(efrOf([efr], of("5.19.0")), efr);
  });
});

describe("inhibits", () => {
  it("have the numbers of their kernel", () => {
    const pit = ["5.10.13", "5.18.3", "5.19.1", "6.1.192", "6.2.0", "6.3.0", "6.12.41", "7.3.4"];
    assert.deepEqual(
      pit.map((text) => [...Array(16).keys()].find((bit) => inhibitName(bit, of(text)) === "PIT_REINJ")),
      [4, 4, 8, 8, 8, 9, 9, 9],
    );
    assert.equal(inhibitName(12, of("6.17.1")), "PHYSICAL_ID_TOO_BIG");
    assert.equal(inhibitName(12, of("6.16.9")), undefined);
  });

  it("have no name where the kernel's numbering is not known", () => {
    assert.equal(inhibitName(8, of("5.14.0-427.el9.x86_64")), undefined);
    assert.equal(inhibitName(8, of("5.5.0")), undefined);
    assert.equal(inhibitName(1, of("5.14.0-427.el9.x86_64")), "HYPERV");
  });

  it("do to devices what their kernel does", () => {
    const effects = (vendor: "intel" | "amd", ...texts: string[]) =>
      texts.map((text) => inhibitEffect(vendor, of(text)));
    assert.deepEqual(
      effects("intel", "5.10.83", "5.10.84", "5.14.21", "5.15.6", "5.15.7", "5.16.0", "7.3.4"),
      ["no more", "nothing", "no more", "no more", "nothing", "nothing", "nothing"],
    );
    assert.deepEqual(effects("intel", "5.15.0-130-generic", "5.14.0-427.el9.x86_64", "5.4.100"), [
      undefined,
      undefined,
      undefined,
    ]);
    assert.deepEqual(effects("amd", "4.9.0", "7.3.4", "4.18.0-553.el8", "4.8.0"), [
      "off",
      "off",
      "off",
      undefined,
    ]);
  });
});

describe("producers", () => {
  const producing = (
    family: Parameters<typeof producerOf>[0],
    kind: Parameters<typeof producerOf>[1],
    text: string,
  ) => producerOf(family, kind, of(text))?.producing;

  it("are the MSIs of vfio-pci and the queues that a vDPA driver tells", () => {
    assert.equal(producing("vfio-pci", "msi", "6.12.41"), "yes");
    assert.equal(producing("vfio-pci", "intx", "6.12.41"), "no");
    for (const kind of ["other", "msi", "intx"] as const)
      assert.equal(producing("vfio", kind, "3.10.0"), "no");
    for (const family of ["vp-vdpa", "ifcvf", "eni-vdpa", "snet", "mlx5_vdpa", "pds_vdpa"] as const)
      assert.equal(producing(family, "queue", "6.12.41"), "yes");
    for (const family of ["vp-vdpa", "ifcvf", "eni-vdpa", "snet"] as const)
      assert.equal(producing(family, "config", "5.10.0"), "never");
    assert.equal(producing("ifcvf", "other", "6.12.41"), "no");
  });

  it("are not known where nothing was read", () => {
    assert.equal(producing("vp-vdpa", "queue", "5.15.0"), "no");
    assert.equal(producing("vp-vdpa", "queue", "5.17.0"), undefined);
    assert.equal(producing("vp-vdpa", "queue", "5.14.0-427.el9.x86_64"), undefined);
    assert.equal(producing("vfio-pci", "other", "6.12.41"), undefined);
    assert.equal(producing("mlx5_vdpa", "queue", "6.1.192"), undefined);
  });
});

describe("a switch as the kernel reads it", () => {
  const read = (value: string, text = "6.12.41") => readSwitch(value, of(text));
  it("goes by the first letter, on and off by two", () => {
    for (const value of ["1", "y", "Yes", "on", "ON", "only", "true", "1off"])
      assert.equal(read(value), true, value);
    for (const value of ["0", "n", "No", "off", "oF", "false", "0x1"])
      assert.equal(read(value), false, value);
    for (const value of ["", "o", "2", "auto", "-1", " 1"]) assert.equal(read(value), null, value);
  });

  it("goes by what the kernel knows", () => {
    assert.equal(read("on", "4.4.180"), null);
    assert.equal(read("true", "5.18.0"), null);
    assert.equal(read("true", "5.19.0"), true);
    assert.equal(read("true", "5.14.0-427.el9.x86_64"), undefined);
    assert.equal(read("enabled", "6.12.41"), null);
    assert.equal(read("enabled", "6.18.0"), undefined);
    assert.equal(read("enabled", "7.3.4"), true);
    assert.equal(read("disabled", "7.3.4"), false);
  });
});

describe("the command line as the kernel reads it", () => {
  const run = (text: string, vendor: "intel" | "amd" = "intel", kernel = "6.12.41") => {
    const states = runCommandLine(parseCommandLine(text), vendor, of(kernel));
    return (name: SwitchName) => states.get(name)?.on;
  };

  const posting: readonly (readonly [string, boolean | undefined])[] = [
    ["intremap=off intremap=nosid", false],
    ["intremap=nopost intremap=on", true],
    ["intremap=on,nopost", false],
    ["intremap=nopost,on", true],
    ["intremap=nosid,nopost", false],
    ["intremap=off intremap=on", true],
    ["intremap=nopsot", undefined],
    ["intremap=posted_msi", undefined],
    ["intremap=nopost -- intremap=on", false],
    ["quiet", undefined],
    ["intremap", undefined],
  ];
  for (const [text, on] of posting)
    it(`posting with ${text}`, () => {
      assert.equal(run(text)("posting"), on);
    });

  it("has remapping on a switch of its own", () => {
    assert.equal(run("nointremap intremap=on")("remapping"), true);
    assert.equal(run("intremap=on nointremap")("remapping"), false);
    assert.equal(run("intremap=off intremap=nosid")("remapping"), false);
    assert.equal(run("intremap=nopost")("remapping"), undefined);
  });

  it("does not know what on did to posting in kernels that were not read", () => {
    assert.equal(run("intremap=nopost intremap=on", "intel", "5.4.1")("posting"), null);
    assert.equal(run("intremap=on intremap=nopost", "intel", "5.4.1")("posting"), false);
    assert.equal(run("intremap=on", "intel", "5.4.1")("posting"), true);
  });

  it("lets the last word win for Intel's IOMMU, and off stick for AMD's and for all", () => {
    assert.equal(run("intel_iommu=off intel_iommu=on")("translation"), true);
    assert.equal(run("intel_iommu=on,off")("translation"), false);
    assert.equal(run("intel-iommu=off")("translation"), false);
    assert.equal(run("intel_iommu=sm_off,igfx_off")("translation"), undefined);
    assert.equal(run("amd_iommu=off amd_iommu=fullflush", "amd")("translation"), false);
    assert.equal(run("iommu=off intel_iommu=on")("translation"), false);
    assert.equal(run("iommu=pt iommu=force")("translation"), undefined);
    assert.equal(run("amd_iommu_intr=legacy amd_iommu_intr=vapic", "amd")("guest APIC mode"), true);
    assert.equal(run("amd-iommu-intr=legacy", "amd")("guest APIC mode"), false);
  });

  it("reads what switches MSI, ACPI and the APICs off, each as its handler compares it", () => {
    assert.equal(run("pci=nomsi")("MSI"), false);
    assert.equal(run("pci=noaer,nomsi,realloc pci=noats")("MSI"), false);
    assert.equal(run("pci=nomsix pci=xnomsi pci nomsi")("MSI"), undefined);
    assert.equal(run("nolapic", "amd")("MSI"), false);
    assert.equal(run("acpi=off")("ACPI"), false);
    assert.equal(run("acpi=off acpi=force")("ACPI"), true);
    assert.equal(run("acpi=off,force acpi=strict")("ACPI"), undefined);
    assert.equal(run("iommu=off acpi=force")("translation"), false);
    assert.equal(run("noapic intremap=on")("remapping"), false);
    assert.deepEqual(
      ["nosmp", "maxcpus=0", "maxcpus=4", "maxcpus"].map((word) => run(word, "amd")("remapping")),
      [false, false, undefined, undefined],
    );
    assert.equal(
      run("noapic", "intel", "4.4.180")("remapping") ?? run("nolapic", "intel", "4.14.1")("MSI"),
      null,
    );
    // Newer kernels do not read it, and an enterprise kernel of an older number may not.
    const old = ["6.13.9", "6.14.0", "6.12.0-55.el10"].map((kernel) =>
      run("disableapic", "intel", kernel)("MSI"),
    );
    assert.deepEqual(old, [false, undefined, null]);
    assert.equal(run("nointremap noapic", "intel", "4.4.180")("remapping"), false);
    assert.equal(run("noapic noapictimer no_timer_check nox2apic pci=noacpi")("posting"), undefined);
  });

  it("leaves the words of one vendor's driver alone on the other's CPU", () => {
    assert.equal(run("intel_iommu=off", "amd")("translation"), undefined);
    assert.equal(run("amd_iommu=off", "intel")("translation"), undefined);
  });

  it("takes the last word for a module's parameter that the kernel does not refuse", () => {
    const given = (text: string) =>
      moduleSwitch(parseCommandLine(text), "kvm_intel", "enable_apicv", of("6.12.41"));
    assert.equal(given("kvm-intel.enable_apicv=0")?.on, false);
    assert.equal(given("kvm_intel.enable_apicv=1 kvm-intel.enable-apicv=N")?.on, false);
    assert.equal(given("kvm_intel.enable_apicv=0 kvm_intel.enable_apicv")?.on, true);
    assert.equal(given("kvm_intel.enable_apicv=0 kvm_intel.enable_apicv=2")?.on, false);
    assert.equal(given("kvm_amd.enable_apicv=0"), undefined);
  });

  it("is a function of its words, whatever they are", () => {
    const word = fc.constantFrom(
      "intremap=",
      "intel_iommu=",
      "iommu=",
      "nointremap",
      "amd_iommu_intr=",
      "pci=",
      "acpi=",
      "noapic",
      "x=",
    );
    const value = fc.array(
      fc.constantFrom("on", "off", "nopost", "nosid", "posted_msi", "legacy", "nomsi", ""),
      {
        maxLength: 3,
      },
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(word, value), { maxLength: 6 }),
        fc.constantFrom("intel", "amd"),
        (words, vendor) => {
          const text = words.map(([name, values]) => name + values.join(",")).join(" ");
          const states = runCommandLine(parseCommandLine(text), vendor, of("6.12.41"));
          for (const { word: decided } of states.values()) assert.ok(text.includes(decided.text));
          // A word that nobody reads, at the end, changes nothing.
          assert.deepEqual(
            [...runCommandLine(parseCommandLine(`${text} quiet`), vendor, of("6.12.41"))],
            [...states],
          );
        },
      ),
    );
  });
});

describe("architectures", () => {
  const cases: readonly (readonly [Arch, string])[] = [
    ["x86", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nflags\t\t: vmx\n"],
    ["x86", "processor\t: 0\nvendor_id\t:   Shanghai  \ncpu family\t: 7\nflags\t\t: vmx\n"],
    [
      "arm64",
      "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU revision\t: 1\n",
    ],
    [
      "arm",
      "processor\t: 0\nmodel name\t: ARMv7 Processor rev 3 (v7l)\nCPU implementer\t: 0x41\nCPU revision\t: 3\n",
    ],
    [
      "arm64",
      "processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU revision\t: 1\n",
    ],
    ["s390x", "vendor_id       : IBM/S390\n# processors    : 2\nfeatures\t: esan3 sie\n"],
    ["ppc64", "processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 3800.0MHz\nrevision\t: 2.2\n"],
    ["riscv64", "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdch\nmmu\t\t: sv48\n"],
    [
      "loongarch64",
      "system type\t\t: generic-loongson-machine\n\nprocessor\t\t: 0\nCPU Family\t\t: Loongson-64bit\nCPU Revision\t\t: 0x11\n",
    ],
    [
      "mips64",
      "system type\t\t: malta\ncpu model\t\t: MIPS P5600\nisa\t\t\t: mips1\nASEs implemented\t: vz\n",
    ],
  ];
  for (const [arch, text] of cases) it(arch, () => assert.equal(parseCpuInfo(text).arch, arch));

  it("are not guessed at", () => {
    for (const text of ["", "processor : 0\n", "vendor_id : somebody\n"])
      assert.throws(() => parseCpuInfo(text), FormatError);
  });
});
