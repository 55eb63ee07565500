import assert from "node:assert/strict";
import { test } from "node:test";
import { Painter, type Screen } from "#src/cli/painter.js";
import { line } from "#src/cli/style.js";
import { chooseView } from "#src/cli/view.js";
import { result, SMALL } from "./sample.js";

const ESCAPE = String.fromCharCode(27);
/** An escape sequence, a move, or text. */
const PIECES = new RegExp(`${ESCAPE}\\[(\\??[0-9;]*)([A-Za-z])|([\r\n])|([^${ESCAPE}\r\n]+)`, "g");

/** A terminal of some size: it understands what the painter writes, and nothing else. */
class Terminal implements Screen {
  readonly isTTY = true;
  columns: number;
  rows: number;
  /** All lines, those that were scrolled out above too. */
  lines: string[] = [""];
  cursorShown = true;
  takes = true;
  #row = 0;
  #column = 0;
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): boolean {
    const pieces = text.matchAll(PIECES);
    for (const [, argument, command, move, plain] of pieces) {
      if (plain !== undefined) this.#put(plain);
      else if (move === "\r") this.#column = 0;
      else if (move === "\n") this.#feed();
      else this.#command(command ?? "", argument ?? "");
    }
    return this.takes;
  }

  /** What is seen. */
  get text(): string {
    return this.lines
      .map((one) => one.trimEnd())
      .join("\n")
      .trimEnd();
  }

  on(event: string, listener: () => void): void {
    this.#listeners.set(event, (this.#listeners.get(event) ?? new Set()).add(listener));
  }

  off(event: string, listener: () => void): void {
    this.#listeners.get(event)?.delete(listener);
  }

  emit(event: "resize" | "drain"): void {
    for (const listener of this.#listeners.get(event) ?? []) listener();
  }

  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }

  /** As a terminal that breaks lines anew: one that is too long takes several. */
  resize(columns: number): void {
    const before = this.lines.slice(0, this.#row);
    const wrapped = before.flatMap((one) => one.trimEnd().match(new RegExp(`.{1,${columns}}`, "g")) ?? [""]);
    this.lines = [...wrapped, ""];
    this.#row = wrapped.length;
    this.columns = columns;
    this.emit("resize");
  }

  #put(text: string): void {
    const before = (this.lines[this.#row] ?? "").padEnd(this.#column);
    this.#column += text.length;
    assert.ok(this.#column < this.columns, `the last of ${this.columns} columns was written to: ${text}`);
    this.lines[this.#row] = before.slice(0, this.#column - text.length) + text + before.slice(this.#column);
  }

  #feed(): void {
    this.#row += 1;
    this.#column = 0;
    if (this.#row === this.lines.length) this.lines.push("");
  }

  #command(command: string, argument: string): void {
    if (command === "A") {
      assert.ok(Number(argument) < this.rows, "the cursor went above the screen");
      this.#row = Math.max(0, this.#row - Number(argument));
    } else if (command === "K") {
      this.lines[this.#row] = (this.lines[this.#row] ?? "").slice(0, this.#column);
    } else if (command === "J") {
      this.lines = [...this.lines.slice(0, this.#row), (this.lines[this.#row] ?? "").slice(0, this.#column)];
    } else if (argument === "?25") {
      this.cursorShown = command === "h";
    } else {
      assert.equal(command, "m", `an escape that is not plain: ${argument}${command}`);
    }
  }
}

test("frames are drawn over each other, also when they become shorter", () => {
  const terminal = new Terminal(20, 10);
  let lines = ["one", "two", "three"];
  const painter = new Painter(terminal, false, () => lines.map((text) => line(text)));
  assert.equal(terminal.cursorShown, false);
  painter.paint();
  assert.equal(terminal.text, "one\ntwo\nthree");
  lines = ["1", "2"];
  painter.paint();
  assert.equal(terminal.text, "1\n2");
  painter.above([line("a note")]);
  assert.equal(terminal.text, "a note\n1\n2");
  painter.close();
  assert.equal(terminal.text, "a note");
  assert.equal(terminal.cursorShown, true);
  assert.equal(terminal.listeners, 0);
  painter.paint();
  painter.close();
  assert.equal(terminal.text, "a note");
});

test("a terminal that becomes narrower, or is small from the start, keeps no debris", () => {
  const terminal = new Terminal(40, 12);
  const painter = new Painter(terminal, false, () => [line("x".repeat(30)), line("y".repeat(39)), line("z")]);
  painter.above([line("note")]);
  terminal.resize(16);
  assert.equal(terminal.text, `note\n${"x".repeat(14)}…\n${"y".repeat(14)}…\nz`);
  terminal.rows = 3;
  painter.paint();
  painter.paint();
  painter.close();
});

test("a terminal that does not keep up gets fewer frames", () => {
  const terminal = new Terminal(20, 10);
  let n = 0;
  const painter = new Painter(terminal, false, () => [line(String(n))]);
  painter.paint();
  terminal.takes = false;
  n = 1;
  painter.paint();
  n = 2;
  painter.paint();
  assert.equal(terminal.text, "1");
  terminal.takes = true;
  terminal.emit("drain");
  painter.paint();
  assert.equal(terminal.text, "2");
  painter.close();
});

test("the live view leaves notes and the summary, and the cursor", () => {
  const terminal = new Terminal(120, 30);
  const view = chooseView(false, { out: terminal, error: terminal }, {});
  view.begin(line("begin"));
  view.update({ elapsed: 1, seconds: 5, interrupts: SMALL, rates: SMALL.map(() => 1) });
  assert.match(terminal.text, /^begin\n\nrunning {2}1\.0 of 5 s/);
  view.note(line("a note"));
  view.end(result(SMALL));
  assert.match(terminal.text, /^begin\na note\n\n {2}VM {5}INTERRUPT/);
  assert.match(terminal.text, /Nothing lost of [\d,]+ signals in 5 s\n/);
  assert.equal(terminal.cursorShown, true);
});

test("with --json nothing but the object goes to standard output", () => {
  const [out, error] = [new Terminal(10_000, 1000), new Terminal(80, 24)];
  const view = chooseView(true, { out, error }, {});
  view.begin(line("begin"));
  view.note(line("a note"));
  view.update({ elapsed: 1, seconds: 5, interrupts: SMALL, rates: [] });
  view.end(result(SMALL));
  view.close();
  assert.deepEqual(Object.keys(JSON.parse(out.text) as object), ["interrupts", "totals", "compare"]);
  assert.equal(error.text, "a note");
});

test("a dumb terminal and a pipe get plain lines, one a second", () => {
  const terminal = new Terminal(200, 24);
  const view = chooseView(false, { out: terminal, error: terminal }, { TERM: "dumb" });
  for (const elapsed of [0, 0.25, 0.9, 1.1, 1.4, 1.9, 2, 2.2, 5]) {
    view.update({ elapsed, seconds: 5, interrupts: [], rates: [] });
  }
  assert.deepEqual(
    terminal.text.split("\n").map((one) => one.slice(0, 3)),
    ["1.1", "2.0", "5.0"],
  );
});
