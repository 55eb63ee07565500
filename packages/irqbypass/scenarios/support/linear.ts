import { compile, instantiate } from "#src/host/wasm.js";
import type { Words } from "#src/host/words.js";

/** What the rewriter made of a module of clang's (`assembly/rewrite.mjs`). */
export interface Rewritten {
  readonly bytes: Uint8Array;
  readonly segments: readonly { readonly at: number | undefined; readonly bytes: readonly number[] }[];
}

/** Words that threads share, as compiled code has them: byte addresses from `from` on are words from 0 on. */
export interface SharedRange {
  readonly from: number;
  readonly words: Words;
  readonly length: number;
}

type Value = number | bigint;

const NAME = /^(i32|i64)\.(atomic\.)?(load|store|rmw)(8|16|32)?(?:\.(\w+?))?(?:_([su]))?$/;
const MODIFY: Readonly<Record<string, (old: bigint, value: bigint) => bigint>> = {
  add: (old, value) => old + value,
  sub: (old, value) => old - value,
  and: (old, value) => old & value,
  or: (old, value) => old | value,
  xor: (old, value) => old ^ value,
  xchg: (_old, value) => value,
};

/**
 * An instance of compiled code whose accesses are those of a thread under exploration: of the shared range through its words, where
 * each atomic access is a step, and plain ones are of guarded words; of anything else, such as its stack and its globals, in a
 * memory of its own, which each instance begins anew. Make one in each run of a thread.
 */
export function linear(
  { bytes, segments }: Rewritten,
  shared: SharedRange,
  imports: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {},
  size = 131_072,
): { readonly exports: object; readonly own: DataView } {
  const own = new DataView(new ArrayBuffer(size));
  for (const { at, bytes: data } of segments) if (at !== undefined) new Uint8Array(own.buffer, at).set(data);
  const memory = new Proxy(
    {},
    { get: (_, name: string) => (name in BULK ? BULK[name]!(own, segments) : access(name, own, shared)) },
  );
  const module = compile(bytes);
  return { exports: instantiate(module, { ...imports, memory } as never), own };
}

const BULK: Readonly<Record<string, (own: DataView, segments: Rewritten["segments"]) => unknown>> = {
  "memory.fill": (own) => (at: number, value: number, length: number) =>
    void new Uint8Array(own.buffer, at >>> 0, length).fill(value),
  "memory.copy": (own) => (to: number, from: number, length: number) =>
    void new Uint8Array(own.buffer).copyWithin(to, from, from + length),
  "memory.init": (own, segments) => (to: number, from: number, length: number, segment: number) =>
    new Uint8Array(own.buffer, to).set(segments[segment]!.bytes.slice(from, from + length)),
  "data.drop": () => () => {},
};

/** What an instruction does, by its name; its own offset is the last parameter. */
function access(name: string, own: DataView, shared: SharedRange): (...operands: never[]) => unknown {
  const wordOf = (at: number) => {
    const word = (at - shared.from) / 4;
    return word >= 0 && word < shared.length ? Math.floor(word) : -1;
  };
  if (name === "memory.atomic.notify")
    return (at: number, count: number, offset: number) => {
      const word = wordOf((at >>> 0) + offset);
      if (word < 0) return 0; // nobody else has its own memory
      return count < 0 ? shared.words.notify(word) : shared.words.notify(word, count);
    };
  if (name === "memory.atomic.wait32")
    return (at: number, expected: number, ns: bigint, offset: number) => {
      const word = wordOf((at >>> 0) + offset);
      if (word < 0) throw new Error(`waits for word ${at} of its own memory, which nobody changes`);
      const end = shared.words.wait(word, expected, ns < 0n ? Infinity : Number(ns) / 1e6);
      return ["ok", "not-equal", "timed-out"].indexOf(end);
    };
  const [, type, atomic, kind, narrow, operation = kind, sign] = NAME.exec(name) ?? [];
  if (type === undefined || operation === undefined)
    throw new Error(`${name} is no access that can be explored`);
  const bits = Number(narrow ?? type.slice(1));
  const given = (value: bigint): Value => {
    const whole = sign === "s" ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
    return type === "i64" ? BigInt.asIntN(64, whole) : Number(BigInt.asIntN(32, whole));
  };
  const place = new Place(own, shared.words, bits, atomic !== undefined);
  return (at: number, ...rest: (Value | number)[]) => {
    const address = (at >>> 0) + Number(rest.pop());
    const word = wordOf(address);
    const [first, second] = rest.map((value) => BigInt.asUintN(bits, BigInt(value)));
    if (kind === "load") return given(place.load(address, word));
    const direct =
      word >= 0 && atomic !== undefined ? place.direct(operation, word, first!, second) : undefined;
    if (kind === "store")
      return direct === undefined ? void place.change(address, word, () => first!) : undefined;
    if (direct !== undefined) return given(direct);
    if (operation === "cmpxchg")
      return given(place.change(address, word, (old) => (old === first ? second! : undefined)));
    const modify = MODIFY[operation]!;
    return given(place.change(address, word, (old) => BigInt.asUintN(bits, modify(old, first!))));
  };
}

