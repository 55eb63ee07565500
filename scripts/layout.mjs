// Ties the version of the shared memory's layout to the layout: a digest of its tables (every record's words, the pools, the header,
// the bits of a remapping entry, the numbers of reasons) is kept beside the version that it was taken of. Threads with different
// tables would misread each other; the version is what refuses them.
//   node scripts/layout.mjs            says whether they belong together; exit code 1 where not
//   node scripts/layout.mjs --write    records the digest, of a layout that is as before or has a higher version
import { readFileSync, writeFileSync } from "node:fs";
import { digestOf, faultOf } from "./layout/digest.mjs";

const RECORD = new URL("../packages/irqbypass/layout.json", import.meta.url);
const BUILT = new URL("../packages/irqbypass/build/src/", import.meta.url);

const args = process.argv.slice(2);
if (args.some((arg) => arg !== "--write")) {
  console.error(`layout: there is no option ${args.find((arg) => arg !== "--write")}; allowed: --write`);
  process.exit(2);
}

const { LAYOUT_VERSION: version, ...layout } = await import(new URL("host/layout.js", BUILT));
const irte = await import(new URL("posting/irte.js", BUILT));
const { REASONS: reasons } = await import(new URL("posting/reason.js", BUILT));
const digest = digestOf({ layout, irte: { ...irte }, reasons });
const recorded = JSON.parse(readFileSync(RECORD, "utf8"));
const fault = faultOf(recorded, { version, digest });
const unwritten = fault === undefined && (recorded.version !== version || recorded.digest !== digest);
if (fault === undefined && args.length > 0)
  writeFileSync(RECORD, `${JSON.stringify({ version, digest }, null, 2)}\n`);
else if (fault !== undefined || unwritten) {
  console.error(`layout: ${fault ?? `version ${version} is not recorded yet: npm run layout records it`}`);
  process.exit(1);
}
console.log(`layout: version ${version}, ${digest.slice(0, 16)}`);
