/**
 * The interrupt file as callers have it: the pending interrupts of one CPU, at an address of theirs. The protocol is in
 * `descriptor.ts`, and of the same lines the descriptor of a vCPU is made.
 */
import { readBlockingWait, readOptions, readWait, show, type WaitOptions } from "../host/argument.js";
import { sleepAsync } from "../host/asleep.js";
import { type Compiled, compiledFor, type FastPath } from "../host/compiled.js";
import { deadlineOf, leftUntil } from "../host/deadline.js";
import { IrqBypassError, wouldBlock } from "../host/errors.js";
import {
  Descriptor,
  EVENT,
  FILE_HEADER,
  FILE_MAGIC,
  FILE_VERSION,
  KICKED,
  ON,
  PIR_WORDS,
  SN,
} from "../host/layout.js";
import { checkPlatform, checkWords } from "../host/means.js";
import type { MemoryOptions } from "../host/memory.js";
import type { Platform } from "../host/platform.js";
import { platformHere } from "../host/platform-here.js";
import { Shown } from "../host/shown.js";
import { isMemory, type WasmMemory } from "../host/wasm.js";
import { SharedWords, WORD_BYTES, type Words } from "../host/words.js";
import { checkBits } from "./bits.js";
import * as descriptor from "./descriptor.js";
import { harvest, pending, post } from "./fast-path.js";
import { type FileImports, importsOf } from "./imports.js";
import { checkInto, type FileMemory, type FileWake, fileBuffer } from "./place.js";

/** The only file in its words. */
const FILE = 0;
const IDS = 256;

/** How this thread uses an interrupt file. */
export type FileOptions = Pick<MemoryOptions, "platform" | "words" | "fastPath">;

const OPTIONS = { platform: true, words: true, fastPath: true };

/**
 * The pending interrupts of one CPU: 256 ids in 64 bytes of shared memory. Any thread posts, with no message, no lock and no
 * system call unless the CPU sleeps; its owner takes them, and sleeps when there are none. Nothing of the owner is in this
 * object: a CPU that goes to another thread is suspended here and resumed there, through whichever handle.
 *
 * It is what VT-d calls a posted-interrupt descriptor, and RISC-V's AIA an interrupt file. Compiled code works on the same
 * words: `include/interrupt_file.h` is for C.
 *
 * @example
 * ```ts
 * import { InterruptFile } from "irqbypass";
 *
 * const memory = new WebAssembly.Memory({ initial: 1, maximum: 16, shared: true });
 * const file = InterruptFile.create(memory, 1024);
 * file.post(33); // in whichever thread: InterruptFile.open(memory, 1024).post(33)
 * const ids = new Uint32Array(8);
 * if (file.block({ timeoutMs: 100 }) === "interrupt") file.harvest(ids);
 * console.log(ids[1]); // 2: bit 1 of word 1 is id 33
 * ```
 */
export class InterruptFile extends Shown {
  /** The shared memory that the file is in. */
  readonly memory: FileMemory;
  /** Where it starts there, in bytes. */
  readonly byteOffset: number;
  /** @internal */
  readonly base: number;
  /** @internal */
  readonly words: Words;
  /** @internal */
  readonly compiled: Compiled | undefined;
  private readonly platform: Platform;

  private constructor(
    memory: FileMemory,
    byteOffset: number,
    buffer: SharedArrayBuffer,
    options: FileOptions,
  ) {
    super();
    const { platform = platformHere(), words, fastPath } = options;
    this.memory = memory;
    this.byteOffset = byteOffset;
    this.base = byteOffset;
    this.platform = platform;
    if (!isMemory(memory) && fastPath === "wasm") {
      throw new IrqBypassError(
        "EINVAL",
        'fastPath is "wasm", and compiled code reaches no SharedArrayBuffer: pass a WebAssembly.Memory, or leave it out',
      );
    }
    this.compiled = isMemory(memory)
      ? compiledFor(memory, fastPath, words !== undefined)
      : compiledFor({ buffer }, fastPath ?? "typescript", words !== undefined);
    this.words = words
      ? words(buffer, byteOffset, Descriptor.words)
      : new SharedWords(buffer, byteOffset, Descriptor.words, platform.clock?.bind(platform));
  }