/** Accesses of one width, to a thread's own memory or, where `word` is none less than 0, to shared words. Values are unsigned. */
class Place {
  constructor(
    private readonly own: DataView,
    private readonly words: Words,
    private readonly bits: number,
    private readonly atomic: boolean,
  ) {}

  load(address: number, word: number): bigint {
    if (word < 0) return this.ownLoad(address);
    if (this.bits === 64) {
      if (this.atomic) return BigInt.asUintN(64, this.words.load64(word));
      const [low, high] = [this.words.get(word), this.words.get(word + 1)];
      return (BigInt.asUintN(32, BigInt(high)) << 32n) | BigInt.asUintN(32, BigInt(low));
    }
    const whole = this.atomic ? this.words.load(word) : this.words.get(word);
    return BigInt.asUintN(this.bits, BigInt.asUintN(32, BigInt(whole)) >> this.shift(address));
  }

  /** One access where the words have it. */
  direct(operation: string, word: number, value: bigint, next = 0n): bigint | undefined {
    const { words, bits } = this;
    if (bits === 64) {
      if (operation === "cmpxchg")
        return words.compareExchange64(word, BigInt.asIntN(64, value), BigInt.asIntN(64, next));
      if (operation !== "store") return undefined;
      words.store64(word, BigInt.asIntN(64, value));
      return value;
    }
    if (bits !== 32) return undefined;
    const operand = Number(BigInt.asIntN(32, value));
    const methods: Readonly<Record<string, () => number | undefined>> = {
      store() {
        words.store(word, operand);
        return undefined;
      },
      cmpxchg: () => words.compareExchange(word, operand, Number(BigInt.asIntN(32, next))),
      or: () => this.words.or(word, operand),
      and: () => this.words.and(word, operand),
      add: () => this.words.add(word, operand),
      sub: () => this.words.add(word, -operand | 0),
      xchg: () => this.words.exchange(word, operand),
    };
    const method = methods[operation];
    return method === undefined ? undefined : BigInt.asUintN(32, BigInt(method() ?? 0));
  }

  /** Writes what `next` makes of the value before, undefined for nothing; returns that. Of a part of a word: by exchanging it. */
  change(address: number, word: number, next: (old: bigint) => bigint | undefined): bigint {
    const { words, bits, atomic } = this;
    if (word < 0) {
      const old = this.ownLoad(address);
      const now = next(old);
      if (now !== undefined) this.ownStore(address, now);
      return old;
    }
    if (!atomic) {
      const old = this.load(address, word);
      const now = next(old)!;
      if (bits === 64) words.set(word + 1, Number(BigInt.asIntN(32, now >> 32n)));
      words.set(
        word,
        bits >= 32 ? Number(BigInt.asIntN(32, now)) : this.merged(words.get(word), address, now),
      );
      return old;
    }
    for (;;) {
      if (bits === 64) {
        const old = words.load64(word);
        const now = next(BigInt.asUintN(64, old))!;
        if (words.compareExchange64(word, old, BigInt.asIntN(64, now)) === old) return old;
      } else {
        const whole = words.load(word);
        const old = BigInt.asUintN(bits, BigInt.asUintN(32, BigInt(whole)) >> this.shift(address));
        const now = next(old);
        if (
          now === undefined ||
          words.compareExchange(word, whole, this.merged(whole, address, now)) === whole
        )
          return old;
      }
      words.relax();
    }
  }

  private shift(address: number): bigint {
    return BigInt((address & 3) * 8);
  }

  private merged(whole: number, address: number, part: bigint): number {
    const mask = BigInt.asUintN(this.bits, -1n) << this.shift(address);
    const rest = BigInt.asUintN(32, BigInt(whole)) & ~mask;
    return Number(BigInt.asIntN(32, rest | (part << this.shift(address))));
  }

  private ownLoad(address: number): bigint {
    let value = 0n;
    for (let at = this.bits / 8 - 1; at >= 0; at--)
      value = (value << 8n) | BigInt(this.own.getUint8(address + at));
    return value;
  }

  private ownStore(address: number, value: bigint): void {
    for (let at = 0; at < this.bits / 8; at++)
      this.own.setUint8(address + at, Number((value >> BigInt(8 * at)) & 255n));
  }
}
