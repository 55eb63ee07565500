/**
 * The header of a host: its capacities, its kinds, its size. Written once by whoever creates the host, and looked at by
 * whoever attaches.
 */
import { show } from "./argument.js";
import { type Capacity, ownRecords } from "./capacity.js";
import { IrqBypassError } from "./errors.js";
import {
  Header,
  LAYOUT_VERSION,
  LINE,
  MAGIC,
  POOLS,
  type PoolName,
  Root,
  Thread,
  ThreadState,
} from "./layout.js";
import { PendingIrqfds } from "./pending.js";
import { POOL_STATE_WORDS } from "./pool.js";
import { looksIn } from "./spinning.js";
import { WORD_BYTES, type Words } from "./words.js";

/** Words, up to the next line. */
export const lines = (words: number) => Math.ceil(words / LINE) * LINE;

/** Words of a host whose pools have room for so many records. */
export function sizeOf(capacity: (pool: PoolName) => number): number {
  let words: number = Header.words;
  for (const { name, words: stride } of POOLS) words += lines(capacity(name) * stride);
  return words + lines(PendingIrqfds.words(capacity("consumer")));
}

/** Words of a host of this capacity. Throws EINVAL where it would not fit. */
export function hostWords(capacity: Capacity): number {
  const words = sizeOf((pool) => capacity[pool] + ownRecords(pool));
  if (words >= 2 ** 30) {
    throw new IrqBypassError(
      "EINVAL",
      `this capacity takes ${words * WORD_BYTES} bytes: a host has at most 4 GiB`,
    );
  }
  return words;
}

/** Levels of an xarray over indexes of 32 bits. */
const MAX_LEVELS = 6;
const MAX_KINDS = Header.kinds - Header.relays;

/** For how long who waits looks at most before it sleeps: what nobody has said otherwise, and the most that may be said. */
const SPIN_US = 5;
const MAX_SPIN_US = 1000;

/** Throws EINVAL for what {@link writeHeader} does not take. */
export function checkSpinUs(spinUs: unknown): void {
  if (spinUs === undefined) return;
  if (typeof spinUs === "number" && spinUs >= 0 && spinUs <= MAX_SPIN_US) return;
  throw new IrqBypassError(
    "EINVAL",
    `spinUs is ${show(spinUs)}: give 0 to ${MAX_SPIN_US} microseconds, 0 to sleep at once`,
  );
}

/** The names as the header keeps them. Throws where a thread that attaches could not tell them apart. */
export function joinNames(kinds: readonly string[]): string {
  if (kinds.length > MAX_KINDS) {
    throw new IrqBypassError("E2BIG", `a host has at most ${MAX_KINDS} kinds, its own included`);
  }
  for (const name of kinds) {
    if (
      typeof name === "string" &&
      name !== "" &&
      !name.includes("\n") &&
      kinds.indexOf(name) === kinds.lastIndexOf(name)
    )
      continue;
    throw new IrqBypassError(
      "EINVAL",
      `kind ${typeof name === "string" ? JSON.stringify(name) : show(name)}: give each kind a name of its own, in one line`,
    );
  }
  const names = kinds.join("\n");
  if (names.length > Header.kindsEnd - Header.kinds - 1) {
    throw new IrqBypassError(
      "E2BIG",
      `the names of the kinds take ${names.length} characters: use shorter names`,
    );
  }
  return names;
}

/** Writes the header of a new host, which is none to anybody else before {@link publishHeader}. Throws EEXIST where there is one. */
export function writeHeader(words: Words, capacity: Capacity, names: string, spinUs = SPIN_US): void {
  if (words.load(Header.magic) === MAGIC) {
    throw new IrqBypassError(
      "EEXIST",
      "there is a host at this place already: attach to it, or clear the memory first",
    );
  }
  POOLS.forEach(({ name }, index) => {
    words.set(Header.capacities + index, capacity[name] + ownRecords(name));
  });
  words.set(Header.kinds, names.length);
  for (let i = 0; i < names.length; i++) words.set(Header.kinds + 1 + i, names.charCodeAt(i));
  words.set(Header.looks, looksIn(spinUs));
  words.set(Header.size, hostWords(capacity));
  words.set(Header.version, LAYOUT_VERSION);
  words.set(Header.id, Math.floor(Math.random() * 2 ** 31));
  words.store(Header.bypass, 1);
}

/** Makes a host of what is in the memory: last of all, whoever sees the magic sees all that was written before. */
export function publishHeader(words: Words): void {
  words.store(Header.magic, MAGIC);
}

/** Can a host's header be here? */
function isPlace(byteOffset: number, buffer: SharedArrayBuffer): boolean {
  const isLine =
    Number.isSafeInteger(byteOffset) && byteOffset >= 0 && byteOffset % (LINE * WORD_BYTES) === 0;
  return isLine && byteOffset + Header.words * WORD_BYTES <= buffer.byteLength;
}

function isHost(buffer: SharedArrayBuffer, byteOffset: number): boolean {
  if (!isPlace(byteOffset, buffer)) return false;
  return Atomics.load(new Int32Array(buffer, byteOffset), Header.magic) === MAGIC;
}

