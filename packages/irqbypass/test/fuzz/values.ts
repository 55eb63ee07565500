/** Arguments: what a parameter may be, and what nobody should pass. */
import type { Random } from "./random.js";
import type { Parameter, Shape } from "./surface.js";
import type { World } from "./world.js";

const NUMBERS = [
  0,
  -0,
  1,
  -1,
  2,
  7,
  23,
  24,
  31,
  32,
  63,
  64,
  255,
  256,
  4095,
  4096,
  65535,
  65536,
  0.5,
  -1.5,
  1e-300,
  1e300,
  2 ** 21 - 1,
  2 ** 21,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  -(2 ** 32),
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  2 ** 64,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];
const BIGINTS = [0n, 1n, -1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 2n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n)];
const STRINGS = [
  "",
  "0",
  "1",
  "off",
  "require",
  "msix",
  "\n",
  "\u0000",
  "\ud800",
  "__proto__",
  "toString",
  "x".repeat(600),
];

/** An error that is about the caller's own function, not about ours. */
export class FromCallback extends Error {}

const ODD: readonly (() => unknown)[] = [
  () => undefined,
  () => null,
  () => true,
  () => false,
  () => Symbol("odd"),
  () => ({}),
  () => Object.create(null),
  () => [],
  () => [[]],
  () => [null],
  () => [undefined, 1, "2"],
  () => new Array(3),
  () => () => 1,
  () => class Odd {},
  () => new Date(0),
  () => new Map([[1, 2]]),
  () => new Uint32Array(8),
  () => new Uint8Array(3),
  () => new ArrayBuffer(8),
  () => new SharedArrayBuffer(64),
  () => Promise.resolve(1),
  () => /x/,
  () => ({ length: 3 }),
  () => ({ length: -1, 0: 1 }),
  () => Object.freeze({ memory: null, byteOffset: 0 }),
  () => ({ constructor: null, toString: null, valueOf: null }),
];

/** Draws arguments for a world. */
export class Values {
  constructor(
    private readonly random: Random,
    private readonly world: World,
  ) {}

  /** The arguments of a call: as declared, or with one thing in them that is not. */
  arguments(parameters: readonly Parameter[]): unknown[] {
    const values = parameters.map((parameter) => this.argument(parameter, 0));
    if (values.length > 0 && this.random.below(10) < 5) {
      const at = this.random.below(values.length);
      values[at] = this.spoil(parameters[at]!, values[at]);
    }
    // Left out at the end, which for a parameter that is not optional is a fault too.
    if (values.length > 0 && this.random.oneIn(12) && !isWait(parameters.at(-1)!)) values.pop();
    return values;
  }

  private argument({ name, optional, shape }: Parameter, depth: number): unknown {
    const special = this.special(name, shape);
    if (special !== undefined) return special.value;
    if (waits(shape)) return this.value(objectOf(shape), name, depth);
    if (optional && this.random.oneIn(2)) return undefined;
    return this.value(shape, name, depth);
  }

  /** Where the name says more than the type: what would wait for ever, start threads, or act on a foreign descriptor. */
  private special(name: string, shape: Shape): { readonly value: unknown } | undefined {
    const { random, world } = this;
    if (name === "timeoutMs")
      return { value: random.of([0, 0, 0.01, -1, -0, Number.NaN, -Infinity, "1", null, 1n, {}, true]) };
    if (name === "nonblocking") return { value: random.of([true, undefined]) };
    if (name === "platform" || name === "spawn" || name === "words" || name === "source")
      return { value: undefined };
    if (name === "fd" || name === "vmFd")
      return {
        value: random.oneIn(2)
          ? world.descriptor
          : random.of([-1, 1e6, Number.NaN, 2 ** 31, -5, "3", null, 3n]),
      };
    if (name === "ffi") return { value: world.ffi };
    if (name === "path" || name === "file")
      return { value: random.of(["/nonexistent/kvm", "/", "", "\u0000", 7, null, undefined]) };
    if (name === "signal") return { value: random.oneIn(3) ? AbortSignal.abort() : undefined };
    if (name === "handle" && shape.is === "object") return { value: this.hostHandle() };
    if (name === "handle") return { value: this.handle() };
    if (name === "memory" && shape.is === "object")
      return { value: random.oneIn(2) ? undefined : random.of(world.memories) };
    return undefined;
  }