  /**
   * Makes a file of 64 bytes that are all 0, at a multiple of 64; its owner is there, and nothing is pending. Throws EINVAL for no
   * shared memory and for another place, ENOMEM where the memory ends before that, EEXIST where the bytes are not 0. Does not block.
   *
   * @example
   * ```ts
   * import { InterruptFile } from "irqbypass";
   *
   * const file = InterruptFile.create(new SharedArrayBuffer(64), 0);
   * file.post(7);
   * console.log(file.pending()); // true
   * ```
   */
  static create(memory: FileMemory, byteOffset: number, options: FileOptions = {}): InterruptFile {
    const file = InterruptFile.at(memory, byteOffset, options);
    for (let word = 0; word < Descriptor.words; word++) {
      if (file.words.load(word) === 0) continue;
      throw new IrqBypassError(
        "EEXIST",
        `the 64 bytes at byteOffset ${byteOffset} are not 0: open the interrupt file that is there, or clear them first`,
      );
    }
    descriptor.initialise(file.words, FILE);
    return file;
  }

  /**
   * The file that somebody made at this place, in whichever thread, or that of a vCPU (`VcpuRef.fileAddress`). Throws EINVAL where
   * there is none, and for one of another layout, ENOMEM where the memory ends before that. Does not block.
   *
   * @example
   * ```ts
   * import { InterruptFile } from "irqbypass";
   *
   * const memory = new SharedArrayBuffer(64); // or a WebAssembly.Memory that was made with shared: true
   * InterruptFile.create(memory, 0);
   * InterruptFile.open(memory, 0).post(7); // in a thread that was told memory and byteOffset
   * ```
   */
  static open(memory: FileMemory, byteOffset: number, options: FileOptions = {}): InterruptFile {
    const file = InterruptFile.at(memory, byteOffset, options);
    const header = file.words.load(Descriptor.header);
    if (header === FILE_HEADER) return file;
    if (header >>> 16 === FILE_MAGIC) {
      throw new IrqBypassError(
        "EINVAL",
        `the interrupt file at byteOffset ${byteOffset} has layout version ${(header >>> 8) & 0xff}, this library knows ${FILE_VERSION}: use the same version everywhere`,
      );
    }
    throw new IrqBypassError(
      "EINVAL",
      `there is no interrupt file at byteOffset ${byteOffset}: make one with InterruptFile.create`,
    );
  }

  private static at(memory: FileMemory, byteOffset: number, options: FileOptions): InterruptFile {
    const how = readOptions(options, OPTIONS, 'options such as { fastPath: "typescript" }, or none');
    checkPlatform(how.platform);
    checkWords(how.words);
    return new InterruptFile(memory, byteOffset, fileBuffer(memory, byteOffset), how);
  }

  /**
   * Byte address in the memory of the 32-bit control word, whose bit 0 is ON: one load tells whether anything is pending.
   * The owner sleeps on it; compiled code may as well, by the rule at the head of `interrupt_file.h`.
   */
  get controlAddress(): number {
    return this.byteOffset + Descriptor.control * WORD_BYTES;
  }

  /** What posts and harvests run as in this thread. */
  get fastPath(): FastPath {
    return this.compiled === undefined ? "typescript" : "wasm";
  }

