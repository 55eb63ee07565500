/**
 * Looks at a KVM host and says which device interrupts go straight into the guest, and what keeps the others from it.
 */
export { type Host, type Later, readHost, readLater } from "./facts/host.js";
export { type Case, diagnose } from "./judge/diagnose.js";
export type { Report } from "./judge/report.js";
export { textReport } from "./report/text.js";
export { DoctorError } from "./source/error.js";
export { LiveSource, liveSampling } from "./source/live.js";
export { openSaved, type SavedTree } from "./source/saved.js";
export type { Sampling, Source } from "./source/source.js";
