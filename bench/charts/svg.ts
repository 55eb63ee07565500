/** Small pieces of SVG. A chart is a string; whoever shows it needs nothing else. */

export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

export type Attributes = Readonly<Record<string, string | number>>;

/** One element; its content is markup, or nothing. */
export function element(name: string, attributes: Attributes, ...content: readonly string[]): string {
  const written = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === "number" ? round(value) : escaped(value)}"`)
    .join("");
  return content.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${content.join("")}</${name}>`;
}

export function label(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return element("text", { x, y, ...attributes }, escaped(text));
}

/** To a tenth of a pixel: nobody sees less, and the charts are in the tarball. */
const round = (value: number) => String(Math.round(value * 10) / 10);

/** How a series is told from the others: by colour, by line and by mark, so that colour alone is never needed. */
export interface Look {
  readonly colour: string;
  /** `stroke-dasharray`; "" for a full line. */
  readonly dash: string;
  readonly mark: Mark;
  readonly width: number;
}

export type Mark = "circle" | "square" | "triangle" | "diamond" | "cross" | "ring" | "plus" | "wedge";

/** The colours of Okabe and Ito, which stay apart under the common kinds of colour blindness. */
const LOOKS: readonly Look[] = [
  { colour: "#0072b2", dash: "", mark: "circle", width: 3 },
  { colour: "#d55e00", dash: "", mark: "square", width: 2 },
  { colour: "#00855f", dash: "", mark: "triangle", width: 2 },
  { colour: "#8a4a76", dash: "7 4", mark: "diamond", width: 1.8 },
  { colour: "#555555", dash: "2 4", mark: "cross", width: 1.8 },
  { colour: "#a97400", dash: "10 3 2 3", mark: "ring", width: 1.8 },
  { colour: "#3a9bd9", dash: "3 2", mark: "plus", width: 1.8 },
  { colour: "#1b1b1b", dash: "14 4", mark: "wedge", width: 1.4 },
];

/** Series that one chart can tell apart. */
export const MOST_SERIES = LOOKS.length;

/** The look of the n-th series, of at most {@link MOST_SERIES}; the first is the one that the chart is about. */
export function lookOf(series: number): Look {
  const look = LOOKS[series];
  if (look === undefined) throw new Error(`a chart shows at most ${MOST_SERIES} series`);
  return look;
}

export function mark(x: number, y: number, { colour, mark }: Look): string {
  const fill = { fill: colour };
  const line = { fill: "none", stroke: colour, "stroke-width": 2 };
  switch (mark) {
    case "circle":
      return element("circle", { cx: x, cy: y, r: 4.5, ...fill });
    case "ring":
      return element("circle", { cx: x, cy: y, r: 4, ...line, fill: "#fff" });
    case "square":
      return element("rect", { x: x - 4, y: y - 4, width: 8, height: 8, ...fill });
    case "triangle":
      return element("path", { d: path([x, y - 5.5], [x + 5.5, y + 4], [x - 5.5, y + 4]), ...fill });
    case "diamond":
      return element("path", { d: path([x, y - 6], [x + 5, y], [x, y + 6], [x - 5, y]), ...fill });
    case "wedge":
      return element("path", { d: path([x, y + 5.5], [x + 5.5, y - 4], [x - 5.5, y - 4]), ...fill });
    case "plus":
      return element("path", {
        d: `M${round(x - 5)} ${round(y)}h10M${round(x)} ${round(y - 5)}v10`,
        ...line,
      });
    case "cross":
      return element("path", {
        d: `M${round(x - 4)} ${round(y - 4)}l8 8M${round(x + 4)} ${round(y - 4)}l-8 8`,
        ...line,
      });
  }
}

function path(...points: readonly (readonly [number, number])[]): string {
  return `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join("L")}Z`;
}

export function polyline(points: readonly (readonly [number, number])[], look: Look): string {
  return element("path", {
    d: steps(points),
    fill: "none",
    stroke: look.colour,
    "stroke-width": look.width,
    "stroke-linejoin": "round",
    ...(look.dash === "" ? {} : { "stroke-dasharray": look.dash }),
  });
}

/** The line from point to point, as a path: a step says only which way it goes, which is half of what a distribution takes. */
function steps(points: readonly (readonly [number, number])[]): string {
  let [lastX, lastY] = ["", ""];
  let path = "";
  for (const point of points) {
    const [x, y] = [round(point[0]), round(point[1])];
    if (path === "") path = `M${x} ${y}`;
    else if (y === lastY) path += `H${x}`;
    else if (x === lastX) path += `V${y}`;
    else path += `L${x} ${y}`;
    [lastX, lastY] = [x, y];
  }
  return path;
}

/** Moves labels apart that would lie on each other: the nearest places to `wanted` that are `gap` apart, within bounds. */
export function spreadApart(wanted: readonly number[], gap: number, low: number, high: number): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a]! - wanted[b]!);
  const placed = [...wanted];
  let floor = low;
  for (const i of order) {
    placed[i] = Math.max(placed[i]!, floor);
    floor = placed[i]! + gap;
  }
  let ceiling = high;
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i]!, ceiling);
    ceiling = placed[i]! - gap;
  }
  return placed;
}
