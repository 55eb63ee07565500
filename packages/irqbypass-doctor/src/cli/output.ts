/**
 * Everything that the command prints, on its way out: nobody else writes. Whatever a writer below forgot to make
 * visible is made so here.
 */
import { forTerminal } from "../report/wrap.js";
import { visible, visibleJson, visibleLines } from "../source/visible.js";
import type { DoctorIo } from "./io.js";

const ERASE_LINE = "\r\u001b[K";
const CLEAR_SCREEN = "\u001b[H\u001b[2J";

/** One method for each kind of thing that is printed. */
export class Output {
  readonly #io: DoctorIo;

  constructor(io: DoctorIo) {
    this.#io = io;
  }

  /** A report as text, with our own paint in it. */
  report(text: string): void {
    this.#io.stdout(forTerminal(text));
  }

  /** Takes the last report away where standard output is a terminal. */
  clear(): void {
    if (this.#io.columns !== undefined) this.#io.stdout(CLEAR_SCREEN);
  }

  /** A value as JSON, on one line or indented. */
  json(value: unknown, oneLine = false): void {
    this.#io.stdout(`${visibleJson(value, oneLine ? undefined : 2)}\n`);
  }

  /** Lines for a machine, or of a script. */
  lines(text: string): void {
    this.#io.stdout(visibleLines(text));
  }

  /** One sentence on standard error. */
  say(sentence: string): void {
    this.#io.stderr(`irqbypass-doctor: ${visible(sentence)}\n`);
  }

  /** Lines on standard error. */
  complain(text: string): void {
    this.#io.stderr(visibleLines(text));
  }

  /** What takes a while; drawn over by the next, and only on a terminal. */
  progress(text: string): void {
    if (this.#io.progress) this.#io.stderr(`\r${visible(text)} `);
  }

  /** Takes the progress away. */
  progressed(): void {
    if (this.#io.progress) this.#io.stderr(ERASE_LINE);
  }
}
