// What this entry point exports; written by npm run api; review what changes.
declare class ExplorerError extends Error {
    readonly code = "EINVAL";
    constructor(message: string, options?: {
        readonly cause: unknown;
    });
}
type Choice = number;
declare function formatSchedule(choices: readonly Choice[]): string;
declare function parseSchedule(text: string): Choice[];
declare const enum Op {
    load = 0,
    store = 1,
    or = 2,
    and = 3,
    add = 4,
    exchange = 5,
    compareExchange = 6,
    load64 = 7,
    store64 = 8,
    compareExchange64 = 9,
    wait = 10,
    notify = 11,
    relax = 12,
    get = 13,
    set = 14,
    probe = 15
}
interface Performed {
    readonly thread: number;
    readonly op: Op;
    readonly word: number;
    readonly operands: readonly (number | bigint)[];
    readonly result: number | bigint;
}
interface ChartLine {
    readonly step: number;
    readonly thread: number;
    readonly text: string;
}
type Detail = "steps" | "accesses";
declare function drawChart(lines: readonly ChartLine[], names: readonly string[], width: number): string;
interface Discipline {
    name(word: number): string;
    isMutex?(word: number): boolean;
    objection(access: Access, word: number, value: number, thread: number, lastSet: (word: number) => number | undefined): string | undefined;
    transition?(thread: number, word: number, before: number, after: number): string | undefined;
}
type Access = "read" | "change" | "wide" | "get" | "set";
interface Words {
    load(word: number): number;
    store(word: number, value: number): void;
    or(word: number, value: number): number;
    and(word: number, value: number): number;
    add(word: number, value: number): number;
    exchange(word: number, value: number): number;
    compareExchange(word: number, expected: number, value: number): number;
    load64(word: number): bigint;
    store64(word: number, value: bigint): void;
    compareExchange64(word: number, expected: bigint, value: bigint): bigint;
    wait(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out";
    waitAsync(word: number, expected: number, timeoutMs: number): Promise<"ok" | "not-equal" | "timed-out">;
    notify(word: number, count?: number): number;
    relax(): void;
    clock(): number;
    get(word: number): number;
    set(word: number, value: number): void;
}
interface World {
    memory(words: number, names?: readonly string[]): void;
    words(thread: string): Words;
    adopt(thread: string, buffer: SharedArrayBuffer, byteOffset: number, length: number): Words;
    thread(name: string): WorldThread;
    discipline: Discipline | undefined;
}
interface WorldThread {
    readonly index: number;
    alive(index: number): boolean;
}
interface Cast {
    readonly threads: Readonly<Record<string, () => unknown>>;
    readonly daemons?: readonly string[];
    readonly keeps?: readonly object[];
    readonly always?: () => void;
    readonly end?: (results: Readonly<Record<string, unknown>>) => void;
}
interface Twin {
    readonly sentence: string;
    readonly bug?: {
        readonly id: string;
        readonly year: number;
    };
    setup(world: World): Cast;
}
interface ScenarioOptions {
    readonly preemptions?: number;
    readonly kills?: readonly string[];
    readonly timeouts?: "never" | "stuck" | number;
    readonly relax?: "wait" | "pass";
    readonly mutexes?: "explored" | "assumed";
}
interface Scenario extends ScenarioOptions {
    readonly sentence: string;
    readonly long?: true;
    setup(world: World): Cast;
    readonly twins: Readonly<Record<string, Twin>>;
}
interface Tally {
    transitions: number;
    states: number;
    runs: number;
    schedules: number;
    killed: number;
    depth: number;
    missProbability: number;
}
interface Violation {
    readonly message: string;
    readonly choices: readonly Choice[];
    readonly preemptions: number;
}
interface SimulationSettings extends ScenarioOptions {
    readonly reduce?: boolean;
    readonly transitions?: boolean;
    readonly maxDepth?: number;
}
interface ExploreSettings extends SimulationSettings {
    readonly progress?: (tally: Tally) => boolean;
}
declare class Explorer {
    constructor(setup: (world: World) => Cast, settings?: ExploreSettings);
    get tally(): Readonly<Tally>;
    get violation(): Violation | undefined;
    get threads(): readonly {
        readonly name: string;
    }[];
    nameOf(word: number): string;
    explore(): Promise<void>;
    get interrupted(): boolean;
    follow(choices: readonly Choice[], trace?: (performed: Performed, step: number) => void): Promise<readonly Choice[]>;
}
interface Replay {
    readonly violation: string | undefined;
    readonly id: string;
    readonly threads: readonly string[];
    readonly lines: readonly ChartLine[];
}
declare function replay(setup: (world: World) => Cast, settings: ExploreSettings, choices: readonly Choice[], detail?: Detail): Promise<Replay>;
declare function chartOf({ lines, threads }: Replay, width: number): string;
declare function shorten(setup: (world: World) => Cast, settings: ExploreSettings, found: Violation, steps?: number): Promise<Violation>;
interface Report {
    readonly name: string;
    readonly sentence: string;
    readonly twin: boolean;
    readonly threads: readonly string[];
    readonly tally: Tally;
    readonly extent: "exhaustive" | "bounded" | "interrupted" | "violated";
    readonly bounds: readonly string[];
    readonly mutexes: "explored" | "assumed";
    readonly timeLimits: "never pass" | "pass when nothing else can happen" | "pass at any moment, as bounded";
    readonly seconds: number;
    readonly violation: {
        readonly message: string;
        readonly id: string;
        readonly steps: number;
    } | undefined;
    readonly passed: boolean;
}
interface Subject {
    readonly name: string;
    readonly sentence: string;
    readonly twin: boolean;
    readonly scenario: string;
    readonly long: boolean;
    readonly bug: Twin["bug"];
    readonly settings: ExploreSettings;
    readonly setup: (world: World) => Cast;
}
declare function subjectsOf(name: string, scenario: Scenario): Subject[];
declare function exploreSubject(subject: Subject, more?: ExploreSettings): Promise<Report>;
declare function count(value: number): string;
declare function reportText(report: Report): string;
declare function subjects(wanted: readonly string[], folder?: string): Promise<Subject[]>;
declare function subjectOfReplay(id: string, folder?: string): Promise<{
    subject: Subject;
    schedule: string;
}>;
declare function replayId(id: string, detail?: Detail, folder?: string): Promise<Replay>;
declare function saveTest(file: string, id: string, message: string | undefined, folder?: string): Promise<void>;
declare function sharedArray(words: Words, start: number, length: number, { unsigned, }?: {
    readonly unsigned?: boolean;
}): Int32Array;
declare function override(words: Words, replaced: Partial<Words>): Words;
export { Explorer, ExplorerError, chartOf, count, drawChart, exploreSubject, formatSchedule, override, parseSchedule, replay, replayId, reportText, saveTest, sharedArray, shorten, subjectOfReplay, subjects, subjectsOf };
export type { Access, Cast, ChartLine, Choice, Detail, Discipline, ExploreSettings, Op, Performed, Replay, Report, Scenario, ScenarioOptions, SimulationSettings, Subject, Tally, Twin, Violation, Words, World, WorldThread };
