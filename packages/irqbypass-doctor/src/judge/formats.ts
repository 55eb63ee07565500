/**
 * Which generations of the kernel's formats were matched, so that a reader can check the reading.
 */
import type { Host } from "../facts/host.js";
import { known } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";

/** One short clause for each format that has generations. */
export function formatsOf(host: Host, trace: TraceFacts | undefined): string[] {
  const formats: string[] = [];
  const chips = [...(known(host.interrupts)?.lines.values() ?? [])].map(({ chip }) => chip);
  const msi = chips.filter((chip) => /PCI-MSI/.test(chip));
  if (msi.length > 0) {
    const addressed = msi.some((chip) => /-[0-9a-f]{4,8}:[0-9a-f]{2}:/.test(chip));
    formats.push(
      addressed ? "chip names with the PCI address" : "chip names without the PCI address (before about 6.2)",
    );
  }
  const infos = host.processes.found.flatMap(({ eventfds }) => eventfds.map(({ info }) => known(info)));
  const info = infos.find((one) => one !== undefined);
  if (info !== undefined) {
    const id = info.id === null ? "no eventfd-id (before about 5.2)" : "eventfd-id";
    formats.push(`fdinfo with ${id}${info.semaphore === null ? "" : " and eventfd-semaphore"}`);
  }
  const devices = host.processes.found
    .flatMap(({ held }) => held)
    .filter(({ descriptor }) => descriptor.kind === "vfio-device");
  if (devices.length > 0) {
    const named = devices.some(({ address }) => address !== undefined);
    formats.push(
      named ? "fdinfo with vfio-device-syspath" : "fdinfo without vfio-device-syspath (before about 6.18)",
    );
  }
  const own = host.modules
    .map(({ parameters }) => parameters.get("enable_device_posted_irqs"))
    .filter((one) => one !== undefined);
  if (own.length > 0) {
    const there = own.some(({ state }) => state !== "absent");
    formats.push(
      there ? "enable_device_posted_irqs (6.16 on)" : "no enable_device_posted_irqs (before 6.16)",
    );
  }
  if (host.intelTables.state === "read") formats.push("ir_translation_struct of Intel");
  if (host.amdTables.some((table) => known(table)?.state === "table")) formats.push("irqtbl of AMD");
  if (trace?.generation != null) formats.push(`kvm_pi_irte_update: ${trace.generation}`);
  return formats;
}
