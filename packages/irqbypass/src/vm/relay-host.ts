import { type Compiled, compiledFor } from "../host/compiled.js";
import type { MemoryOptions } from "../host/memory.js";
import type { HostHandle } from "../host/reserve.js";
import type { WasmMemory } from "../host/wasm.js";
import type { AttachOptions } from "./host-options.js";
import { attachedWith, SlimHost } from "./slim-host.js";

/**
 * A host as the thread of a relay has it, which does not come back to its event loop: it repairs nothing, as others do, and loads
 * nothing late.
 */
export class RelayHost extends SlimHost {
  static override attach(handle: HostHandle, options: AttachOptions): RelayHost {
    return new RelayHost(...attachedWith(handle, options));
  }

  protected override compile(memory: WasmMemory, { fastPath, words }: MemoryOptions): Compiled | undefined {
    return compiledFor(memory, fastPath, words !== undefined);
  }

  protected override complete(): void {}
}
