// Each package as others get it: what its tarball has and what it takes, and that its command runs in an empty folder.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { PACKAGES } from "../pack/packages.mjs";
import { Installed, run } from "../pack/tarball.mjs";

const limits = JSON.parse(readFileSync(new URL("../pack/limits.json", import.meta.url), "utf8"));
const WORKSHOP =
  /(^|\/)(test|bench|build|scenarios|assembly|node_modules|\.ci|\.git)\/|\.map$|\.ts$(?<!\.d\.ts)|\.tsbuildinfo$|package-lock|\.tgz$/;
const PUBLINT = fileURLToPath(new URL("../../node_modules/publint/src/cli.js", import.meta.url));

let installed;
before(async () => {
  installed = await Installed.make(PACKAGES);
});
after(() => installed?.remove());

for (const name of PACKAGES) {
  describe(name, () => {
    const file = (path) => readFileSync(installed.path(name, path), "utf8");

    it("has what a reader looks for first, and nothing of the workshop", () => {
      const { files } = installed.tarballs.get(name);
      for (const wanted of ["package.json", "README.md", "LICENSE", "CHANGELOG.md", "NOTICES.md"])
        assert.ok(files.includes(wanted), `${wanted} is missing`);
      assert.deepEqual(
        files.filter((path) => WORKSHOP.test(path)),
        [],
      );
    });

    it("is no larger than its limits", () => {
      const { files, bytes } = installed.tarballs.get(name);
      assert.ok(files.length <= limits[name].files, `${files.length} files`);
      assert.ok(bytes <= limits[name].bytes, `${bytes} bytes`);
    });

    it("leads to what is there: every link of its documents", () => {
      const { files } = installed.tarballs.get(name);
      const broken = [];
      for (const document of files.filter((path) => path.endsWith(".md")))
        for (const link of linksOf(file(document))) {
          const [path, heading] = link.split("#");
          const target = path === "" ? document : join(dirname(document), path);
          const there = !target.startsWith("..") && existsSync(installed.path(name, target));
          if (!there || (heading && !headingsOf(file(target)).includes(heading)))
            broken.push(`${document}: ${link}`);
        }
      assert.deepEqual(broken, []);
    });

    it("is what publint asks for", () => {
      run(process.execPath, [PUBLINT, "--strict", "--pack", "false", installed.path(name)], installed.folder);
    });

    it("has a command that says its version, and its help", () => {
      const { bin, version } = JSON.parse(file("package.json"));
      const command = installed.path(name, Object.values(bin)[0]);
      assert.equal(installed.node(command, "--version").trim(), version);
      assert.match(installed.node(command, "--help"), new RegExp(Object.keys(bin)[0]));
    });

    it("exports what can be imported, and what its declarations say is there", () => {
      const { exports } = JSON.parse(file("package.json"));
      for (const path of Object.keys(exports).filter((path) => !/\*|\.json$|-worker$/.test(path))) {
        const specifier = name + path.slice(1);
        const program = `console.log(JSON.stringify(Object.keys(await import("${specifier}"))))`;
        const there = JSON.parse(installed.node("--input-type=module", "-e", program));
        assert.ok(there.length > 0, specifier);
        assert.deepEqual(there.sort(), valuesOf(file(exports[path].types)), specifier);
      }
    });
  });
}

describe("the doctor", () => {
  it("has its collector, whose text is a shell script", () => {
    const command = installed.path("irqbypass-doctor", "dist/cli.js");
    const script = installed.node(command, "--collector");
    assert.match(script, /^#!\/bin\/sh/);
    assert.doesNotMatch(script, /@RIGHTS@/);
    run("sh", ["-n"], installed.folder, { input: script });
  });
});

/** The names that a declaration file exports as values. */
function valuesOf(text) {
  const lists = [...text.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, names]) => names.split(","));
  return lists.map((name) => name.replace(/^.*\bas\b|\s/g, "")).sort();
}

/** What a document links to beside the web. */
function linksOf(text) {
  const prose = text.replace(/^```[\s\S]*?^```/gm, "");
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g), ...prose.matchAll(/(?:src|srcset|href)="([^"]+)"/g)];
  return links.map(([, link]) => link).filter((link) => !/^[a-z]+:/.test(link));
}

/** The anchors of a document's headings, as GitHub makes them. */
function headingsOf(text) {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
