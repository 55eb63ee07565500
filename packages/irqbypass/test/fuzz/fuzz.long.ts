/** More than a million cases. */
import { describe, it } from "node:test";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { fuzz, summary } from "./parts.js";
import { seedOf } from "./random.js";

const PARTS = 10;
const CORE = 80_000;
const LINUX = 100_000;
const KVM = 10_000;
const EXPLORE = 5_000;
const OTHER = 100_000;
/** Generous: a part takes less than a minute on an idle machine. */
const TIMEOUT_MS = 900_000;

describe("more than a million cases", { timeout: TIMEOUT_MS * 20 }, () => {
  const seed = seedOf(process.env);
  const options = { timeout: TIMEOUT_MS };

  for (let part = 0; part < PARTS; part++) {
    it(`of the core, part ${part + 1} of ${PARTS}`, options, async (t) => {
      t.diagnostic(summary(await fuzz("core", CORE, seed + part * 104_729)));
    });
  }

  it("of irqbypass/linux", { ...options, ...linux }, async (t) =>
    t.diagnostic(summary(await fuzz("linux", LINUX, seed))),
  );
  it("of irqbypass/kvm", { ...options, ...kvmTests }, async (t) =>
    t.diagnostic(summary(await fuzz("kvm", KVM, seed))),
  );
  it("of atomics-explorer", options, async (t) =>
    t.diagnostic(summary(await fuzz("explore", EXPLORE, seed))),
  );
  it("attaching to damaged memory", options, async (t) =>
    t.diagnostic(summary(await fuzz("attach", OTHER, seed))),
  );
  it("workload files", options, async (t) => t.diagnostic(summary(await fuzz("workload", OTHER, seed))));
});
