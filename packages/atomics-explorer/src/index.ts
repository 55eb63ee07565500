/**
 * Runs every interleaving of a few threads over shared memory, and finds the one that goes wrong. See docs/explorer.md
 * for what it can show and what it cannot.
 */
export { sharedArray } from "./arrays.js";
export { type ChartLine, type Detail, drawChart } from "./chart.js";
export { ExplorerError } from "./error.js";
export { Explorer, type ExploreSettings } from "./explorer.js";
export { replayId, saveTest, subjectOfReplay, subjects } from "./files.js";
export { override } from "./override.js";
export { chartOf, type Replay, replay, shorten } from "./replay.js";
export { count, exploreSubject, type Report, reportText, type Subject, subjectsOf } from "./report.js";
export type { Access, Cast, Discipline, Scenario, ScenarioOptions, Twin } from "./scenario.js";
export { type Choice, formatSchedule, parseSchedule } from "./schedule.js";
export type { Tally, Violation } from "./tally.js";
export type { Words } from "./words.js";
export type { World, WorldThread } from "./world.js";
