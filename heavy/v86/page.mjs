// The example in a page, on its main thread, which may not block, and does not.
import { run } from "../../packages/irqbypass/examples/v86/machine.mjs";
import { startExample } from "./worker.mjs";

/** `v86` is where v86's build folder is. */
export default async function ({ v86, library, busy, interrupts }) {
  const { V86 } = await import(`${v86}/libv86.mjs`);
  const wasm = await (await fetch(`${v86}/v86.wasm`)).arrayBuffer();
  return run({ V86, wasm, library, start: startExample, busy, interrupts });
}
