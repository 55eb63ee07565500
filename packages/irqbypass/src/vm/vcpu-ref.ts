/**
 * A vCPU as any thread sees it, by its record in the host.
 */
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Descriptor, KICKED, Vcpu as V } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { WORD_BYTES } from "../host/words.js";
import * as descriptor from "../posting/descriptor.js";

/** A posted-interrupt descriptor's control word (VT-d 9.11). */
export interface Posting {
  /** ON: something is posted that has not been taken. */
  readonly on: boolean;
  /** SN: nobody is to be notified, as while no thread runs the vCPU. */
  readonly sn: boolean;
  /** The vector of a notification. */
  readonly nv: number;
  /** Whom to notify: the thread that runs the vCPU, 0 for none. */
  readonly ndst: number;
}

/** A vCPU seen from any thread: what its VM hands out. */
export class VcpuRef extends Shown {
  /** @internal */
  readonly memory: HostMemory;
  /** @internal */
  readonly record: number;
  /** @internal Its descriptor, an interrupt file. */
  readonly file: number;
  /** By which it is told from another vCPU in the same record. */
  private readonly life: number;

  /** @internal VMs hand them out, under the host mutex. */
  constructor(memory: HostMemory, record: number) {
    super();
    this.memory = memory;
    this.record = record;
    this.file = record + V.descriptor;
    this.life = memory.words.load(record + V.life);
  }

  /** What the thread that runs it passes to `Vcpu.open`. Throws EBADF when its VM is gone, as all of these. */
  get handle(): Handle<"vcpu"> {
    return this.look(() => this.memory.pools.vcpu.handle(this.record));
  }

  /** Its index in the VM, which is its APIC id where the VM was not given others. */
  get index(): number {
    return this.look(() => this.memory.words.get(this.record + V.index));
  }

  /** Ends its wait, the present one or the next, with "kicked". Waits for nobody. Throws EBADF when its VM is gone. */
  kick(): void {
    this.memory.checkAttached();
    const { words, thread } = this.memory;
    // Announced first: whoever disposes the VM ends this life, and waits then for those who may have found it.
    words.store(thread.writing, this.record);
    const isThere = this.isLive();
    if (isThere) descriptor.kick(words, this.file, KICKED);
    thread.leave(thread.writing);
    if (!isThere) throw goneVcpu();
  }

  /** Its descriptor as a poster sees it. Throws EBADF when its VM is gone. */
  inspect(): Posting {
    return this.look(() => descriptor.inspect(this.memory.words, this.file));
  }

  /**
   * Where compiled code finds ON: byte address in the host's memory of the 32-bit control word, whose bit 0 is ON.
   * One load tells whether anything is posted. It is this vCPU's for as long as its VM lives.
   */
  get onAddress(): number {
    return this.fileAddress + Descriptor.control * WORD_BYTES;
  }

  /**
   * Where its interrupt file is: byte address in the host's memory, for `InterruptFile.open` and for compiled code. Who has
   * taken the vCPU onto its thread owns the file, for as long as that. Throws EBADF when its VM is gone.
   */
  get fileAddress(): number {
    this.look(() => {});
    return this.memory.handle.byteOffset + this.file * WORD_BYTES;
  }

  /** @internal */
  protected describe(): object {
    const { words, pools } = this.memory;
    const vm = this.look(() => pools.vm.slot(words.get(this.record + V.vm)));
    return { vm, index: this.index, ...this.inspect() };
  }

  private isLive(): boolean {
    return this.memory.words.load(this.record + V.life) === this.life;
  }

  /** Looks under the host mutex, under which VMs go. Throws EBADF when its VM is gone. */
  private look<T>(section: () => T): T {
    return this.memory.look(() => {
      if (!this.isLive()) throw goneVcpu();
      return section();
    });
  }
}

function goneVcpu(): IrqBypassError {
  return new IrqBypassError("EBADF", "the VM of this vCPU was disposed: ask another VM for one");
}
