/**
 * /proc/cpuinfo: who made the CPU and what it can do; the first CPU stands for all.
 */
import { FormatError } from "../source/error.js";

export interface CpuInfo {
  readonly vendor: "intel" | "amd" | "arm" | "other";
  /** Model name, or "" where the architecture prints none. */
  readonly model: string;
  readonly flags: ReadonlySet<string>;
  /** What VMX can do, "posted_intr"; undefined where no such line is printed (before 5.6, and not on Intel). */
  readonly vmx: ReadonlySet<string> | undefined;
}

/** @throws FormatError if neither an x86 nor an arm64 CPU is described. */
export function parseCpuInfo(text: string): CpuInfo {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).trim();
    if (name !== "" && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
    if (fields.has("power management") || fields.has("CPU revision")) break;
  }
  const words = (name: string) =>
    new Set((fields.get(name) ?? "").split(/\s+/).filter((word) => word !== ""));
  const id = fields.get("vendor_id");
  if (id !== undefined) {
    const vendor =
      id === "GenuineIntel" ? "intel" : id === "AuthenticAMD" || id === "HygonGenuine" ? "amd" : "other";
    return {
      vendor,
      model: fields.get("model name") ?? "",
      flags: words("flags"),
      vmx: fields.has("vmx flags") ? words("vmx flags") : undefined,
    };
  }
  if (fields.has("CPU implementer"))
    return { vendor: "arm", model: "", flags: words("Features"), vmx: undefined };
  throw new FormatError("describes neither an x86 nor an arm64 CPU");
}
