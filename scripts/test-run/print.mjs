// What a run of tests prints: a line for each file as it ends, then what failed and what was skipped, then the sums.

const SHOWN = 8;
const counts = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`;
const indent = (text, by) => text.trimEnd().replaceAll(/^/gm, " ".repeat(by));

/** One file that has ended; with all that it printed where something failed, or where `verbose`. */
export function printFile({ name, passed, failed, skipped, notes, output, seconds }, verbose) {
  const word = failed.length > 0 ? "FAIL" : passed === 0 ? "skip" : "ok  ";
  console.log(`${word} ${name}: ${counts({ passed, failed, skipped })} (${seconds.toFixed(1)} s)`);
  if (verbose) for (const { test, message } of notes) console.log(`       ${test}: ${message}`);
  for (const { test, error } of failed) {
    console.log(`  not ok ${test}`);
    if (error !== "") console.log(indent(error, 6));
  }
  if ((verbose || failed.length > 0) && output.trim() !== "")
    console.log(`  it printed:\n${indent(output, 6)}`);
}

/** The end of a run: every failure by its name, skips by their reason, the sums of each package and of all. */
export function printSummary(total, packages) {
  const { failed, skipped } = total;
  console.log();
  if (skipped.length > 0) console.log(`skipped:\n${byReason(skipped).join("\n")}\n`);
  if (failed.length > 0) {
    console.log("failed:");
    for (const { file, test } of failed) console.log(`  ${file} > ${test}`);
    console.log();
  }
  for (const [name, sums] of packages) console.log(`${name}: ${sums.files} files, ${counts(sums)}`);
  console.log(counts(total));
}

function byReason(skipped) {
  const reasons = new Map();
  for (const skip of skipped) reasons.set(skip.reason, [...(reasons.get(skip.reason) ?? []), skip]);
  return [...reasons].flatMap(([reason, skips]) => [
    `  ${reason || "no reason given"}`,
    ...skips.slice(0, SHOWN).map(({ file, test }) => `    ${file} > ${test}`),
    ...(skips.length > SHOWN ? [`    and ${skips.length - SHOWN} more`] : []),
  ]);
}