  private value(shape: Shape, name: string, depth: number): unknown {
    const { random, world } = this;
    switch (shape.is) {
      case "number":
        if (name === "vector") return random.oneIn(3) ? random.of(NUMBERS) : 0x20 + random.below(0xe0);
        return random.oneIn(4) ? random.of(NUMBERS) : random.below(random.of([3, 8, 30]));
      case "bigint":
        return random.of(BIGINTS);
      case "string":
        return random.of(STRINGS);
      case "boolean":
        return random.oneIn(2);
      case "undefined":
        return undefined;
      case "null":
        return null;
      case "literal":
        return shape.value;
      case "any":
        return this.odd();
      case "callback":
        return callback(random.below(4));
      case "class":
        return world.instance(shape.name, random) ?? this.odd();
      case "array":
        return Array.from({ length: random.below(random.oneIn(30) ? 40 : 4) }, () =>
          this.value(shape.of, name, depth + 1),
        );
      case "union": {
        // An option left out says less than one that is given.
        const given = shape.of.filter((one) => one.is !== "undefined");
        return this.value(
          random.of(given.length > 0 && !random.oneIn(6) ? given : shape.of),
          name,
          depth + 1,
        );
      }
      case "object":
        return this.object(shape.properties, depth);
    }
  }

  private object(properties: readonly Parameter[], depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const property of properties) {
      const value = this.argument(property, depth + 1);
      if (value !== undefined || this.random.oneIn(8)) object[property.name] = value;
    }
    return object;
  }

  /** The same with a fault: another value altogether, or one of its parts. */
  private spoil({ name, shape }: Parameter, value: unknown): unknown {
    const { random } = this;
    if (this.special(name, shape) !== undefined && name !== "handle") return value;
    const isObject =
      typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
    const keys = isObject ? Object.keys(value) : [];
    if (keys.length > 0 && random.below(3) > 0) {
      const key = random.of(keys);
      const object = value as Record<string, unknown>;
      return this.special(key, { is: "any" }) !== undefined && key !== "handle"
        ? value
        : { ...object, [key]: this.odd() };
    }
    if (Array.isArray(value) && value.length > 0 && random.oneIn(2)) {
      const at = random.below(value.length);
      const element = value[at] as unknown;
      return value.with(
        at,
        isPlain(element)
          ? this.spoil({ name: "", optional: false, shape: { is: "any" } }, element)
          : this.odd(),
      );
    }
    // Of an object that says how long to wait, only what is no object at all: the rest would wait for ever, and rightly.
    if (waits(shape)) return random.of([null, 0, 5, "x", true, 3n, Symbol("odd")]);
    return this.odd();
  }

  private odd(): unknown {
    const { random, world } = this;
    switch (random.below(6)) {
      case 0:
        return random.of(NUMBERS);
      case 1:
        return random.of(BIGINTS);
      case 2:
        return random.of(STRINGS);
      case 3:
        return world.anyInstance(random);
      case 4:
        return this.handle();
      default:
        return random.of(ODD)();
    }
  }

  /** Live, stale, of another pool, of another host, forged. */
  private handle(): unknown {
    const { random, world } = this;
    const known = random.of(world.handles) ?? 0;
    switch (random.below(8)) {
      case 0:
        return random.of(NUMBERS);
      case 1:
        return known + random.of([1, -1, 2 ** 21, -(2 ** 21), 2 ** 22]);
      case 2:
        return random.below() * 2 ** 21 + random.below(64);
      case 3:
        return random.of([String(known), BigInt(Math.trunc(known)), null, undefined, {}, Number.NaN]);
      default:
        return known;
    }
  }

  private hostHandle(): unknown {
    const { random, world } = this;
    const handle = random.of(world.hostHandles);
    switch (random.below(5)) {
      case 0:
        return { ...handle, byteOffset: random.of([...NUMBERS, 64, 128, 65536, "0", null, undefined]) };
      case 1:
        return { ...handle, memory: random.oneIn(2) ? random.of(world.memories) : this.odd() };
      case 2:
        return this.odd();
      default:
        return handle;
    }
  }
}

function isPlain(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

/** Does this parameter say how long to wait? Then it cannot be left out: the call would wait for ever, and rightly. */
function isWait({ shape }: Parameter): boolean {
  return waits(shape);
}

/** The object among what a parameter may be. */
function objectOf(shape: Shape): Shape {
  return shape.is === "union" ? (shape.of.find(({ is }) => is === "object") ?? shape) : shape;
}

function waits(shape: Shape): boolean {
  if (shape.is === "union") return shape.of.some(waits);
  return shape.is === "object" && shape.properties.some(({ name }) => name === "timeoutMs");
}

function callback(which: number): () => unknown {
  switch (which) {
    case 0:
      return () => -1;
    case 1:
      return () => {
        throw new FromCallback("thrown by the caller's own function");
      };
    default:
      return () => which;
  }
}
