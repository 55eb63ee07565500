// The example of a kernel in workers, in a page. `bytes` are those of the kernel.
import { run } from "/packages/irqbypass/examples/wasm-smp/machine.mjs";

export default ({ bytes, packets, library }) => run({ bytes: new Uint8Array(bytes), packets, library });
