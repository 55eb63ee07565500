import { fileURLToPath } from "node:url";
import { type Subject, subjects } from "atomics-explorer";

/** The folder of the scenario files. */
export const SCENARIOS = fileURLToPath(new URL("../../../scenarios/", import.meta.url));

/** The scenarios of the fabric that `wanted` names, with their twins; all of them where it names none. */
export function scenarios(wanted: readonly string[] = []): Promise<Subject[]> {
  return subjects(wanted, SCENARIOS);
}
