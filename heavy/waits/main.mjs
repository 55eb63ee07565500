// What each way to wait costs in Chromium, as JSON: node heavy/waits/main.mjs | node scripts/waits.mjs - writes the column.
import { browserTests } from "../workspace.mjs";
import { measure } from "./measure.mjs";

const { skip } = await browserTests();
if (skip) {
  console.error(`waits: ${skip}`);
  process.exit(2);
}
console.log(JSON.stringify({ column: "Chromium", ...(await measure()) }));
