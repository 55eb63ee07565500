// The committed list of tests that may be skipped, each with its reason.

/**
 * Compares what was skipped with the list: `[{ file, test, reason }]`. Returns a sentence for each skip that is not on it, and for
 * each entry that says nothing, is there twice, or whose test was not skipped. `ran` says of which files that can be told;
 * in a run of everything it is of all.
 */
export function compareSkips(list, skipped, ran) {
  const problems = [];
  const keyOf = ({ file, test }) => `${file} > ${test}`;
  const listed = new Set();
  const seen = new Set(skipped.map(keyOf));
  for (const entry of list) {
    const key = keyOf(entry);
    if (listed.has(key)) problems.push(`${key}: is on the list twice`);
    listed.add(key);
    if (typeof entry.reason !== "string" || entry.reason.length < 10)
      problems.push(`${key}: is on the list without a reason`);
    if (ran(entry.file) && !seen.has(key))
      problems.push(`${key}: is on the list, and was not skipped: take it off`);
  }
  for (const skip of skipped)
    if (!listed.has(keyOf(skip)))
      problems.push(`${keyOf(skip)}: was skipped and is not on the list: ${skip.reason}`);
  return problems;
}
