import { fileURLToPath } from "node:url";

/** The folder of the shipped example workloads. */
export const EXAMPLES = fileURLToPath(new URL("../../../examples/", import.meta.url));
