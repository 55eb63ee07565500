/** Each bug's test on the shipped code, and on every broken twin of it. */
import { describe, it } from "node:test";
import { managerProofs } from "./a-manager.js";
import { assertBites } from "./proof.js";

for (const { id, sentence, holds, twins } of [...managerProofs]) {
  describe(id, () => {
    it(`${id}: ${sentence}`, holds);
    for (const [wrong, twin] of twins) {
      it(`${id}: fails on a twin that ${wrong}`, async (t) => t.diagnostic(await assertBites(wrong, twin)));
    }
  });
}
