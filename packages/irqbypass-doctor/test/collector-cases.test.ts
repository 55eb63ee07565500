import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { sameReport, skip, twoSamples } from "./collect.js";
import { CASES, loadCase } from "./tree.js";

describe("what the script collects of a case gives the same report as the case", {
  skip,
  concurrency: 3,
}, () => {
  for (const name of readdirSync(CASES)) it(name, () => sameReport(twoSamples(loadCase(name))));
});
