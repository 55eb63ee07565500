/** All suites, in the order in which they run. */
import type { Suite } from "../harness/suite.js";
import { latency } from "./latency.js";
import { pair } from "./pair.js";
import { register } from "./register.js";
import { signal } from "./signal.js";

export const suites: readonly Suite[] = [register, pair, signal, latency];
