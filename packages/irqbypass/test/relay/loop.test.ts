// A VMM's main loop, which never returns to its event loop, gets every relayed interrupt, whoever needed the relay first.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { linux as linuxTests } from "../linux/available.js";
import { runChild } from "../support/child.js";

describe(
  "the creator of a host that never returns to its event loop gets what is relayed",
  linuxTests,
  () => {
    for (const kind of ["shared", "linux"]) {
      for (const asker of ["the creator", "another thread"]) {
        for (const loop of [
          "looks",
          "Vcpu.wait",
          "Eventfd.read",
          "LinuxEventfd.read",
          "LinuxEventfd.write",
        ]) {
          // Who neither calls the library nor waits in it serves nobody; and the first to need the relay is then another.
          if (loop === "looks" && asker === "another thread") continue;
          it(`${kind}: ${asker} assigns, and it ${loop === "looks" ? "looks without a wait" : `waits in ${loop}`}`, async () => {
            const { out, errors, code } = await runChild(new URL("./loop.js", import.meta.url), [
              loop,
              kind,
              asker,
            ]);
            assert.deepEqual([out, code], ["20 of 20", 0], errors);
          });
        }
      }
    }
  },
);
