// Prints what an interrupt of a v86 machine takes, posted and by message: node heavy/v86/main.mjs [interrupts]
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Browser } from "../browser.mjs";
import { browserTests } from "../workspace.mjs";
import compare from "./compare.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LIBRARY = "/packages/irqbypass/build/src/index.js";
const interrupts = Number(process.argv[2] ?? 2000);

const { skip } = await browserTests();
if (skip) {
  console.error(`v86: ${skip}`);
  process.exit(2);
}
const build = import.meta.resolve("v86");
const { V86 } = await import(build);
const wasm = readFileSync(new URL("v86.wasm", build));
print(`Node ${process.versions.node}`, await compare({ V86, wasm, library: "irqbypass", interrupts }));
const browser = await Browser.start();
try {
  const page = await browser.open(ROOT);
  const given = { v86: "/heavy/node_modules/v86/build", library: LIBRARY, interrupts };
  print("Chromium", await page.run("heavy/v86/compare.mjs", given));
} finally {
  await browser.close();
}

function print(where, rows) {
  for (const { busy, posted, message } of rows) {
    const [us, other] = [posted, message].map((time) => `${time.toFixed(0)} us`);
    console.log(
      `${where}, guest ${busy ? "busy" : "idle"}: ${us} posted, ${other} by message: ${(message / posted).toFixed(1)} times`,
    );
  }
}
