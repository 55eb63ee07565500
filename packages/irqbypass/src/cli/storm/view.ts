/**
 * The ways to watch a storm: a line that changes on a terminal, nothing but the summary elsewhere, or JSON at the end.
 */
import { Painter } from "../painter.js";
import { type Environment, type Line, line, paint, span, wantsColour, wrap } from "../style.js";
import type { Streams } from "../view.js";
import { type StormResult, stormToJson } from "./result.js";
import { stormSummary } from "./summary.js";

export interface StormView {
  /** What is about to run. */
  begin(text: Line): void;
  /** What goes on now. */
  readonly progress: (text: string) => void;
  /** It is over. */
  end(result: StormResult): void;
  /** Leaves the terminal as it was found. May be called at any time, and again. */
  close(): void;
}

const PLAIN_COLUMNS = 120;

/** The view that fits, as `chooseView` does for a run. */
export function chooseStormView(json: boolean, { out }: Streams, env: Environment): StormView {
  const write = (lines: readonly Line[], colour: boolean): void => {
    for (const one of lines) out.write(`${paint(one, colour)}\n`);
  };
  if (json) {
    const end = (result: StormResult) => void out.write(`${JSON.stringify(stormToJson(result), null, 2)}\n`);
    return { begin() {}, progress() {}, end, close() {} };
  }
  const terminal = out.isTTY === true;
  const columns = terminal ? (out.columns ?? 80) : PLAIN_COLUMNS;
  if (!terminal || env.TERM === "dumb") {
    const end = (result: StormResult) => write([[], ...stormSummary(result, columns)], false);
    return { begin: (text) => write(wrap(text, columns), false), progress() {}, end, close() {} };
  }
  const colour = wantsColour(true, env);
  let latest = "";
  const painter: Painter = new Painter(out, colour, () =>
    latest === "" ? [] : [[], line(span("running", "bold"), `  ${latest}`)],
  );
  return {
    begin: (text) => painter.above(wrap(text, painter.columns)),
    progress(text) {
      latest = text;
      painter.paint();
    },
    end(result) {
      painter.close();
      write([[], ...stormSummary(result, out.columns ?? 80)], colour);
    },
    close: () => painter.close(),
  };
}
