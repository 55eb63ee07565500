/**
 * `npm run museum`: every scenario of the fabric with its twins, and the bugs of Linux among those. Exit code 1 where a
 * scenario does not hold or a twin is not caught. Arguments name scenarios, as for `atomics-explorer --in`.
 */
import { exploreSubject, type Report, reportText } from "atomics-explorer";
import { exhibits, museumText } from "./museum.js";
import { scenarios } from "./scenarios.js";

const long = process.argv.includes("--long");
const names = process.argv.slice(2).filter((argument) => argument !== "--long");
const chosen = (await scenarios(names)).filter((one) => long || names.length > 0 || !one.long);
const reports: Report[] = [];
for (const subject of chosen) {
  const report = await exploreSubject(subject);
  reports.push(report);
  if (!report.passed) process.stdout.write(`${reportText(report)}\n`);
}
const shipped = reports.filter(({ twin }) => !twin);
const twins = reports.filter(({ twin }) => twin);
const passed = (all: readonly Report[]) => all.filter((one) => one.passed).length;
process.stdout.write(museumText(exhibits(chosen, reports)));
process.stdout.write(
  `${passed(shipped)} of ${shipped.length} scenarios hold, ${passed(twins)} of ${twins.length} twins caught\n`,
);
if (passed(reports) < reports.length) process.exitCode = 1;
