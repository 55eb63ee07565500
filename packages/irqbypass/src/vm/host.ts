import { type Compiled, compiledFor } from "../host/compiled.js";
import type { MemoryOptions } from "../host/memory.js";
import type { HostHandle } from "../host/reserve.js";
import type { WasmMemory } from "../host/wasm.js";
import { type AttachedThread, threadsOf } from "./attached.js";
import { audit } from "./audit/audit.js";
import type { Audit } from "./audit/finding.js";
import type { AttachOptions, HostOptions } from "./host-options.js";
import { pics } from "./pics.js";
import { attachedWith, createdWith, SlimHost } from "./slim-host.js";
import { beginRepair } from "./whole.js";

/**
 * A host: one shared memory with everything in it, as the calling thread sees it. `Host.create` makes one, and
 * `Host.attach` joins it in another thread. One thread has one of these for a host.
 */
export class Host extends SlimHost {
  /** @internal */
  override readonly pics = pics;

  /**
   * A new host in memory of its own, or in the caller's at `byteOffset`. Throws EINVAL, ENOMEM, EEXIST (there is a
   * host at this place), and EOPNOTSUPP in a page without shared memory, naming the headers that it lacks.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass";
   *
   * const host = Host.create({ size: "small", capacity: { vm: 4 } });
   * console.log(host.platform.name, host.interrupts().length);
   * host.dispose();
   * ```
   */
  static override create(options: HostOptions = {}): Host {
    return new Host(...createdWith(options));
  }

  /**
   * Joins a host in another thread. Throws EINVAL for what is no host, for a damaged header, for another layout version, and
   * for a thread that lacks one of the host's kinds. What is damaged behind the header, {@link audit} finds.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass";
   *
   * const host = Host.create();
   * const { handle } = host; // in a message, or as workerData
   * const there = Host.attach(handle); // in the other thread
   * there.dispose();
   * host.dispose();
   * ```
   */
  static override attach(handle: HostHandle, options: AttachOptions = {}): Host {
    return new Host(...attachedWith(handle, options));
  }

  /** @internal */
  protected override compile(memory: WasmMemory, { fastPath, words }: MemoryOptions): Compiled | undefined {
    return compiledFor(memory, fastPath, words !== undefined);
  }

  /** @internal At once. */
  protected override complete(options: MemoryOptions, ofAll: boolean): void {
    this.begin(beginRepair(this, options, ofAll));
  }

  /**
   * Who is attached: each thread with its name, what it has, what it waits for and since when, and what will tell that it has ended.
   * For tools: O(records that were ever in use), the host mutex is held for one at a time.
   */
  threads(): AttachedThread[] {
    this.checkCall();
    return threadsOf(this);
  }

  /**
   * Looks at the whole shared memory: that each record is where exactly one thing leads to it, trees and lists are well
   * formed, counts are right, no word names a record that is gone, no interrupt is lost. Says what is wrong, and changes
   * nothing; memory that something else has written to cannot hang it.
   *
   * Other threads may go on meanwhile. What it finds beside them it looks at again, for at most about a second: what one of them is in the middle of
   * has passed then. Only where a thread is stopped in a call, as by a debugger, is that reported.
   *
   * For tests and tools: O(records that were ever in use), and all that time it holds the host mutex and the mutex of each
   * VM and device. It waits for them at most about a second; one that is held on is a finding. From any thread; throws EDEADLK where
   * the calling thread holds a mutex, that is in a callback.
   */
  audit(): Audit {
    return audit(this);
  }
}
