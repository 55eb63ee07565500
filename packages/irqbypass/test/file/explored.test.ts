/** `interrupt_file.h` as clang compiles it, in the explorer: each of its accesses of the file is a step. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import binaryen from "assemblyscript/binaryen";
import { type Cast, Explorer, type ScenarioOptions, type World } from "atomics-explorer";
import { InterruptFile } from "irqbypass";
import { linear, type Rewritten, type SharedRange } from "#scenarios/support/linear.js";
import { SharedWords } from "#src/host/words.js";
import { compileC, whyNoClang } from "./clang.js";

const { rewriteModule } = (await import(new URL("../../../assembly/rewrite.mjs", import.meta.url).href)) as {
  rewriteModule: (tool: unknown, bytes: Uint8Array) => Rewritten;
};

const skip = whyNoClang() ?? false;
const rewritten = (source: string, flags: readonly string[] = []) =>
  rewriteModule(binaryen, compileC(source, flags));

/** Where C has the file, and where in its own memory it harvests to. */
const FILE = 0x200000;
const INTO = 0x1f000;
const WORDS = 18;
const [CONTROL, TOKEN] = [8, 16];

interface Exports {
  post(file: number, id: number): void;
  harvest(file: number, into: number): number;
  block(file: number, ns: bigint): number;
  suspend(file: number): void;
  resume(file: number): void;
  renotify(file: number): void;
}

/** A world with a file at word 0, and C in each thread. */
function cast(world: World, module: Rewritten, names: readonly string[]) {
  const memory = new SharedArrayBuffer(128);
  const words = (name: string) => world.adopt(name, memory, 0, WORDS);
  InterruptFile.create(memory, 0, { words: () => words(names[0]!) });
  world.discipline = {
    name: (word) => (word === CONTROL ? "control" : `word ${word}`),
    objection: () => undefined,
  };
  const c = (name: string) => {
    const range: SharedRange = { from: FILE, words: words(name), length: WORDS };
    const { exports, own } = linear(module, range);
    return { ...(exports as Exports), own };
  };
  return { c, words };
}

/** Blocks and harvests until it has both ids. */
function serve({ block, harvest, own }: Exports & { own: DataView }): string {
  const bits = (word: number) => own.getUint32(INTO + 4 * word, true);
  while (bits(0) !== 2 || bits(1) !== 2) {
    block(FILE, -1n);
    harvest(FILE, INTO);
  }
  return "both";
}

const sleeps =
  (module: Rewritten) =>
  (world: World): Cast => {
    const { c } = cast(world, module, ["owner", "poster1", "poster2"]);
    return {
      threads: {
        owner: () => serve(c("owner")),
        poster1: () => c("poster1").post(FILE, 1),
        poster2: () => c("poster2").post(FILE, 33),
      },
      end: ({ owner }) => assert.equal(owner, "both"),
    };
  };

const moves =
  (module: Rewritten) =>
  (world: World): Cast => {
    const { c, words } = cast(world, module, ["from", "to", "poster1", "poster2"]);
    return {
      threads: {
        from() {
          c("from").suspend(FILE);
          words("from").store(TOKEN, 1);
        },
        to() {
          const own = words("to");
          while (own.load(TOKEN) !== 1) own.relax();
          const to = c("to");
          to.resume(FILE);
          return serve(to);
        },
        poster1: () => c("poster1").post(FILE, 1),
        poster2: () => c("poster2").post(FILE, 33),
      },
      end: ({ to }) => assert.equal(to, "both"),
    };
  };

