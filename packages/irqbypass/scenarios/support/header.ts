/**
 * The scenarios of `include/interrupt_file.h` as clang compiles it, each of whose accesses of a file is a step. They are of no
 * scenario file, since not every machine has clang; the museum and the tests take them from here.
 */
import binaryen from "assemblyscript/binaryen";
import {
  type Cast,
  override,
  type Scenario,
  type Subject,
  subjectsOf,
  type Words,
  type World,
} from "atomics-explorer";
import { InterruptFile } from "irqbypass";
import { compileC } from "./clang.js";
import { linear, type Rewritten, type SharedRange } from "./linear.js";

const SOURCE = "test/file/cpu.c";
/** Where C has the file; behind it the thread that has the CPU, and what the CPU has taken. */
const FILE = 0x200000;
const [CONTROL, TOKEN, TAKEN, WORDS] = [8, 16, 17, 25];
const INTO = FILE + 4 * TAKEN;

interface Exports {
  post(file: number, id: number): void;
  harvest(file: number, into: number): number;
  block(file: number, ns: bigint): number;
  kick(file: number): void;
  suspend(file: number): void;
  resume(file: number): void;
  renotify(file: number): void;
}

/** `enum if_wake`; a poster that was late to notify wakes whoever blocks again. */
const [INTERRUPT, KICKED, WOKEN] = [0, 2, 5];

/** What clang makes of a source of this package, for the explorer. */
export async function rewritten(source: string, flags: readonly string[] = []): Promise<Rewritten> {
  const tool = (await import(new URL("../../../assembly/rewrite.mjs", import.meta.url).href)) as {
    rewriteModule: (tool: unknown, bytes: Uint8Array) => Rewritten;
  };
  return tool.rewriteModule(binaryen, compileC(source, flags));
}

function expect(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}

/**
 * A world with a file at word 0, and C in each thread. Ids are in the first two words of PIR: a look at the others, which nobody
 * changes, is no step.
 */
function scene(world: World, module: Rewritten, names: readonly string[]) {
  const memory = new SharedArrayBuffer(128);
  const words = (name: string) => {
    const all = world.adopt(name, memory, 0, WORDS);
    return override(all, { load: (word) => (word > 1 && word < CONTROL ? 0 : all.load(word)) });
  };
  InterruptFile.create(memory, 0, { words: () => words(names[0]!) });
  world.discipline = {
    name: (word) => (word === CONTROL ? "control" : word < CONTROL ? `pir[${word}]` : `word ${word}`),
    objection: () => undefined,
  };
  const c = (name: string): Exports => {
    const range: SharedRange = { from: FILE, words: words(name), length: WORDS };
    return linear(module, range).exports as Exports;
  };
  return { c, words };
}

type Setup = (module: Rewritten) => (world: World) => Cast;

/** Blocks and harvests until both ids are taken, to where the CPU keeps them. */
function serve({ block, harvest }: Exports, own: Words): string {
  while (own.get(TAKEN) !== 2 || own.get(TAKEN + 1) !== 2) {
    const why = block(FILE, -1n);
    expect(why === INTERRUPT || why === WOKEN, `the wait ended with ${why}`);
    harvest(FILE, INTO);
  }
  return "both";
}

/** Two posters, and an owner that sleeps until it has what they post. */
const sleeps: Setup = (module) => (world) => {
  const { c, words } = scene(world, module, ["owner", "poster1", "poster2"]);
  return {
    threads: {
      owner: () => serve(c("owner"), words("owner")),
      poster1: () => c("poster1").post(FILE, 1),
      poster2: () => c("poster2").post(FILE, 33),
    },
    end: ({ owner }) => expect(owner === "both", `the owner has ${owner}`),
  };
};

/** An owner that goes on until it was kicked and has what was posted. */
const kicks: Setup = (module) => (world) => {
  const { c, words } = scene(world, module, ["owner", "poster", "kicker"]);
  return {
    threads: {
      owner() {
        const [owner, own] = [c("owner"), words("owner")];
        for (let kicked = false; !kicked || own.get(TAKEN) !== 2; owner.harvest(FILE, INTO)) {
          const why = owner.block(FILE, -1n);
          expect(why === INTERRUPT || why === KICKED || why === WOKEN, `the wait ended with ${why}`);
          kicked ||= why === KICKED;
        }
      },
      poster: () => c("poster").post(FILE, 1),
      kicker: () => c("kicker").kick(FILE),
    },
  };
};

