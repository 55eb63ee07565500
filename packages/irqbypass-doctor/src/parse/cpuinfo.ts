/**
 * /proc/cpuinfo: of which architecture the host is, who made the CPU and what it can do; the first CPU stands for all.
 */
import { FormatError } from "../source/error.js";

/** Architectures on which KVM runs, as uname has them; x86 is x86_64. */
export type Arch = "x86" | "arm64" | "s390x" | "ppc64" | "riscv64" | "loongarch64" | "mips64" | "arm";

export interface CpuInfo {
  readonly arch: Arch;
  /** Whose virtualisation and IOMMU it has; of x86 only. */
  readonly vendor: "intel" | "amd" | "other";
  /** Model name, or "" where the architecture prints none. */
  readonly model: string;
  /** Family of an x86 CPU: 23 (17h) for Zen, 25 (19h) for Zen 3 and 4, 26 (1Ah) for Zen 5; null elsewhere. */
  readonly family: number | null;
  readonly flags: ReadonlySet<string>;
  /** What VMX can do, "posted_intr"; undefined where no such line is printed (before 5.6, and not on Intel). */
  readonly vmx: ReadonlySet<string> | undefined;
}

type Fields = ReadonlyMap<string, string>;

const VENDORS: ReadonlyMap<string, CpuInfo["vendor"]> = new Map([
  ["GenuineIntel", "intel"],
  ["AuthenticAMD", "amd"],
  ["HygonGenuine", "amd"],
]);

/** What tells an architecture by the fields that it prints; the first that fits counts. */
const ARCHITECTURES: readonly (readonly [arch: Arch, fits: (fields: Fields) => boolean])[] = [
  ["s390x", (fields) => fields.get("vendor_id") === "IBM/S390"],
  [
    "x86",
    (fields) =>
      VENDORS.has(fields.get("vendor_id") ?? "") || (fields.has("vendor_id") && fields.has("flags")),
  ],
  // 32-bit Arm names the model, 64-bit Arm for a 32-bit reader only; "asimd" is 64-bit Arm's name for what 32-bit calls "neon".
  [
    "arm",
    (fields) =>
      fields.has("CPU implementer") &&
      /^ARMv\d/.test(fields.get("model name") ?? "") &&
      !/\basimd\b/.test(fields.get("Features") ?? ""),
  ],
  ["arm64", (fields) => fields.has("CPU implementer")],
  ["riscv64", (fields) => fields.has("hart") && fields.has("isa")],
  [
    "loongarch64",
    (fields) =>
      /^loongarch/i.test(fields.get("ISA") ?? "") || /^Loongson-64/.test(fields.get("CPU Family") ?? ""),
  ],
  ["ppc64", (fields) => /^(POWER|PPC)/i.test(fields.get("cpu") ?? "")],
  ["mips64", (fields) => fields.has("cpu model") && fields.has("isa") && fields.has("ASEs implemented")],
];

/**
 * @throws FormatError if the CPU is of no architecture that is known, or if the lists of what an x86 CPU can do are not
 * whole: a word that is not there would be taken for what the CPU lacks.
 */
export function parseCpuInfo(text: string): CpuInfo {
  const fields = new Map<string, string>();
  const lines = text.split("\n");
  // What follows the last newline was cut off, if it is anything.
  for (const line of lines.slice(0, -1)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).trim();
    if (name !== "" && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
    if (fields.has("power management") || fields.has("CPU revision")) break;
  }
  const arch = ARCHITECTURES.find(([, fits]) => fits(fields))?.[0];
  if (arch === undefined) throw new FormatError("describes a CPU of no architecture that is known here");
  const words = (name: string) => {
    const all = (fields.get(name) ?? "").split(/\s+/);
    if (!all.every((word) => /^\w+$/.test(word))) throw new FormatError(`"${name}" is no list of words`);
    return new Set(all);
  };
  if (arch !== "x86") {
    return { arch, vendor: "other", model: "", family: null, flags: new Set(), vmx: undefined };
  }
  const family = fields.get("cpu family") ?? "";
  const flags = words("flags");
  const made = VENDORS.get(fields.get("vendor_id")!);
  return {
    arch,
    // SVM is AMD's, whoever made the CPU.
    vendor: made ?? (flags.has("svm") && !flags.has("vmx") ? "amd" : "other"),
    model: fields.get("model name") ?? "",
    family: /^\d{1,4}$/.test(family) ? Number(family) : null,
    flags,
    vmx: fields.has("vmx flags") ? words("vmx flags") : undefined,
  };
}
