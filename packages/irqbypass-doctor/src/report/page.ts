/**
 * A page of text for a terminal, put together from the top.
 */
import type { Evidence } from "../judge/report.js";
import { visible } from "../source/visible.js";
import { type Paint, painted, wrap } from "./wrap.js";

/** How {@link textReport} prints. */
export interface TextOptions {
  /** Columns to fill; 60 at least, 100 at most. */
  readonly width: number;
  /** With ANSI colours. */
  readonly colour: boolean;
}

const MAX_EVIDENCE = 4;

/** The lines so far. */
export class Page {
  readonly #lines: string[] = [];
  readonly #width: number;
  readonly #colour: boolean;

  constructor({ width, colour }: TextOptions) {
    this.#width = Math.min(Math.max(width, 60), 100);
    this.#colour = colour;
  }

  blank(): void {
    this.#lines.push("");
  }

  heading(text: string): void {
    this.blank();
    for (const line of wrap(text, this.#width)) this.#lines.push(painted(line, "heading", this.#colour));
  }

  /** Puts wrapped text at an indent, further lines at `hang`. */
  put(indent: number, text: string, paint: Paint = "plain", hang = indent): void {
    const wide = Math.max(indent, hang);
    for (const [index, line] of wrap(text, this.#width - wide).entries()) {
      const pad = " ".repeat(index === 0 ? indent : hang);
      this.#lines.push(`${pad}${painted(line, paint, this.#colour)}`);
    }
  }

  /** Puts painted cells of fixed widths, and wrapped text behind them. */
  row(
    indent: number,
    cells: readonly (readonly [text: string, width: number, paint: Paint])[],
    rest: string,
  ): void {
    const shown = cells.map(([text, width, paint]) => [visible(text), width, paint] as const);
    const used = shown.reduce((sum, [text, width]) => sum + Math.max(text.length + 1, width), indent);
    const head = shown
      .map(
        ([text, width, paint]) =>
          `${painted(text, paint, this.#colour)}${" ".repeat(Math.max(width - text.length, 1))}`,
      )
      .join("");
    const lines = wrap(rest, this.#width - used);
    this.#lines.push(`${" ".repeat(indent)}${head}${lines[0]}`.trimEnd());
    for (const line of lines.slice(1)) this.#lines.push(`${" ".repeat(used)}${line}`);
  }

  evidence(indent: number, all: readonly Evidence[]): void {
    for (const { source, says } of all) this.put(indent, `${source}: ${says}`, "dim", indent + 2);
  }

  /** The evidence of a link on one line; what the link says already is not said again. */
  sources(indent: number, said: string, all: readonly Evidence[]): void {
    const shown = all
      .slice(0, MAX_EVIDENCE)
      .map(({ source, says }) => (said.includes(says) ? source : `${source}: ${says}`));
    if (all.length > MAX_EVIDENCE)
      shown.push(`and ${all.length - MAX_EVIDENCE} more (all of them with --json)`);
    if (shown.length > 0) this.put(indent, shown.join("; "), "dim", indent + 2);
  }

  /** A command, as it is: it must be fit to be copied, so it is not wrapped. */
  command(indent: number, text: string): void {
    this.#lines.push(`${" ".repeat(indent)}${painted(visible(text), "bold", this.#colour)}`);
  }

  text(): string {
    return `${this.#lines.map((line) => line.trimEnd()).join("\n")}\n`;
  }
}

/** The first few of a long list of numbers or ranges. */
export function compact(parts: readonly (number | string)[]): string {
  return parts.length <= 12
    ? parts.join(", ")
    : `${parts.slice(0, 10).join(", ")} and ${parts.length - 10} more`;
}

/** "no devices", "1 device", "2 devices". */
export function plural(count: number, noun: string): string {
  return `${count === 0 ? "no" : count} ${noun}${count === 1 ? "" : "s"}`;
}
