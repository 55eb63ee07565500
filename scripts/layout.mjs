// Ties the versions of what is in shared memory to the layouts: a digest of the tables is kept beside the version that it was taken
// of. There are two: that of a host (every record's words, the pools, the header, the bits of a remapping entry, the numbers of
// reasons), and that of an interrupt file, which compiled code knows too. Threads with different tables would misread each other;
// the version is what refuses them.
//   node scripts/layout.mjs            says whether they belong together; exit code 1 where not
//   node scripts/layout.mjs --write    records the digests, each of a layout that is as before or has a higher version
import { readFileSync, writeFileSync } from "node:fs";
import { readFlags } from "./flags.mjs";
import { digestOf, faultOf } from "./layout/digest.mjs";

const RECORD = new URL("../packages/irqbypass/layout.json", import.meta.url);
const BUILT = new URL("../packages/irqbypass/build/src/", import.meta.url);

const write = readFlags("layout", "--write").has("--write");

const { LAYOUT_VERSION, ...layout } = await import(new URL("host/layout.js", BUILT));
const { FILE_VERSION, ...file } = await import(new URL("host/layout/interrupt-file.js", BUILT));
const irte = await import(new URL("posting/irte.js", BUILT));
const { REASONS: reasons } = await import(new URL("posting/reason.js", BUILT));
const recorded = JSON.parse(readFileSync(RECORD, "utf8"));
const hostNow = { version: LAYOUT_VERSION, digest: digestOf({ layout, irte: { ...irte }, reasons }) };
// The header has the version in it, which is no change of the layout.
const fileNow = { version: FILE_VERSION, digest: digestOf({ ...file, FILE_HEADER: undefined }) };
const pairs = [
  ["LAYOUT_VERSION", recorded, hostNow],
  ["FILE_VERSION", recorded.file, fileNow],
];
const faults = pairs.flatMap(([name, was, now]) => faultOf(was, now, name) ?? []);
const isUnwritten = pairs.some(([, was, now]) => was.version !== now.version || was.digest !== now.digest);
if (faults.length === 0 && write)
  writeFileSync(RECORD, `${JSON.stringify({ ...hostNow, file: fileNow }, null, 2)}\n`);
else if (faults.length > 0 || isUnwritten) {
  for (const fault of faults) console.error(`layout: ${fault}`);
  if (faults.length === 0)
    console.error("layout: a new version is not recorded yet: npm run layout records it");
  process.exit(1);
}
for (const [name, , { version, digest }] of pairs)
  console.log(`layout: ${name} ${version}, ${digest.slice(0, 16)}`);
