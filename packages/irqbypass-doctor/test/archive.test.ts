/**
 * A capture is read from its tar archive in place: the same report as from the directory, and a stranger's archive is
 * refused with a sentence.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Report } from "#src/judge/report.js";
import { decodeName, encodeName, parseLinks, printLinks } from "#src/source/names.js";
import { runDoctor } from "./run.js";
import { hostNames, loadHost, withTree } from "./tree.js";
import { itAsUsers } from "./users.js";

const ABOUT = "format: irqbypass-capture/2\nat: 2026-03-01T12:00:00Z\nseconds: 2\n";

interface Entry {
  readonly path: string;
  readonly type?: string;
  readonly text?: string;
  readonly target?: string;
  /** What the header says; the length of the text if not given. */
  readonly size?: number | string;
}

/** An archive as anybody may write it, byte by byte. */
function tar(entries: readonly Entry[], end = true): Buffer {
  const blocks: Buffer[] = [];
  for (const { path, type = "0", text = "", target = "", size } of entries) {
    const header = Buffer.alloc(512);
    header.write(path, 0, 100);
    header.write("0000644\0", 100);
    const length =
      typeof size === "string" ? size : (size ?? Buffer.byteLength(text)).toString(8).padStart(11, "0");
    header.write(length, 124, 12);
    header.write("00000000000\0", 136);
    header.write(type, 156);
    header.write(target, 157, 100);
    header.write("ustar\x0000", 257);
    header.fill(" ", 148, 156);
    const sum = header.reduce((a, b) => a + b, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    const contents = Buffer.alloc(Math.ceil(Buffer.byteLength(text) / 512) * 512);
    contents.write(text);
    blocks.push(header, contents);
  }
  return Buffer.concat([...blocks, Buffer.alloc(end ? 1024 : 0)]);
}

const WHOLE: readonly Entry[] = [
  { path: "case/", type: "5" },
  { path: "case/about", text: ABOUT },
  { path: "case/1/proc/sys/kernel/osrelease", text: "6.18.0\n" },
];

describe("an archive", () => {
  for (const name of hostNames()) {
    it(`gives the report of its directory: ${name}`, async () => {
      await withTree(name, loadHost(name), async (dir) => {
        execFileSync("tar", ["-cf", `${dir}.tar`, "-C", join(dir, ".."), name]);
        const report = async (from: string) => {
          const { stdout, stderr, code } = await runDoctor(["--from", from, "--json"]);
          assert.equal(stderr, "");
          return [stdout.replace(`the capture ${name}.tar`, `the capture ${name}`), code];
        };
        assert.deepEqual(await report(`${dir}.tar`), await report(dir));
      });
    });
  }

  itAsUsers("is read whatever tar wrote it: long names, names of its own, none above", async (dir) => {
    const long = `sys/kernel/debug/iommu/${"x".repeat(120)}/${"y".repeat(130)}`;
    mkdirSync(join(dir, "case/1/proc/sys/kernel"), { recursive: true });
    mkdirSync(join(dir, "case/1", long), { recursive: true });
    writeFileSync(join(dir, "case/about"), ABOUT);
    writeFileSync(join(dir, "case/1/proc/sys/kernel/osrelease"), "6.18.0\n");
    for (const args of [
      ["--format=gnu", "-C", dir, "case"],
      ["--format=pax", "-C", dir, "case"],
      ["--format=ustar", "--exclude=x*", "-C", dir, "case"],
      ["--format=gnu", "-C", join(dir, "case"), "."],
    ]) {
      execFileSync("tar", ["-cf", join(dir, "c.tar"), ...args]);
      const { stdout, stderr } = await runDoctor(["--from", join(dir, "c.tar")]);
      assert.equal(stderr, "", args.join(" "));
      assert.match(stdout, /the capture c\.tar, Linux 6\.18\.0/);
    }
  });

  const refused: readonly (readonly [what: string, archive: () => Buffer, message: RegExp])[] = [
    [
      "a name that leads up",
      () => tar([...WHOLE, { path: "case/../../etc/passwd", text: "x" }]),
      /EINVAL: bad\.tar names case\/\.\.\/\.\.\/etc\/passwd, outside of itself/,
    ],
    ["an absolute name", () => tar([...WHOLE, { path: "/etc/passwd", text: "x" }]), /outside of itself/],
    [
      "a long name that leads up",
      () => tar([...WHOLE, { path: "././@LongLink", type: "L", text: "../x\0" }, { path: "x", text: "" }]),
      /names \.\.\/x, outside of itself/,
    ],
    [
      "an extended name that leads up",
      () => tar([...WHOLE, { path: "p", type: "x", text: "13 path=../x\n" }, { path: "x", text: "" }]),
      /names \.\.\/x, outside of itself/,
    ],
    [
      "a device",
      () => tar([...WHOLE, { path: "case/1/proc/interrupts", type: "3" }]),
      /holds a device \(case\/1\/proc\/interrupts\)/,
    ],
    ["a block device", () => tar([...WHOLE, { path: "case/1/sda", type: "4" }]), /holds a device/],
    ["a pipe", () => tar([...WHOLE, { path: "case/1/proc/interrupts", type: "6" }]), /holds a pipe/],
    [
      "a hard link",
      () => tar([...WHOLE, { path: "case/1/x", type: "1", target: "/etc/passwd" }]),
      /holds a hard link/,
    ],
    [
      "a file of 1 GB",
      () => tar([...WHOLE, { path: "case/1/proc/interrupts", size: 1024 ** 3 }]),
      /EFBIG: bad\.tar holds case\/1\/proc\/interrupts of 1,073,741,824 bytes/,
    ],
    [
      "a file of 10 GB",
      () => tar([...WHOLE, { path: "case/1/proc/interrupts", size: "\x80\0\0\0\0\0\0\x02\x80\0\0\0" }]),
      /does not tell how large/,
    ],
    [
      "a sparse file of GNU",
      () => tar([...WHOLE, { path: "case/1/proc/interrupts", type: "S" }]),
      /sparse file/,
    ],
    [
      "a sparse file of pax",
      () => tar([...WHOLE, { path: "p", type: "x", text: "22 GNU.sparse.major=1\n" }, { path: "x" }]),
      /sparse file/,
    ],
    ["one name twice", () => tar([...WHOLE, ...WHOLE.slice(1)]), /holds about twice/],
    [
      "something beside the capture",
      () => tar([...WHOLE, { path: "other/x", text: "" }]),
      /holds other\/x outside of case\//,
    ],
    ["no capture", () => tar([{ path: "case/x", text: "" }]), /has no file "about"/],
    [
      "a cut archive",
      () => tar([...WHOLE, { path: "case/1/proc/interrupts", size: 100_000 }]),
      /ends within case\/1\/proc\/interrupts/,
    ],
    ["half a header", () => tar(WHOLE, false).subarray(0, 700), /ends within|not a whole one/],
    ["no archive", () => Buffer.from("hello".repeat(1000)), /is no tar archive/],
    ["an empty file", () => Buffer.alloc(0), /is no tar archive/],
    [
      "a compressed one",
      () => Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), Buffer.alloc(600, 7)]),
      /is compressed: unpack it with gunzip first/,
    ],
    [
      "a name without an end",
      () => tar([...WHOLE, { path: "n", type: "L", size: 100_000, text: "a".repeat(100_000) }]),
      /holds a name of 100,000 bytes/,
    ],
    [
      "names without an end",
      () =>
        tar([
          ...WHOLE,
          ...Array.from({ length: 30 }, (_, i) => ({ path: `case/1/${"d/".repeat(i + 10)}x` })),
        ]),
      /path longer than a host's/,
    ],
    [
      "a damaged header",
      () => {
        const archive = tar(WHOLE);
        archive[513] = 0xff;
        archive[600] = 7;
        return archive;
      },
      /EINVAL/,
    ],
  ];
  for (const [what, archive, message] of refused) {
    itAsUsers(`is refused with a sentence: ${what}`, async (dir) => {
      writeFileSync(join(dir, "bad.tar"), archive());
      const { code, stdout, stderr } = await runDoctor(["--from", join(dir, "bad.tar")]);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split("\n").length, 1);
    });
  }

  itAsUsers("is refused with a sentence: one that is sparse itself, of ten gigabytes", async (dir) => {
    writeFileSync(join(dir, "bad.tar"), tar(WHOLE));
    truncateSync(join(dir, "bad.tar"), 10 * 1024 ** 3);
    const { code, stderr } = await runDoctor(["--from", join(dir, "bad.tar")]);
    assert.equal(code, 2);
    assert.match(stderr, /EFBIG: bad\.tar has 10,737,418,240 bytes/);
  });

  it("is refused with a sentence: more files than a host has", async () => {
    await withTree("empty-host", loadHost("empty-host"), async (dir) => {
      const many: Buffer[] = [tar(WHOLE, false)];
      const one = tar([{ path: "case/1/x00000000" }], false);
      const sum = one.reduce((a, byte, at) => a + (at < 148 || at >= 156 ? byte : 32), 0);
      for (let i = 0; i < 400_010; i += 1) {
        const header = Buffer.from(one);
        const digits = String(i).padStart(8, "0");
        header.write(digits, 8);
        const grown = [...digits].reduce((a, digit) => a + Number(digit), sum);
        header.write(`${grown.toString(8).padStart(6, "0")}\0 `, 148);
        many.push(header);
      }
      writeFileSync(`${dir}.tar`, Buffer.concat(many));
      const { code, stderr } = await runDoctor(["--from", `${dir}.tar`]);
      rmSync(`${dir}.tar`);
      assert.equal(code, 2);
      assert.match(stderr, /E2BIG: .*holds more than 400,000 files: a host has fewer/);
    });
  });

  itAsUsers("never follows its links: they are names", async (dir) => {
    const link = { path: "case/1/proc/cmdline", type: "2", target: "/proc/self/environ" };
    const directory = { path: "case/1/proc/sys", type: "2", target: "/proc/sys" };
    const about = WHOLE.slice(0, 2);
    writeFileSync(join(dir, "l.tar"), tar([...about, { path: "case/1", type: "5" }, link, directory]));
    const { stdout, stderr } = await runDoctor(["--from", join(dir, "l.tar"), "--json"]);
    assert.equal(stderr, "");
    const report = JSON.parse(stdout) as Report;
    assert.equal(report.measured.kernel, "unknown", "what lies below a link is not there");
    assert.ok(report.chain.every(({ name, state }) => name !== "kernel command line" || state === "unknown"));
    assert.ok(!stdout.includes(process.env.PATH!), "the environment of this process");
  });
});

describe("names as data", () => {
  it("come back as they were, in lines of plain characters", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }))),
        (pairs) => {
          const links = new Map(pairs.filter(([path]) => path !== ""));
          const text = printLinks(links);
          assert.match(text, /^([\w./:,=+@()[\]%-]* [\w./:,=+@()[\]%-]*\n)*$/);
          assert.deepEqual(parseLinks(text), links);
        },
      ),
    );
    assert.equal(encodeName("/memfd: -> x\n"), "/memfd:%20-%3e%20x%0a");
    assert.equal(decodeName("%e6%bc%a2"), "漢");
  });

  it("are refused where they are none", () => {
    for (const text of ["a\n", "a b c\n", "a%2 b\n", "a \u001b\n", "a%zz b\n"])
      assert.throws(() => parseLinks(text), /line 1 /);
  });
});
