/**
 * Texts of unknown format: named and shown raw, never interpreted.
 */
import type { Host, Later } from "../facts/host.js";
import type { Reading } from "../source/source.js";
import type { Report } from "./report.js";

/** Every reading of both samples that is strange. */
export function strangeOf(host: Host, later: Later): Report["strange"] {
  const all: Reading<unknown>[] = [
    host.kernel,
    host.cpu,
    host.cmdline,
    host.interrupts,
    host.intelTables,
    ...host.amdTables,
    ...host.modules.flatMap(({ parameters }) => [...parameters.values()]),
  ];
  for (const unit of host.units.state === "read" ? host.units.value : []) {
    if (unit.kind === "intel") all.push(unit.cap, unit.ecap);
    if (unit.kind === "amd") all.push(unit.features);
  }
  for (const { vectors } of host.devices)
    for (const { files, debug } of vectors) all.push(files.perCpu, debug);
  for (const { eventfds } of host.processes.found) for (const { info } of eventfds) all.push(info);
  const second: Reading<unknown>[] = [later.interrupts, ...later.perCpu.values(), ...later.eventfds.values()];
  const found = strange(all, "");
  const paths = new Set(found.map(({ path }) => path));
  return [...found, ...strange(second, "in the second sample ").filter(({ path }) => !paths.has(path))];
}

function strange(readings: readonly Reading<unknown>[], when: string): Report["strange"] {
  return readings
    .filter((one) => one.state === "strange")
    .map(({ path, problem, raw }) => ({ path: `/${path}`, problem: `${when}${problem}`, raw }));
}
