// The picture in the README: the table that a run of the default workload ends with on this machine, in light and in dark. It is
// made anew by hand, as a run's figures are never the same.
//   node scripts/picture.mjs
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const COMMAND = fileURLToPath(new URL("../packages/irqbypass/build/src/cli/main.js", import.meta.url));
const [CHARACTER, LINE, EDGE] = [7.2, 17, 16];
const LOOKS = {
  light: {
    paper: "#ffffff",
    frame: "#d0d7de",
    text: "#1f2328",
    dim: "#59636e",
    posted: "#116329",
    injected: "#0969da",
    irqfd: "#6639ba",
    relayed: "#9a6700",
  },
  dark: {
    paper: "#0d1117",
    frame: "#3d444d",
    text: "#e6edf3",
    dim: "#9198a1",
    posted: "#3fb950",
    injected: "#58a6ff",
    irqfd: "#bc8cff",
    relayed: "#d29922",
  },
};

const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, "run", "--seconds", "2"], {
  encoding: "utf8",
});
if (status !== 0) {
  console.error(`picture: the run ended with ${status}\n${stdout}${stderr}`);
  process.exit(1);
}
const [title, , ...rest] = stdout.trimEnd().split("\n");
const parts = rest.join("\n").split("\n\n");
const lines = [
  title,
  "",
  ...[parts.find((part) => /^ +VM /.test(part)), parts.at(-1)].join("\n\n").split("\n"),
];
for (const [name, look] of Object.entries(LOOKS)) {
  const file = new URL(`../packages/irqbypass/docs/run-${name}.svg`, import.meta.url);
  writeFileSync(file, picture(lines, look));
  console.log(fileURLToPath(file));
}

function picture(lines, look) {
  const width = Math.ceil(Math.max(...lines.map(({ length }) => length)) * CHARACTER + 2 * EDGE);
  const height = lines.length * LINE + 2 * EDGE;
  const texts = lines.map((line, i) => {
    const y = EDGE + 12 + i * LINE;
    // Its own width, whatever font there is: columns stay below each other.
    const length = `textLength="${(line.length * CHARACTER).toFixed(1)}" lengthAdjust="spacingAndGlyphs"`;
    return line === "" ? "" : `<text x="${EDGE}" y="${y}" ${length}>${coloured(line, look)}</text>\n`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>irqbypass run: every interrupt of nine, with its path and what it took</title>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6" fill="${look.paper}" stroke="${look.frame}"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="12" fill="${look.text}">
${texts.join("")}</g>
</svg>
`;
}

/** Each path in its colour; headings, and what is small print in a terminal, are dim. */
function coloured(line, look) {
  const text = line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(" ", "\u00a0"); // kept
  if (/^ +(VM +INTERRUPT|P50, P99)/.test(line)) return `<tspan fill="${look.dim}">${text}</tspan>`;
  return text.replace(
    /\b(posted|injected|irqfd|relayed)\b(?!-)/g,
    (path) => `<tspan fill="${look[path]}">${path}</tspan>`,
  );
}
