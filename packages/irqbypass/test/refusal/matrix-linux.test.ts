/** As `matrix.test.ts`, for the entry points that work on Linux alone: descriptors run out here, too. */
import { describe, it } from "node:test";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { holds } from "./matrix.js";

describe("the refusal matrix", { timeout: 600_000 }, () => {
  it("holds for irqbypass/linux", linux, async (t) => t.diagnostic(await holds("linux")));
  it("holds for irqbypass/kvm", kvmTests, async (t) => t.diagnostic(await holds("kvm")));
});
