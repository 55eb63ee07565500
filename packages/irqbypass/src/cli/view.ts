/**
 * The three ways to watch a run: a live table, plain lines, or nothing but the JSON at the end.
 */
import { frame, type Moment, progressLine } from "./live.js";
import { Painter, type Screen } from "./painter.js";
import { type RunResult, toJson } from "./result.js";
import { type Environment, type Line, line, paint, wantsColour, wrap } from "./style.js";
import { summary } from "./summary.js";

export interface View {
  /** What is about to run. */
  begin(text: Line): void;
  /** Something to know, once: a VM that is left out, an interrupt that was lost. */
  note(text: Line): void;
  /** The run goes on. Called a few times a second. */
  update(moment: Moment): void;
  /** The run is over. Nothing is called after it but {@link close}. */
  end(result: RunResult): void;
  /** Leaves the terminal as it was found. May be called at any time, and again. */
  close(): void;
}

/** Where a view writes: `process.stdout` and `process.stderr`, or a test's own. */
export interface Output extends Screen {
  readonly isTTY?: boolean | undefined;
}

export interface Streams {
  readonly out: Output;
  readonly error: Output;
}

/** Columns of a file or a pipe: wide enough for every column of the table. */
const PLAIN_COLUMNS = 160;
/** Plain lines come this many seconds apart. */
const PLAIN_EVERY = 1;

/** The view that fits: JSON where it was asked for, the live table on a terminal that can, else plain lines. */
export function chooseView(json: boolean, streams: Streams, env: Environment): View {
  const { out, error } = streams;
  if (json) return jsonView(out, error);
  const live = out.isTTY === true && env.TERM !== "dumb";
  return live ? liveView(out, wantsColour(true, env)) : plainView(out);
}

function liveView(out: Output, colour: boolean): View {
  let latest: Moment | undefined;
  const painter: Painter = new Painter(out, colour, () =>
    latest === undefined ? [] : frame(latest, painter.columns, painter.height),
  );
  const above = (text: Line): void => painter.above(wrap(text, painter.columns));
  return {
    begin: above,
    note: above,
    update(moment) {
      latest = moment;
      painter.paint();
    },
    end(result) {
      painter.close();
      for (const one of [[], ...summary(result, out.columns ?? 80)]) out.write(`${paint(one, colour)}\n`);
    },
    close: () => painter.close(),
  };
}

function plainView(out: Output): View {
  const columns = out.isTTY === true ? (out.columns ?? 80) : PLAIN_COLUMNS;
  const write = (text: Line): void => void out.write(`${paint(text, false)}\n`);
  let next = PLAIN_EVERY;
  return {
    begin: write,
    note: write,
    update(moment) {
      if (moment.elapsed < next) return;
      next = Math.floor(moment.elapsed / PLAIN_EVERY + 1) * PLAIN_EVERY;
      write(progressLine(moment));
    },
    end(result) {
      write([]);
      for (const one of summary(result, columns)) write(one);
    },
    close() {},
  };
}

function jsonView(out: Output, error: Output): View {
  return {
    begin() {},
    note: (text) => void error.write(`${paint(text, false)}\n`),
    update() {},
    end: (result) => void out.write(`${JSON.stringify(toJson(result), null, 2)}\n`),
    close() {},
  };
}

/** A note in the colour of a fault. */
export function fault(text: string): Line {
  return line({ text, style: "bad" });
}