/** A poster dies anywhere; who notices renotifies, and then nothing may sit in PIR beside a sleeping owner. */
const dies =
  (module: Rewritten) =>
  (world: World): Cast => {
    const { c, words } = cast(world, module, ["owner", "poster", "repairer"]);
    const { alive } = world.thread("repairer");
    const { index } = world.thread("poster");
    return {
      threads: {
        owner() {
          for (const owner = c("owner"); ; ) {
            owner.block(FILE, -1n);
            owner.harvest(FILE, INTO);
          }
        },
        poster() {
          c("poster").post(FILE, 1);
          return "posted";
        },
        repairer() {
          if (alive(index)) return false;
          c("repairer").renotify(FILE);
          return true;
        },
      },
      daemons: ["owner"],
      end({ poster, repairer }) {
        if (poster === undefined && repairer !== true) return;
        assert.equal(words("owner").load(0), 0, "an id sits in PIR");
      },
    };
  };

async function explore(setup: (world: World) => Cast, options: ScenarioOptions = {}) {
  const explorer = new Explorer(setup, options);
  await explorer.explore();
  return explorer;
}

describe("interrupt_file.h in the explorer", { skip }, () => {
  let module: Rewritten;
  before(() => {
    module = rewritten("test/file/cpu.c");
  });

  it("two posters, an owner that sleeps: neither id is lost", async () => {
    const { violation } = await explore(sleeps(module));
    assert.equal(violation, undefined);
  });

  it("a CPU that is suspended here and resumed there loses nothing", async () => {
    const { violation } = await explore(moves(module));
    assert.equal(violation, undefined);
  });

  it("a poster dies anywhere: renotify brings what it posted", async () => {
    const { violation } = await explore(dies(module), { kills: ["poster"] });
    assert.equal(violation, undefined);
  });

  for (const [what, flag] of [
    ["notifies nobody", "-DIF_NOTIFY(word)=((void)(word))"],
    [
      "waits for whatever is in the word by then",
      "-DIF_WAIT(word,value,ns)=__builtin_wasm_memory_atomic_wait32((int*)(word),(int)__atomic_load_n((word),5)+0*(int)(value),(ns))",
    ],
  ] as const) {
    it(`a twin that ${what} is found`, async () => {
      const { violation } = await explore(sleeps(rewritten("test/file/cpu.c", [flag])));
      assert.match(violation?.message ?? "", /deadlock/);
    });
  }
});

describe("clang's code over the explorer's words", { skip }, () => {
  it("has globals, data, narrow and wide accesses as the instructions have them", () => {
    const module = rewritten("test/file/accesses.c");
    const real = new SharedArrayBuffer(4 * WORDS);
    const range = { from: FILE, words: new SharedWords(real, 0, WORDS), length: WORDS };
    const { exports } = linear(module, range);
    const c = exports as Record<string, (...operands: number[]) => number>;
    assert.equal(c.data!(0), "i".charCodeAt(0) + 7);
    assert.equal(c.data!(1), "f".charCodeAt(0) + 8, "a global is kept from call to call");
    const bytes = new DataView(real);
    assert.equal(c.byte_or!(FILE + 5, 0x81), 0);
    assert.equal(c.byte_or!(FILE + 5, 0x12), 0x81);
    assert.equal(bytes.getUint8(5), 0x93);
    assert.equal(bytes.getUint8(4) + bytes.getUint8(6), 0, "its neighbours are as they were");
    assert.equal(c.byte_swap!(FILE + 5, 0x93, 1), 1);
    assert.equal(c.byte_swap!(FILE + 5, 0x93, 2), 0);
    assert.equal(c.short_add!(FILE + 6, 0xffff), 0);
    assert.equal(bytes.getUint16(6, true), 0xffff);
    assert.equal(c.wide_add!(FILE + 8, -1), 0);
    assert.equal(bytes.getBigUint64(8, true), 0xffff_ffff_ffff_ffffn);
    assert.equal(c.wide_add!(FILE + 8, 2), -1);
    assert.equal(bytes.getBigUint64(8, true), 1n);
    assert.equal(c.wide_swap!(FILE + 8, 1, 5), 1);
    assert.equal(bytes.getBigUint64(8, true), 5n);
  });
});
