/** What the charts share: a plot with a logarithmic axis of time, and series labelled where they end. */
import { quantity } from "../harness/format.js";
import { element, label, lookOf, mark, polyline, spreadApart } from "./svg.js";

export interface Series {
  readonly name: string;
  /** In data units; x ascending. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Where its marks stand. */
  readonly marks: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  readonly title: string;
  /** From data units to 0 to 1. */
  readonly place: (value: number) => number;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
}

export interface Chart {
  readonly title: string;
  readonly subtitle: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const WIDTH = 940;
const HEIGHT = 500;
const PLOT = { left: 84, right: 660, top: 78, bottom: 428 };
const LABEL_GAP = 18;
const INK = "#1b1b1b";
const FAINT = "#666";

/** The chart as one SVG element. Series are drawn in the looks of their order; the first lies on top. */
export function draw({ title, subtitle, x, y, series }: Chart): string {
  const px = (value: number) => PLOT.left + x.place(value) * (PLOT.right - PLOT.left);
  const py = (value: number) => PLOT.bottom - y.place(value) * (PLOT.bottom - PLOT.top);
  const drawn = series.map(({ points, marks }, i) => {
    const look = lookOf(i);
    const line = polyline(
      points.map(([a, b]) => [px(a), py(b)] as const),
      look,
    );
    return line + marks.map(([a, b]) => mark(px(a), py(b), look)).join("");
  });
  const ends = series.map(({ points }) => points.at(-1) ?? [0, 0]);
  const heights = spreadApart(
    ends.map(([, value]) => py(value)),
    LABEL_GAP,
    PLOT.top,
    PLOT.bottom,
  );
  const labels = series.map(({ name }, i) => {
    const look = lookOf(i);
    const [endX, endY] = [px(ends[i]![0]), py(ends[i]![1])];
    const height = heights[i]!;
    const from = PLOT.right + 10;
    return (
      (endX < PLOT.right - 1
        ? "" // it ends before: its look says which it is
        : element("path", {
            d: `M${endX + 6} ${endY}L${from + 4} ${height}`,
            stroke: look.colour,
            "stroke-width": 0.8,
            fill: "none",
          })) +
      polyline(
        [
          [from + 4, height],
          [from + 30, height],
        ],
        look,
      ) +
      mark(from + 17, height, look) +
      label(from + 37, height + 4.5, name, { fill: INK, ...(i === 0 ? { "font-weight": 700 } : {}) })
    );
  });
  const gridY = y.ticks.map(({ value, text }) => {
    const at = py(value);
    return (
      element("line", { x1: PLOT.left, x2: PLOT.right, y1: at, y2: at, stroke: "#e3e3e3" }) +
      label(PLOT.left - 10, at + 4.5, text, { "text-anchor": "end", fill: FAINT })
    );
  });
  const gridX = x.ticks.map(({ value, text }) => {
    const at = px(value);
    return (
      element("line", { x1: at, x2: at, y1: PLOT.top, y2: PLOT.bottom + 6, stroke: "#e3e3e3" }) +
      label(at, PLOT.bottom + 23, text, { "text-anchor": "middle", fill: FAINT })
    );
  });
  const middleY = (PLOT.top + PLOT.bottom) / 2;
  return element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": `${title}. ${subtitle}`,
      "font-family": "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
      "font-size": 13,
    },
    element("rect", { width: WIDTH, height: HEIGHT, fill: "#ffffff" }),
    label(24, 32, title, { "font-size": 18, "font-weight": 700, fill: INK }),
    label(24, 54, subtitle, { fill: FAINT }),
    ...gridX,
    ...gridY,
    element("path", {
      d: `M${PLOT.left} ${PLOT.top}V${PLOT.bottom}H${PLOT.right}`,
      stroke: "#888",
      fill: "none",
    }),
    label((PLOT.left + PLOT.right) / 2, HEIGHT - 22, x.title, { "text-anchor": "middle", fill: INK }),
    element(
      "g",
      { transform: `rotate(-90 22 ${middleY})` },
      label(22, middleY, y.title, { "text-anchor": "middle", fill: INK }),
    ),
    ...labels,
    ...drawn.reverse(),
  );
}

/** A logarithmic axis of time from nanoseconds, over whole powers of ten around the values. */
export function timeAxis(title: string, values: readonly number[]): Axis {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))));
  return {
    title,
    place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low),
    ticks: Array.from({ length: high - low + 1 }, (_, i) => ({
      value: 10 ** (low + i),
      text: quantity(10 ** (low + i), "ns").replace(".0 ", " "),
    })),
  };
}