/** Size in words of the host at this place; throws what is wrong with it otherwise. */
export function readSize(buffer: SharedArrayBuffer, byteOffset: number): number {
  if (!isHost(buffer, byteOffset)) {
    // Counted in words it is a quarter of what it should be, and four times as much where it was counted twice.
    const others = typeof byteOffset === "number" ? [byteOffset * WORD_BYTES, byteOffset / WORD_BYTES] : [];
    const meant = others.find((one) => isHost(buffer, one));
    const advice =
      meant === undefined
        ? "pass the handle of one, as host.handle is"
        : `byteOffset counts bytes, and there is one at ${meant}`;
    const where = `byteOffset ${show(byteOffset)}`;
    const what = isPlace(byteOffset, buffer)
      ? `the memory at ${where} is not a host`
      : `there is no host at ${where} of this memory`;
    throw new IrqBypassError("EINVAL", `${what}: ${advice}`);
  }
  const header = new Int32Array(buffer, byteOffset, Header.words);
  const version = header[Header.version]!;
  if (version !== LAYOUT_VERSION) {
    throw new IrqBypassError(
      "EINVAL",
      `this host has layout version ${version}, this library knows ${LAYOUT_VERSION}: use the same version in every thread`,
    );
  }
  const size = header[Header.size]!;
  const room = (buffer.byteLength - byteOffset) / WORD_BYTES;
  if (size < Header.words || size > room) {
    throw new IrqBypassError(
      "EINVAL",
      `this host says it has ${size} words, its memory has ${room}: it is damaged`,
    );
  }
  return size;
}

/**
 * Refuses a header with a word that no host's can have: what is built on it would look for records where there are none, or
 * wait for a thread that is none. Of a word that others may be changing it asks no more than a range.
 */
export function checkHeader(words: Words, size: number): void {
  const require = (holds: boolean, what: string) => {
    if (!holds) throw new IrqBypassError("EINVAL", `the header of this host says ${what}: it is damaged`);
  };
  const capacity = (index: number) => words.get(Header.capacities + index);
  let base: number = Header.words;
  const isRecord = (reference: number, stride: number, count: number) =>
    reference === 0 ||
    (reference >= base && reference < base + stride * count && (reference - base) % stride === 0);
  POOLS.forEach(({ name, words: stride }, index) => {
    const count = capacity(index);
    require(count >= 1 && count < 2 ** 21, `that there is room for ${count} of ${name}`);
    const [free, used, live] = [0, 1, 2].map((word) =>
      words.get(Header.pools + index * POOL_STATE_WORDS + word),
    );
    require(used! >= 0 &&
      used! <= count &&
      live! >= 0 &&
      live! <= count, `that ${live} of ${used} ${name} records live`);
    require(isRecord(free!, stride, count), `that a free ${name} record is at word ${free}`);
    if (name === "node") {
      for (const root of [Header.producers, Header.consumers, Header.linuxEventfds]) {
        const [node, levels] = [words.get(root + Root.node), words.get(root + Root.levels)];
        require(levels >= 0 &&
          levels <= MAX_LEVELS &&
          isRecord(node, stride, count), `that an index starts at word ${node}`);
      }
    }
    base += lines(stride * count);
  });
  const own = sizeOf((pool) => capacity(POOLS.findIndex(({ name }) => name === pool)));
  require(own === size, `that its records take ${own} words, and has ${size}`);
  const length = words.get(Header.kinds);
  require(length >= 1 &&
    length < Header.kindsEnd - Header.kinds, `that the names of its kinds take ${length} words`);
  const looks = words.get(Header.looks);
  require(looks >= 0 &&
    looks <= looksIn(MAX_SPIN_US), `that who waits looks ${looks} times before it sleeps`);
  const threads = words.load(Header.threads);
  require(threads >= 0 && threads <= capacity(0), `that ${threads} threads have attached`);
  const held = words.load(Header.mutex);
  const owner = held >>> 1;
  require(held !== 1, "that nobody holds its mutex, and somebody waits for it");
  const slot = (owner - 1) % capacity(0);
  const state = owner === 0 ? 1 : words.load(Header.words + slot * POOLS[0].words + Thread.state);
  require(state !== ThreadState.free ||
    words.load(Header.mutex) !== held, `that thread ${slot}, which is not there, holds its mutex`);
}

/** How a caller gets a kind of this library. */
const LIBRARY_KINDS: Readonly<Record<string, string>> = {
  "linux-eventfd": "linux-eventfd is linux() of irqbypass/linux",
  "kvm-irqfd": "kvm-irqfd is kvm() of irqbypass/kvm",
};

/**
 * Refuses a thread that lacks one of the host's kinds: it could not run the callbacks of that kind. The first is the host's own
 * in every thread.
 */
export function checkKinds(words: Words, mine: readonly string[]): void {
  const length = words.get(Header.kinds);
  let names = "";
  for (let i = 0; i < length; i++) names += String.fromCharCode(words.get(Header.kinds + 1 + i));
  const wanted = names.split("\n");
  if (wanted.length === mine.length && wanted.every((name, index) => mine[index] === name)) return;
  const missing = wanted.filter((name) => !mine.includes(name));
  const own = wanted.slice(1);
  const made = own.filter((name) => LIBRARY_KINDS[name] !== undefined).map((name) => LIBRARY_KINDS[name]);
  const from = made.length === 0 ? "" : `; ${made.join(", ")}`;
  const advice =
    missing.length > 0
      ? `this host was created with kinds that this thread lacks: pass ${missing.join(", ")} to Host.attach as well, its kinds being [${own.join(", ")}]`
      : `the kinds of a host are fixed when it is created: pass ${own.length === 0 ? "none" : `exactly ${own.join(", ")} in this order`} to Host.attach`;
  throw new IrqBypassError("EINVAL", `${advice}${from}`, { subject: missing[0] ?? "kinds" });
}
