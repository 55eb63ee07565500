import { show } from "./argument.js";
import { IrqBypassError } from "./errors.js";
import { MODULE } from "./module.js";
import { compile, instantiate, type WasmMemory, type WasmModule } from "./wasm.js";

/** What the fast path of a host runs as. */
export type FastPath = "wasm" | "typescript";

/**
 * The fast path as WebAssembly: the functions of these names in `posting/` and `bypass/`, compiled from the same lines. In the place of
 * `words` stands the byte address at which the host starts; a boolean comes back as 0 or 1.
 */
export interface Compiled {
  /** `posting/signal.ts`. */
  signal(base: number, inflight: number, producer: number, vcpus: number): number;
  signalAnnounced(base: number, inflight: number, producer: number, vcpus: number): number;
  /** `posting/descriptor.ts`. */
  post(base: number, file: number, id: number): void;
  pending(base: number, file: number): number;
  harvest(base: number, file: number, irr: number): number;
  /** `eventfd/signal.ts`. */
  countOne(base: number, eventfd: number): number;
  /** `eventfd/events.ts`. */
  nextFired(base: number, epoll: number, from: number, end: number): number;
  /** `bypass/registration.ts`. */
  registerProducer(
    base: number,
    mine: number,
    plain: number,
    producer: number,
    eventfd: number,
    irq: number,
    thread: number,
  ): number;
  registerConsumer(base: number, mine: number, plain: number, consumer: number, eventfd: number): number;
  unregisterProducer(base: number, mine: number, plain: number, producer: number): number;
  unregisterConsumer(base: number, mine: number, plain: number, consumer: number, thread: number): number;
}

/** A module as bytes. By two calls without a loop, which would be compiled while it runs, for once in a process. */
export function decode(module: string): Uint8Array {
  return new Uint8Array(JSON.parse(module) as number[]);
}

/** The fast path's module, once a host of this thread has wanted it: it is the same for all of them, and never changes. */
let fastPathModule: WasmModule | undefined;

/**
 * The compiled fast path over `memory`, or undefined where the TypeScript one is to run: it was asked for, somebody wants
 * to see every access (`watched`), or the page may not compile WebAssembly. Throws EINVAL for any other `wanted`; where
 * "wasm" was asked for and cannot be had, EINVAL (watched) or EOPNOTSUPP (the page).
 */
export function compiledFor(
  memory: WasmMemory,
  wanted: FastPath | undefined,
  watched: boolean,
): Compiled | undefined {
  if (wanted !== undefined && wanted !== "wasm" && wanted !== "typescript")
    throw new IrqBypassError("EINVAL", `fastPath is ${show(wanted)}: use "wasm" or "typescript"`);
  if (wanted === "wasm" && watched)
    throw new IrqBypassError(
      "EINVAL",
      'compiled code goes past "words": leave one of words and fastPath out',
    );
  if (wanted === "typescript" || watched) return undefined;
  try {
    fastPathModule ??= compile(decode(MODULE));
    return instantiate(fastPathModule, { env: { memory } }) as Compiled;
  } catch (cause) {
    if (wanted === undefined) return undefined;
    throw new IrqBypassError(
      "EOPNOTSUPP",
      "WebAssembly cannot be compiled here: allow 'wasm-unsafe-eval' in the Content-Security-Policy, or leave fastPath out",
      { cause },
    );
  }
}
