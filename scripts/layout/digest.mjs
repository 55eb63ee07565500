// What ties a layout to its version.
import { createHash } from "node:crypto";

/** What is wrong with a layout beside the one that is recorded; undefined where nothing is. */
export function faultOf(recorded, { version, digest }, name = "LAYOUT_VERSION") {
  if (version < recorded.version)
    return `${name} is ${version}, and ${recorded.version} was recorded already: a version never goes back`;
  if (version === recorded.version && digest !== recorded.digest)
    return `the tables in src/host/layout/ are not those of ${name} ${version}: raise it to ${version + 1} there, then run npm run layout`;
  return undefined;
}

/** A digest of names and numbers, whatever the order in which they are written down. */
export function digestOf(tables) {
  return createHash("sha256")
    .update(JSON.stringify(sorted(tables)))
    .digest("hex");
}

function sorted(value) {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  // Of an enum, the numbers by name are enough; what the tables' modules do beside is none of the layout.
  const entries = Object.entries(value).filter(
    ([name, one]) => !/^\d+$/.test(name) && typeof one !== "function",
  );
  return entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, one]) => [name, sorted(one)]);
}
