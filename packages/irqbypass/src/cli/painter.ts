/**
 * Lines that are drawn over and over at the same place of a terminal.
 *
 * Only plain ANSI: cursor up, erase to the end of line and of screen, hide and show the cursor. The cursor is
 * shown again on every way out of the process; see {@link Painter.close}.
 */
import { writeSync } from "node:fs";
import { cut, type Line, paint, width } from "./style.js";

/** The part of `tty.WriteStream` that is used here. */
export interface Screen {
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): boolean;
  on(event: "resize" | "drain", listener: () => void): unknown;
  off(event: "resize" | "drain", listener: () => void): unknown;
}

const HIDE = "\x1b[?25l";
const SHOW = "\x1b[?25h";
const ERASE_LINE = "\x1b[K";
const ERASE_BELOW = "\x1b[J";

export class Painter {
  readonly #screen: Screen;
  readonly #colour: boolean;
  readonly #redraw: () => Line[];
  #drawn: readonly Line[] = [];
  #full = false;
  #closed = false;

  /** @param redraw the lines as they should be now; called by {@link paint} and when the size changes. */
  constructor(screen: Screen, colour: boolean, redraw: () => Line[]) {
    this.#screen = screen;
    this.#colour = colour;
    this.#redraw = redraw;
    screen.on("resize", this.#onResize);
    screen.on("drain", this.#onDrain);
    // Whatever ends the process, the cursor comes back; a write to the stream could come too late.
    process.on("exit", showCursor);
    screen.write(HIDE);
  }

  /** The last column stays free: a character there makes terminals differ about where the cursor is. */
  get columns(): number {
    return Math.max(1, (this.#screen.columns ?? 80) - 1);
  }

  /** Lines that can be drawn over: all but the one with the cursor. */
  get height(): number {
    return Math.max(0, (this.#screen.rows ?? 24) - 1);
  }

  /** Draws over what was drawn before. A frame is left out while the terminal has not taken the last one. */
  paint(): void {
    if (this.#closed || this.#full) return;
    const lines = this.#redraw()
      .slice(0, this.height)
      .map((one) => cut(one, this.columns));
    this.#write(this.#up() + this.#text(lines) + ERASE_BELOW);
    this.#drawn = lines;
  }

  /** Puts lines above the drawing, for good. */
  above(lines: readonly Line[]): void {
    this.#write(this.#up() + this.#text(lines) + ERASE_BELOW);
    this.#drawn = [];
    this.paint();
  }

  /** Takes the drawing away and shows the cursor. Calling it again does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#screen.off("resize", this.#onResize);
    this.#screen.off("drain", this.#onDrain);
    process.off("exit", showCursor);
    this.#screen.write(this.#up() + ERASE_BELOW + SHOW);
  }

  readonly #onResize = (): void => this.paint();

  readonly #onDrain = (): void => {
    this.#full = false;
  };

  #write(text: string): void {
    this.#full = !this.#screen.write(text);
  }

  #text(lines: readonly Line[]): string {
    return lines.map((one) => `${paint(one, this.#colour)}${ERASE_LINE}\n`).join("");
  }

  /** To the first line drawn. A terminal that became narrower has broken long lines into several. */
  #up(): string {
    const columns = this.#screen.columns ?? 80;
    const lines = this.#drawn.reduce((sum, one) => sum + Math.max(1, Math.ceil(width(one) / columns)), 0);
    const up = Math.min(lines, this.height);
    return up === 0 ? "\r" : `\r\x1b[${up}A`;
  }
}

/** Shows the cursor at once, without the stream. For ways out on which nothing is written any more. */
export function showCursor(): void {
  try {
    writeSync(1, SHOW);
  } catch {
    // The terminal is gone, and its cursor with it.
  }
}
