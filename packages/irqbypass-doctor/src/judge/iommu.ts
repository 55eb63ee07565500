/**
 * The links that are the IOMMU: that it is in use, remaps interrupts, and can post them.
 */
import type { Host, Unit } from "../facts/host.js";
import { hasGa, hasGuestApic } from "../parse/iommu-amd.js";
import { canPost, canRemap } from "../parse/iommu-intel.js";
import { efrOf } from "../rules/amd-features.js";
import { known } from "../source/source.js";
import { link, NO_SYSFS, releaseOf, seen, whyNot } from "./link.js";
import type { ChainLink, Evidence } from "./report.js";

export function iommu(host: Host): ChainLink {
  const units = known(host.units) ?? [];
  const { count, noiommu } = known(host.groups) ?? { count: 0, noiommu: 0 };
  const groups = count - noiommu;
  const inGroups = `${groups} ${groups === 1 ? "group" : "groups"}`;
  const evidence = [
    seen(host.units, units.length === 0 ? "no unit" : units.map(({ name }) => name).join(", ")),
    seen(host.groups, noiommu === 0 ? inGroups : `${inGroups}, and ${noiommu} of VFIO's own (noiommu)`),
  ];
  if (host.units.state === "unreadable")
    return link("IOMMU", "unknown", `/${host.units.path} ${whyNot(host.units)}`);
  if (host.units.state === "absent" && !host.sysfs) return link("IOMMU", "unknown", NO_SYSFS, ...evidence);
  if (units.length === 0) {
    if (groups > 0) return link("IOMMU", "unknown", `${inGroups}, but no unit shows itself`, ...evidence);
    const says =
      noiommu === 0
        ? "no IOMMU is in use"
        : "no IOMMU is in use: VFIO runs in noiommu mode, with groups that it made itself";
    return link("IOMMU", "broken", says, ...evidence);
  }
  const all = units.length === 1 ? `1 unit (${units[0]!.name})` : `${units.length} units (${names(units)})`;
  return link("IOMMU", "holds", `${all}, ${inGroups}`, ...evidence);
}

function names(units: readonly Unit[]): string {
  const all = units.map(({ name }) => name);
  return all.length <= 4 ? all.join(", ") : `${all[0]} to ${all.at(-1)}`;
}

export function remapping(host: Host): ChainLink {
  const name = "interrupt remapping";
  const tables = known(host.intelTables);
  if (tables !== undefined && tables.disabled.length > 0) {
    return link(
      name,
      "broken",
      `off on ${tables.disabled.join(", ")}`,
      seen(host.intelTables, "Interrupt Remapping is not enabled"),
    );
  }
  const off = host.amdTables.find((table) => known(table)?.state === "remapping off");
  if (off !== undefined) return link(name, "broken", "off", seen(off, "Interrupt remapping is disabled"));
  const interrupts = known(host.interrupts);
  if (interrupts === undefined)
    return link(name, "unknown", `/${host.interrupts.path} ${whyNot(host.interrupts)}`);
  const chips = [...interrupts.lines.values()].map(({ chip }) => chip);
  const remapped = chips.filter((chip) => chip.startsWith("IR-")).length;
  const plain = chips.filter((chip) => /^(PCI-MSI|IO-APIC)/.test(chip)).length;
  if (remapped > 0) {
    const says =
      plain === 0
        ? "on: the chips of all interrupts are IR-"
        : `on, but ${plain} interrupts are not remapped`;
    return link(
      name,
      "holds",
      says,
      seen(host.interrupts, `${remapped} of ${remapped + plain} chips start with IR-`),
    );
  }
  const units = known(host.units) ?? [];
  const incapable = units.filter(
    (unit) => unit.kind === "intel" && known(unit.ecap) !== undefined && !canRemap(known(unit.ecap)!),
  );
  const capability = incapable.map((unit) => ({
    source: `/sys/class/iommu/${unit.name}/intel-iommu/ecap`,
    says: "bit 3 (interrupt remapping) is 0",
  }));
  if (plain === 0)
    return link(name, "unknown", "no interrupt shows a chip of PCI or of the I/O APIC", ...capability);
  return link(
    name,
    "broken",
    "off: no chip starts with IR-",
    seen(host.interrupts, `${plain} chips, none starts with IR-`),
    ...capability,
  );
}

export function capability(host: Host): ChainLink {
  const name = "posting capability";
  const units = known(host.units) ?? [];
  const able = units.filter(({ kind }) => kind !== "other");
  if (able.length === 0) {
    const none =
      units.length === 0 && (host.units.state === "read" || (host.units.state === "absent" && host.sysfs));
    return link(
      name,
      none ? "broken" : "unknown",
      none ? "no unit to post" : "the units do not show their capabilities",
    );
  }
  const lacking: Evidence[] = [];
  const hidden: string[] = [];
  for (const unit of able) {
    const found = lackOf(host, unit);
    if (typeof found === "string") hidden.push(found);
    else if (found !== undefined) lacking.push(found);
  }
  if (lacking.length > 0) {
    const which = lacking.map(({ says }) => says.slice(0, says.indexOf(":"))).join(", ");
    return link(
      name,
      "broken",
      `${lacking.length} of ${able.length} units cannot post: ${which}; all must`,
      ...lacking,
    );
  }
  if (hidden.length > 0) return link(name, "unknown", hidden[0]!);
  const narrow = host.amdTables.find((reading) => {
    const table = known(reading);
    return table?.state === "table" && !table.wide;
  });
  if (narrow !== undefined)
    return link(
      name,
      "broken",
      "the IOMMU runs with 32-bit table entries, which cannot be posted",
      seen(narrow, "rows of one word of 32 bits"),
    );
  const intel = able.some(({ kind }) => kind === "intel");
  if (intel && known(host.cpu)?.flags.has("cx16") === false) {
    return link(name, "broken", "the CPU lacks cmpxchg16b", seen(host.cpu, "flags lack cx16"));
  }
  const proof = intel
    ? { source: "/sys/class/iommu/dmar*/intel-iommu/cap", says: "bit 59 is 1 in each" }
    : { source: "/sys/class/iommu/ivhd*/amd-iommu/features", says: "bits 7 and 21 are 1 in each" };
  return link(name, "holds", `${able.length} of ${able.length} units can post`, proof);
}

/** What one unit lacks, why that is not known as a clause, or undefined if it lacks nothing. */
function lackOf(host: Host, unit: Unit): Evidence | string | undefined {
  if (unit.kind === "intel") {
    const cap = known(unit.cap);
    if (cap === undefined) return `/${unit.cap.path} ${whyNot(unit.cap)}`;
    return canPost(cap) ? undefined : seen(unit.cap, `${unit.name}: bit 59 (posted interrupts) is 0`);
  }
  if (unit.kind === "other") return undefined;
  const words = known(unit.features);
  if (words === undefined) return `/${unit.features.path} ${whyNot(unit.features)}`;
  const efr = efrOf(words, releaseOf(host));
  if (efr === undefined)
    return `/${unit.features.path} shows two registers, and which of them tells is not known for this kernel`;
  if (!hasGa(efr)) return seen(unit.features, `${unit.name}: bit 7 (GA) is 0`);
  return hasGuestApic(efr)
    ? undefined
    : seen(unit.features, `${unit.name}: bit 21 (guest virtual APIC) is 0`);
}
