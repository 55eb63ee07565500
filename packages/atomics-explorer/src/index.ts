/**
 * Runs every interleaving of a few threads over shared memory, and finds the one that goes wrong. See docs/explorer.md
 * for what it can show and what it cannot.
 *
 * @packageDocumentation
 */

export { ExplorerError } from "./error.js";
export { type ChartLine, type Detail, drawChart } from "./report/chart.js";
export { replayId, saveTest, subjectOfReplay, subjects } from "./report/files.js";
export { chartOf, type Replay, replay, shorten } from "./report/replay.js";
export { count, exploreSubject, type Report, reportText, type Subject, subjectsOf } from "./report/report.js";
export { Explorer, type ExploreSettings } from "./search/explorer.js";
export type { Cast, Scenario, ScenarioOptions, Twin } from "./search/scenario.js";
export { type Choice, formatSchedule, parseSchedule } from "./search/schedule.js";
export type { SimulationSettings } from "./search/simulation.js";
export type { Tally, Violation } from "./search/tally.js";
export { sharedArray } from "./world/arrays.js";
export type { Access, Discipline } from "./world/discipline.js";
export type { Op, Performed } from "./world/op.js";
export { override } from "./world/override.js";
export type { Words } from "./world/words.js";
export type { World, WorldThread } from "./world/world.js";
