/**
 * docs/doctor.md shows what is printed: each block marked as a host's report is a part of that report.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { VERDICTS } from "#src/judge/report.js";
import { runDoctor } from "./run.js";
import { HOSTS, loadHost, withTree } from "./tree.js";

const page = readFileSync(join(HOSTS, "../../docs/doctor.md"), "utf8");
const blocks = [...page.matchAll(/<!-- report of (\S+) -->\n```text\n([\s\S]*?)\n```/g)];

describe("docs/doctor.md", () => {
  it("marks every block of a report", () => {
    assert.equal(blocks.length, page.split("```text").length - 1);
  });

  it("has a worked case for every verdict", () => {
    for (const verdict of VERDICTS) {
      const section = page.slice(page.indexOf(`### ${verdict}\n`));
      assert.ok(page.includes(`### ${verdict}\n`), verdict);
      assert.match(
        section.slice(0, section.indexOf("\n#", 5)),
        new RegExp(`\\n    ${verdict} +\\d`),
        verdict,
      );
    }
  });

  for (const [index, [, name, text]] of blocks.entries()) {
    it(`block ${index + 1}, of ${name}, is what is printed`, async () => {
      const host = loadHost(name!);
      await withTree(name!, host, async (dir) => {
        const { stdout } = await runDoctor(["--from", dir, ...host.options], { columns: 100 });
        assert.ok(`\n${stdout}`.includes(`\n${text}\n`), text);
      });
    });
  }

  it("names every option of the command, here or in the page on the tools", async () => {
    const tools = readFileSync(join(HOSTS, "../../docs/doctor-tools.md"), "utf8");
    const { stdout } = await runDoctor(["--help"]);
    for (const [option] of stdout.matchAll(/--[a-z][a-z-]+/g)) {
      if (option !== "--help" && option !== "--version")
        assert.ok(page.includes(option) || tools.includes(option), option);
    }
  });
});

it("the report in the README is what is printed", () => {
  const readme = readFileSync(join(HOSTS, "../../README.md"), "utf8");
  const [, block] = /```text\n([\s\S]*?)```/.exec(readme) ?? [];
  assert.equal(block, readFileSync(join(HOSTS, "intel-nopost/report-80.txt"), "utf8"));
});
