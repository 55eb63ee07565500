/**
 * `npm run kvm:compare -- --seed S --count N`: takes N random steps of each subject - messages, IPIs, registers, irqfds with devices, interrupt chips - on a software VM and on
 * /dev/kvm. Exit code 1, with the shrunk steps, where they differ. `--only messages` (or another) leaves out the others.
 */
import { parseArgs } from "node:util";
import { Kvm } from "#src/kvm/kvm.js";
import { compare, SUBJECTS, type Subject } from "./compare.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "3000" },
    only: { type: "string" },
  },
});
const [seed, count] = [Number(values.seed), Number(values.count)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count) || count < 1)
  throw new Error(`--seed ${values.seed} --count ${values.count}: give two whole numbers`);
const subjects = values.only === undefined ? SUBJECTS : SUBJECTS.filter((one) => one === values.only);
if (subjects.length === 0) throw new Error(`--only ${values.only}: use ${SUBJECTS.join(", ")}`);

using kvm = Kvm.open();
for (const subject of subjects as readonly Subject[]) {
  const begin = performance.now();
  let done = 0;
  try {
    done = compare(kvm, subject, count, seed);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
    continue;
  }
  console.log(
    `${subject}: ${done} steps agreed in ${((performance.now() - begin) / 1000).toFixed(0)} s (seed ${seed})`,
  );
}
