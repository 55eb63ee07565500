import type { InterruptFile } from "irqbypass";
import { type Exports, loadFiles } from "../harness/files.js";
import { type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measure, timed, untimed } from "../harness/timing.js";

/** As many as a first-level cache holds. */
const FILES = 256;
const ON = 1;

/** Rounds of a post to each file, which all have these bits in their control words before. */
const posts =
  (bits: number, post: (c: Exports, files: readonly InterruptFile[]) => void, calls = false): Prepare =>
  async (parameters) => {
    const { exports, files } = await loadFiles(FILES, calls);
    const start = files[0]!.byteOffset;
    const phases = [untimed(() => exports.reset(start, FILES, bits)), timed(() => post(exports, files))];
    return () => ({ values: { post: measure(roundMs(parameters), FILES, ...phases)[0]! } });
  };

const inC =
  (work: "post" | "bare") =>
  (exports: Exports, files: readonly InterruptFile[]): void =>
    exports[work](files[0]!.byteOffset, FILES);

/** By the method, which runs the compiled fast path. */
const byMethod = (_: Exports, files: readonly InterruptFile[]) => {
  for (let i = 0; i < FILES; i++) files[i]!.post((i * 37) & 255);
};

/** The trials that the targets are of. */
export const ON_SET = "ON set: a running CPU that has not looked yet";
export const ON_CLEAR = "ON clear: the first post since a harvest";
export const BARE = "a bare or";

const inCWith = (on: "set" | "clear") => `post in C, ${on}`;
const names = (on: "set" | "clear") => [
  inCWith(on),
  BARE,
  `file.imports() from C, ${on}`,
  `file.post(), ${on}`,
];

export const file: Suite = {
  name: "file",
  about:
    "A post to each of 256 interrupt files that nobody sleeps on, beside a bare atomic or of the same words in the same module.",
  measures: [{ key: "post", title: "a post", unit: "ns" }],
  contestants: {
    [BARE]: posts(0, inC("bare")),
    "post in C, set": posts(ON, inC("post")),
    "file.imports() from C, set": posts(ON, inC("post"), true),
    "file.post(), set": posts(ON, byMethod),
    "post in C, clear": posts(0, inC("post")),
    "file.imports() from C, clear": posts(0, inC("post"), true),
    "file.post(), clear": posts(0, byMethod),
  },
  trials: () => [
    { title: ON_SET, parameters: {}, contestants: names("set") },
    { title: ON_CLEAR, parameters: {}, contestants: names("clear") },
  ],
};