/** The CPU goes from one thread to another while two devices post. */
const moves: Setup = (module) => (world) => {
  const { c, words } = scene(world, module, ["from", "to", "poster1", "poster2"]);
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
        return serve(to, own);
      },
      poster1: () => c("poster1").post(FILE, 1),
      poster2: () => c("poster2").post(FILE, 33),
    },
    end: ({ to }) => expect(to === "both", `the next owner has ${to}`),
  };
};

/** A poster dies anywhere; who notices renotifies, and then nothing may sit in PIR beside a sleeping owner. */
const dies: Setup = (module) => (world) => {
  const { c, words } = scene(world, module, ["owner", "poster", "repairer"]);
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
      if (poster === undefined && repairer !== true) return; // it died later, and nobody has noticed yet
      expect(words("owner").load(0) === 0, "an id sits in PIR");
    },
  };
};

/** The owner dies anywhere as it sleeps and harvests, and another thread takes its CPU over. */
const inherits: Setup = (module) => (world) => {
  const { c, words } = scene(world, module, ["owner", "heir", "poster1", "poster2"]);
  const { alive } = world.thread("heir");
  const { index } = world.thread("owner");
  return {
    threads: {
      owner: () => serve(c("owner"), words("owner")),
      heir() {
        if (alive(index)) return "none died";
        const heir = c("heir");
        heir.resume(FILE);
        return serve(heir, words("heir"));
      },
      poster1: () => c("poster1").post(FILE, 1),
      poster2: () => c("poster2").post(FILE, 33),
    },
  };
};

/** A scenario, and twins by the macros that make them. */
interface Described {
  readonly sentence: string;
  readonly setup: Setup;
  readonly kills?: readonly string[];
  readonly twins: Readonly<Record<string, { readonly sentence: string; readonly flags: readonly string[] }>>;
}

const SILENT = {
  sentence: "notifies nobody",
  flags: ["-DIF_NOTIFY(word)=((void)(word))"],
};
const SCENARIOS: Readonly<Record<string, Described>> = {
  sleep: {
    sentence: "In C: of two posters to an owner that sleeps neither id is lost.",
    setup: sleeps,
    twins: {
      "notifies-none": SILENT,
      "reads-the-word-late": {
        sentence: "waits for whatever is in the word after the look",
        flags: [
          "-DIF_WAIT(word,value,ns)=__builtin_wasm_memory_atomic_wait32((int*)(word),(int)__atomic_load_n((word),5)+0*(int)(value),(ns))",
        ],
      },
    },
  },
  kick: {
    sentence: "In C: neither a kick is lost beside a post, nor a post beside a kick.",
    setup: kicks,
    twins: { "notifies-none": SILENT },
  },
  move: {
    sentence: "In C: what is posted while a CPU is suspended here and resumed there is taken there.",
    setup: moves,
    twins: { "notifies-none": SILENT },
  },
  death: {
    sentence: "In C: a poster dies anywhere, and renotify brings what it posted.",
    setup: dies,
    kills: ["poster"],
    twins: { "notifies-none": SILENT },
  },
  owner: {
    sentence:
      "In C: an owner dies anywhere as it sleeps and harvests, and whoever resumes its CPU has what was posted.",
    setup: inherits,
    kills: ["owner"],
    twins: { "notifies-none": SILENT },
  },
};

/** All of them, compiled. Throws what clang says. */
export async function headerSubjects(): Promise<Subject[]> {
  const shipped = await rewritten(SOURCE);
  const found: Subject[] = [];
  for (const [name, { sentence, setup, kills, twins }] of Object.entries(SCENARIOS)) {
    const broken: Record<string, Scenario["twins"][string]> = {};
    for (const [twin, { sentence: wrong, flags }] of Object.entries(twins))
      broken[twin] = { sentence: wrong, setup: setup(await rewritten(SOURCE, flags)) };
    const scenario: Scenario = { sentence, setup: setup(shipped), twins: broken, ...(kills && { kills }) };
    found.push(...subjectsOf(`header/${name}`, scenario));
  }
  return found;
}
