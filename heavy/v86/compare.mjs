// Interrupts of a v86 machine, posted and by message, busy and idle, in one run: the same in Node and in a page.
import { run } from "../../packages/irqbypass/examples/v86/machine.mjs";
import { machineByMessage } from "./by-message.mjs";
import { start, startExample } from "./worker.mjs";

const BY_MESSAGE = new URL("./message-device.mjs", import.meta.url);
/** What the two devices of the example raise: a vector, and a line for the second. */
const RAISES = [[0x41], [0x2e, 14]];

/** In a page `v86` is where v86's build folder is; in Node V86 and wasm are given. Rows of { busy, posted, message }, in us. */
export default async function compare({ v86, V86, wasm, library, interrupts }) {
  V86 ??= (await import(`${v86}/libv86.mjs`)).V86;
  wasm ??= await (await fetch(`${v86}/v86.wasm`)).arrayBuffer();
  const common = { V86, wasm, library, interrupts };
  const rows = [];
  for (const busy of [true, false]) {
    const posted = await run({ ...common, busy, start: startExample });
    const { create, raise } = machineByMessage();
    const messages = (data) => start(BY_MESSAGE, data, ({ device }) => raise(...RAISES[device]));
    const message = await run({ ...common, busy, start: messages, create });
    rows.push({ busy, posted: posted.medianUs, message: message.medianUs });
  }
  return rows;
}
