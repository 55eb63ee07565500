/** Attaching to memory that something else has written to, that is cut off, or where there is no host. */
import { Eventfd, Host, type HostHandle, IrqBypassError, Producer, Vcpu, Vm } from "irqbypass";
import { Header, RelayState } from "#src/host/layout.js";
import { createMemory, type WasmMemory } from "#src/host/wasm.js";
import { smallHost } from "../support/host.js";
import type { Random } from "./random.js";

/** Bytes of a page of WebAssembly. */
const PAGE = 65536;
/** What a small host takes, and some room behind it. */
const PAGES = 5;
const HOST_AT = 1024;

/** A host as others left it, to be copied and damaged. */
export class Victim {
  private readonly image: Int32Array;
  private readonly handles: readonly number[];
  private readonly scratch: WasmMemory;
  private readonly pages: number;

  constructor() {
    const memory = createMemory(PAGES);
    const host = smallHost({ memory, byteOffset: HOST_AT });
    const eventfds = [0, 1, 2, 3].map(() => Eventfd.create(host));
    const vm = new Vm(host, { vcpus: 2 });
    vm.setGsiRouting([{ gsi: 3, msi: { vcpu: 0, vector: 0x41 } }]);
    vm.irqfd(eventfds[0]!, 3);
    vm.irqfd(eventfds[1]!, 4, { resample: eventfds[2]! });
    Producer.create(host).register(eventfds[0]!);
    this.handles = [...eventfds.map(({ handle }) => handle), vm.handle, vm.vcpu(0).handle, 0, 2 ** 21 + 1];
    host.words.store(Header.relays, RelayState.stopping);
    this.image = new Int32Array(memory.buffer).slice();
    this.pages = 4;
    this.scratch = createMemory(PAGES);
  }

  /**
   * Damages a copy and attaches to it. Returns "refused" or what the audit came to; throws what is no typed error. Whoever
   * has got in looks at it, opens what there was, and leaves again.
   */
  attach(random: Random): "refused" | "clean" | "damaged" {
    try {
      const handle = this.damaged(random);
      const host = Host.attach(handle);
      const { findings } = host.audit();
      for (const open of [Eventfd.open, Vm.open, Vcpu.open]) this.open(host, open, random);
      host.dispose();
      return findings.length === 0 ? "clean" : "damaged";
    } catch (error) {
      if (error instanceof IrqBypassError) return "refused";
      throw error;
    }
  }

  private open(host: Host, open: (host: Host, handle: number) => unknown, random: Random): void {
    try {
      const opened = open(host, random.of(this.handles));
      if (opened instanceof Vcpu) opened.put();
    } catch (error) {
      if (!(error instanceof IrqBypassError)) throw error;
    }
  }

  private damaged(random: Random): HostHandle {
    const how = random.below(10);
    if (how === 0) return this.cutOff(1 + random.below(this.pages - 1));
    const words = new Int32Array(this.scratch.buffer);
    words.set(this.image);
    if (how === 1) {
      const byteOffset = random.of([
        0,
        64,
        HOST_AT + 4,
        HOST_AT + 64,
        -64,
        PAGE * 4,
        PAGE * 8,
        0.5,
        Number.NaN,
      ]);
      return { memory: this.scratch, byteOffset };
    }
    const start = HOST_AT / 4;
    const bound = how < 6 ? Header.words : words.length - start;
    for (let left = 1 + random.below(how < 6 ? 3 : 40); left > 0; left--) {
      const word = start + random.below(bound);
      words[word] = random.oneIn(2)
        ? words[word]! ^ (1 << random.below(32))
        : random.of([0, 1, -1, 7, random.below() | 0, this.image[start + random.below(bound)]!]);
    }
    // A mutex that a living thread holds is waited for, and rightly: the thread that made the image is this one.
    const mutex = start + Header.mutex;
    if (words[mutex]! >>> 1 === 1) words[mutex] = 0;
    return { memory: this.scratch, byteOffset: HOST_AT };
  }

  private cutOff(pages: number): HostHandle {
    const memory = createMemory(pages);
    new Int32Array(memory.buffer).set(this.image.subarray(0, (pages * PAGE) / 4));
    return { memory, byteOffset: HOST_AT };
  }
}