  /** Posts `id`, 0 to 255. From any thread, waits for nobody; wakes the owner where that sleeps. Throws EINVAL for another id. */
  post(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= IDS) {
      throw new IrqBypassError(
        "EINVAL",
        `an interrupt's id is a whole number from 0 to ${IDS - 1}, not ${show(id)}`,
      );
    }
    post(this, FILE, id);
  }

  /** Is anything posted that was not harvested? One load, unless the file is suspended. From any thread. */
  pending(): boolean {
    return pending(this, FILE);
  }

  /**
   * Takes everything posted into `into` (eight 32-bit words, bit n is id n), adding to what is there, and returns whether there was
   * anything. The owner's own thread only: one harvests at a time. Throws EINVAL for what cannot be filled. Does not block.
   */
  harvest(into: Uint32Array | Int32Array): boolean {
    checkBits(into, "harvest");
    const { words, compiled } = this;
    if (compiled !== undefined && isMemory(this.memory) && into.buffer === this.memory.buffer)
      return harvest(this, FILE, (into.byteOffset - this.base) / WORD_BYTES) !== 0;
    return descriptor.harvestInto(words, FILE, into) !== 0;
  }

  /**
   * Blocks the owner's thread until something is posted or is pending already ("interrupt"), somebody has an event for it or kicks
   * it, or `timeoutMs` is over. "suspended": the owner is not there, and nobody would wake it. Throws EAGAIN where the thread may not
   * block: use {@link blockAsync}.
   */
  block(options?: Pick<WaitOptions, "timeoutMs">): FileWake {
    const timeoutMs = readBlockingWait(options, "blockAsync");
    const { words } = this;
    const deadline = deadlineOf(words, timeoutMs);
    for (;;) {
      const ended = this.whatEndsIt();
      if (ended !== undefined) return ended;
      const left = leftUntil(words, deadline);
      if (left <= 0) return "timeout";
      if (!this.platform.mayBlock)
        throw wouldBlock(`a wait for the interrupt file at byteOffset ${this.byteOffset}`, "blockAsync");
      const stands = descriptor.isBlocked(words, FILE); // a blockAsync, which goes on after this
      const asleep = descriptor.block(words, FILE);
      if (asleep === 0) continue;
      try {
        words.wait(Descriptor.control, asleep, left);
      } finally {
        if (!stands) descriptor.unblock(words, FILE);
      }
    }
  }

  /**
   * {@link block} without blocking the thread; rejects with the reason of `signal` when that is aborted. It ends with "suspended"
   * once this thread, or whoever the CPU was handed to, has suspended the file. The file stays blocked after it, so that each first
   * post still wakes: {@link disarm} ends that for an owner who goes on for long.
   */
  async blockAsync(options: WaitOptions = {}): Promise<FileWake> {
    const { timeoutMs, signal } = readWait(options);
    const { words, platform } = this;
    const deadline = deadlineOf(words, timeoutMs);
    // The CPU may be another thread's when this goes on: the control word tells of that one then.
    const before = words.load(Descriptor.suspensions);
    for (;;) {
      if (words.load(Descriptor.suspensions) !== before) return "suspended";
      const ended = this.whatEndsIt();
      if (ended !== undefined) return ended;
      const left = leftUntil(words, deadline);
      if (left <= 0) return "timeout";
      const asleep = descriptor.block(words, FILE);
      if (asleep === 0) continue;
      // No unblock after it: whoever sleeps then may be another thread.
      await sleepAsync(words, platform, Descriptor.control, asleep, left, signal);
    }
  }

  /** After {@link blockAsync}, in the owner's thread: posts wake nobody any more. A wait that is under way arms it again. */
  disarm(): void {
    descriptor.unblock(this.words, FILE);
    this.words.notify(Descriptor.control); // a wait of this thread looks, and installs it again
  }

  /** Ends the owner's wait, the present one or the next, with "kicked". From any thread, waits for nobody. */
  kick(): void {
    descriptor.kick(this.words, FILE, KICKED);
  }

  /**
   * The owner leaves the CPU, in its own thread: from here on posts wake nobody, and stay until it is resumed, wherever that is. Ends
   * a {@link blockAsync} of this thread. What must be seen by the next owner, such as what was harvested, is the caller's to hand
   * over.
   */
  suspend(): void {
    descriptor.suspend(this.words, FILE);
  }

  /** The mirror image of {@link suspend}, in the thread that the CPU has come to; what was posted meanwhile is pending. */
  resume(): void {
    descriptor.resume(this.words, FILE);
  }

  /**
   * Notifies the owner once more of all that is posted: for whoever knows that a thread has died that may have been posting. From any
   * thread; too much of it does no harm.
   */
  renotify(): void {
    descriptor.renotify(this.words, FILE);
  }

  /**
   * What compiled code imports that would rather call than include `interrupt_file.h`: its functions, for this file and every other
   * one in the same memory, by address. Pass it to `WebAssembly.Instance`. Their calls throw as the methods here do; `block` blocks.
   * Throws EINVAL for a file in a SharedArrayBuffer, which compiled code does not reach.
   */
  imports(): FileImports {
    const { memory } = this;
    if (!isMemory(memory)) {
      throw new IrqBypassError(
        "EINVAL",
        "this interrupt file is in a SharedArrayBuffer, which compiled code does not reach: make it in a WebAssembly.Memory",
      );
    }
    return importsOf((byteOffset) =>
      byteOffset === this.byteOffset ? this : InterruptFile.open(memory, byteOffset),
    );
  }

  /** @internal {@link harvest} into the eight words at a byte address of the same memory; in which there was something. Throws EINVAL. */
  harvestAt(address: number): number {
    checkInto(this.memory as WasmMemory, address);
    if (this.compiled !== undefined) return harvest(this, FILE, (address - this.base) / WORD_BYTES);
    const buffer = fileBuffer(this.memory, this.byteOffset);
    return descriptor.harvestInto(this.words, FILE, new Int32Array(buffer, address, PIR_WORDS));
  }

  /** @internal */
  protected override describe(): object {
    const { on, sn, nv } = descriptor.inspect(this.words, FILE);
    return { byteOffset: this.byteOffset, on, sn, nv, fastPath: this.fastPath };
  }

  /** What there is for a wait to end with; it is taken, but for an interrupt. */
  private whatEndsIt(): FileWake | undefined {
    const { words } = this;
    const control = words.load(Descriptor.control);
    if (control & SN) return "suspended";
    if (control & ON) return "interrupt";
    if (descriptor.takeKick(words, FILE, EVENT)) return "event";
    return descriptor.takeKick(words, FILE, KICKED) ? "kicked" : undefined;
  }
}
