/**
 * `npm run museum`: every scenario of the fabric with its twins, and the bugs of Linux among those. Exit code 1 where a
 * scenario does not hold, a twin is not caught, or a row of a state table is taken by none. Arguments name scenarios, as for
 * `atomics-explorer --in`; the rows are looked at where all of them run. `--long` takes the long ones, too.
 */
import { exploreSubject, type Report, reportText } from "atomics-explorer";
import { TABLES } from "../states/tables.js";
import { coverageText, noting, rowFaults } from "./coverage.js";
import { exhibits, museumText } from "./museum.js";
import { scenarios } from "./scenarios.js";
import { Ledger } from "./transitions.js";

const long = process.argv.includes("--long");
const names = process.argv.slice(2).filter((argument) => argument !== "--long");
const chosen = (await scenarios(names)).filter((one) => long || names.length > 0 || !one.long);
const ledger = new Ledger();
const reports: Report[] = [];
for (const subject of chosen) {
  const report = await exploreSubject(noting(subject, ledger));
  reports.push(report);
  if (!report.passed) process.stdout.write(`${reportText(report)}\n`);
}
const shipped = reports.filter(({ twin }) => !twin);
const twins = reports.filter(({ twin }) => twin);
const passed = (all: readonly Report[]) => all.filter((one) => one.passed).length;
process.stdout.write(museumText(exhibits(chosen, reports)));
const faults = names.length > 0 ? [] : rowFaults(TABLES, ledger);
for (const fault of faults) process.stdout.write(`FAIL ${fault}\n`);
if (names.length === 0) process.stdout.write(coverageText(TABLES, ledger));
process.stdout.write(
  `${passed(shipped)} of ${shipped.length} scenarios hold, ${passed(twins)} of ${twins.length} twins caught\n`,
);
if (passed(reports) < reports.length || faults.length > 0) process.exitCode = 1;
