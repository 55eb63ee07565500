/**
 * Rows and columns as lines of text.
 */
import { cut, type Line, type Span, type Style, span, width } from "./style.js";

export interface Column<Row> {
  readonly title: string;
  readonly align: "left" | "right";
  readonly text: (row: Row) => string;
  readonly style?: (row: Row) => Style;
}

/** One way to show the rows: some columns, and a heading above rows that share it, where it has one. */
export interface Layout<Row> {
  readonly columns: readonly Column<Row>[];
  readonly heading?: (row: Row) => string;
  /** Blanks between columns; 2 where it is not said. */
  readonly gap?: number;
}

export interface Table<Row> {
  readonly lines: readonly Line[];
  readonly layout: Layout<Row>;
}

const GAP = 2;
const INDENT = 2;

/**
 * The rows in the first layout that fits into `columns` characters; in the last one, cut, if none does.
 * Rows that share a heading must stand together.
 */
export function table<Row>(
  layouts: readonly [...Layout<Row>[], Layout<Row>],
  rows: readonly Row[],
  columns: number,
): Table<Row> {
  for (const layout of layouts) {
    const lines = lay(layout, rows);
    if (lines.every((one) => width(one) <= columns)) return { lines, layout };
  }
  const layout = layouts[layouts.length - 1] as Layout<Row>;
  return { lines: lay(layout, rows).map((one) => cut(one, columns)), layout };
}

function lay<Row>(layout: Layout<Row>, rows: readonly Row[]): Line[] {
  const gap = layout.gap ?? GAP;
  const cells = rows.map((row) => layout.columns.map((column) => column.text(row)));
  const widths = layout.columns.map((column, i) =>
    Math.max(column.title.length, ...cells.map((texts) => texts[i]?.length ?? 0)),
  );
  const fit = (text: string, i: number): string => {
    const last = i === layout.columns.length - 1;
    if (layout.columns[i]?.align === "right") return text.padStart(widths[i] ?? 0);
    return last ? text : text.padEnd(widths[i] ?? 0);
  };
  const joined = (spans: readonly Span[]): Line =>
    spans.flatMap((one, i) => [span(" ".repeat(i === 0 ? INDENT : gap)), one]);

  const lines: Line[] = [joined(layout.columns.map((column, i) => span(fit(column.title, i), "dim")))];
  let heading: string | undefined;
  rows.forEach((row, at) => {
    const own = layout.heading?.(row);
    if (own !== undefined && own !== heading) lines.push([span(own, "bold")]);
    heading = own;
    lines.push(
      joined(
        layout.columns.map((column, i) => span(fit(cells[at]?.[i] ?? "", i), column.style?.(row) ?? "plain")),
      ),
    );
  });
  return lines;
}
