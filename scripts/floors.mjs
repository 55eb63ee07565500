// Holds the house together: a file of src/ imports only from its own floor and the floors below it, no file
// imports in a circle, and below linux/ only the Node adapter may touch a Node API.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const src = fileURLToPath(new URL("../src", import.meta.url));
// From the ground up. doctor stands beside the others: it imports none of them, only cli imports it.
const floors = ["host", "eventfd", "posting", "bypass", "vm", "device", "linux", "kvm", "explore", "cli"];
const core = new Set(floors.slice(0, floors.indexOf("linux")));
const nodeAdapter = "host/platform-node.ts";

const files = readdirSync(src, { recursive: true }).filter((name) => name.endsWith(".ts"));
const floorOf = (file) => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "index");
const imports = new Map();
const problems = [];

function allowed(from, to) {
  if (from === to) return true;
  if (from === "index") return core.has(to);
  if (from === "doctor") return false;
  if (to === "doctor") return from === "cli";
  if (to === "index") return from === "cli";
  return floors.indexOf(to) < floors.indexOf(from);
}

for (const file of files) {
  const text = readFileSync(join(src, file), "utf8");
  const found = [...text.matchAll(/(import type [^"]*?from|from|import)\s*\(?\s*"([^"]+)"/g)];
  const local = [];
  for (const [, how, specifier] of found) {
    if (specifier.startsWith(".")) {
      const target = relative(src, join(src, dirname(file), specifier)).replace(/\.js$/, ".ts");
      if (!how.startsWith("import type")) local.push(target); // types are gone at run time
      if (!allowed(floorOf(file), floorOf(target))) problems.push(`${file}: imports up the house: ${target}`);
    } else if (core.has(floorOf(file)) || file === "index.ts") {
      if (file !== nodeAdapter) problems.push(`${file}: the core imports nothing from outside: ${specifier}`);
    }
  }
  imports.set(file, local);
}

const done = new Set();
function walk(file, trail) {
  if (trail.includes(file)) {
    problems.push(`imports in a circle: ${[...trail.slice(trail.indexOf(file)), file].join(" -> ")}`);
    return;
  }
  if (done.has(file)) return;
  for (const next of imports.get(file) ?? []) walk(next, [...trail, file]);
  done.add(file);
}
for (const file of files) walk(file, []);

for (const problem of problems) console.error(problem);
console.log(`floors: ${files.length} files, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
