// Compiled code for the explorer: each instruction that touches memory becomes a call of an import, so that each access is a step.

/**
 * Instructions that the fast path uses, the method of `Words` that does the same, and operands and result. Twins of the scenarios
 * know the order, by which the imports are numbered.
 */
const WORDS = {
  "i32.atomic.load": ["load", 1, 1],
  "i32.atomic.store": ["store", 2, 0],
  "i32.atomic.rmw.or": ["or", 2, 1],
  "i32.atomic.rmw.and": ["and", 2, 1],
  "i32.atomic.rmw.add": ["add", 2, 1],
  "i32.atomic.rmw.xchg": ["exchange", 2, 1],
  "i32.atomic.rmw.cmpxchg": ["compareExchange", 3, 1],
  "memory.atomic.notify": ["notify", 2, 1],
  "i32.load": ["get", 1, 1],
  "i32.store": ["set", 2, 0],
  "i64.atomic.load": ["load64", 1, 1],
  "i64.atomic.rmw.cmpxchg": ["compareExchange64", 3, 1],
};

/**
 * The module that this text is of without a memory: each instruction that touched it calls an import of "words", with the address
 * as it stands, and after the operands the instruction's own offset to it where there is one.
 */
export function rewriteWords(binaryen, text) {
  const imports = ["", "+offset"].flatMap((suffix) =>
    Object.entries(WORDS).map(([instruction, [method, operands, results]]) => {
      const value = instruction.slice(0, 3) === "i64" ? "i64" : "i32";
      const values = ` ${value}`.repeat(operands - 1) + (suffix ? " i32" : "");
      const type = `(param i32${values})${results ? ` (result ${value})` : ""}`;
      return `(import "words" "${method}" (func $seam/${method}${suffix} ${type}))`;
    }),
  );
  const lines = text.split("\n").flatMap((line) => {
    if (line.startsWith(' (import "env" "memory"')) return imports;
    if (!touchesMemory(line)) return [line];
    const [name, offset] = line.trim().split(" offset=");
    const seam = WORDS[name];
    if (seam === undefined) throw new Error(`no method of the seam does what ${line.trim()} does`);
    if (offset === undefined) return [`call $seam/${seam[0]}`];
    return [`i32.const ${offset}`, `call $seam/${seam[0]}+offset`];
  });
  return assembled(binaryen, lines);
}

/**
 * What clang has made, without a memory: each instruction that touched it calls an import of "memory" that has the instruction's
 * name, with its operands and its own offset. Globals stay; what the data segments hold is given back, for whoever plays the memory.
 */
export function rewriteModule(binaryen, bytes) {
  const module = binaryen.readBinary(bytes);
  let text;
  try {
    module.setFeatures(binaryen.Features.All);
    text = module.emitStackIR();
  } finally {
    module.dispose();
  }
  const used = new Set();
  const all = text.split("\n");
  const segments = all.filter((line) => line.startsWith(" (data ")).map(segmentOf);
  const lines = all.flatMap((line) => {
    if (line.startsWith(' (import "env" "memory"')) return ["@imports@"];
    if (line.startsWith(" (data ")) return [];
    if (!touchesMemory(line)) return [line];
    const [instruction, ...operands] = line.trim().split(" ");
    if (instruction === "atomic.fence") return []; // every access is in one order anyhow
    const offset = operands.find((one) => one.startsWith("offset="))?.slice("offset=".length) ?? "0";
    const segment = operands.find((one) => one.startsWith("$"));
    used.add(instruction);
    const at = segment === undefined ? offset : String(indexOf(segments, segment));
    return [`i32.const ${at}`, `call $memory/${instruction}`];
  });
  const imports = [...used].map(
    (name) => `(import "memory" "${name}" (func $memory/${name} ${typeOf(name)}))`,
  );
  const at = lines.indexOf("@imports@");
  if (at >= 0) lines.splice(at, 1, ...imports);
  return { bytes: assembled(binaryen, lines), segments };
}

function touchesMemory(line) {
  const instruction = line.trim();
  return /(^|\.)(atomic\b|load|store|memory|data\b)/.test(instruction) && !instruction.startsWith("(");
}

/** The type of the import that does what an instruction does: its operands, and then its offset or segment. */
function typeOf(name) {
  const of = (params, result) => `(param ${params} i32)${result ? ` (result ${result})` : ""}`;
  if (name === "memory.atomic.notify") return of("i32 i32", "i32");
  if (name === "memory.atomic.wait32") return of("i32 i32 i64", "i32");
  if (name === "memory.atomic.wait64") return of("i32 i64 i64", "i32");
  if (/^memory\.(fill|copy|init)$/.test(name)) return of("i32 i32 i32");
  if (name === "data.drop") return "(param i32)";
  const [, type, operation] = /^(i32|i64)\.(?:atomic\.)?(load|store|rmw)/.exec(name) ?? [];
  if (operation === "load") return of("i32", type);
  if (operation === "store") return of(`i32 ${type}`);
  if (operation === "rmw") return of(name.includes(".cmpxchg") ? `i32 ${type} ${type}` : `i32 ${type}`, type);
  throw new Error(`${name} cannot be rewritten: no import does what it does`);
}

/** Where a data segment goes, undefined for one that `memory.init` names, and what is in it. */
function segmentOf(line) {
  const [, name, place, text] = /^ \(data (\$\S+)(?: \(i32\.const (-?\d+)\))? "(.*)"\)$/.exec(line) ?? [];
  if (name === undefined)
    throw new Error(`a data segment of this form cannot be rewritten: ${line.slice(0, 80)}`);
  const bytes = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== "\\") bytes.push(text.charCodeAt(at));
    else if (/^[0-9a-f]{2}$/i.test(text.slice(at + 1, at + 3))) {
      bytes.push(Number.parseInt(text.slice(at + 1, at + 3), 16));
      at += 2;
    } else {
      bytes.push({ n: 10, t: 9, r: 13, '"': 34, "'": 39, "\\": 92 }[text[at + 1]]);
      at += 1;
    }
  }
  return { name, at: place === undefined ? undefined : Number(place), bytes };
}

function indexOf(segments, name) {
  const at = segments.findIndex((one) => one.name === name);
  if (at < 0) throw new Error(`there is no data segment ${name}`);
  return at;
}

function assembled(binaryen, lines) {
  const module = binaryen.parseText(lines.join("\n"));
  try {
    module.setFeatures(binaryen.Features.All);
    if (!module.validate()) throw new Error("the rewritten module is not valid");
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}
