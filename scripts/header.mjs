// Writes packages/irqbypass/include/interrupt_file.h, the interrupt file for C, from the layout's table and the text in header/.
//   node scripts/header.mjs            says whether it is current; exit code 1 where not
//   node scripts/header.mjs --write    writes it
import { readFileSync, writeFileSync } from "node:fs";
import { readFlags } from "./flags.mjs";

const HEADER = new URL("../packages/irqbypass/include/interrupt_file.h", import.meta.url);
const TEXT = new URL("header/interrupt_file.h", import.meta.url);

const layout = { ...(await import("../packages/irqbypass/build/src/host/layout/interrupt-file.js")) };
const write = readFlags("header", "--write").has("--write");

/** The text with each @NAME@ replaced by that number of the layout, @Enum.member@ by that member. */
const made = readFileSync(TEXT, "utf8").replace(/@([A-Za-z_]+)(?:\.(\w+))?@/g, (_, name, member) => {
  const value = member === undefined ? layout[name] : layout[name]?.[member];
  if (typeof value !== "number") throw new Error(`the layout has no ${name}${member ? `.${member}` : ""}`);
  return value >= 0 && value < 256 ? `${value}u` : `0x${(value >>> 0).toString(16)}u`;
});
if (write) writeFileSync(HEADER, made);
else if (readFileSync(HEADER, "utf8") !== made) {
  console.error("header: include/interrupt_file.h is not what the layout says: npm run header writes it");
  process.exit(1);
}
console.log(`header: interrupt_file.h, version ${layout.FILE_VERSION}`);
