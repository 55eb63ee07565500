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
          "Vcpu.wait",
          "Eventfd.read",
          "LinuxEventfd.read",
          "LinuxEventfd.write",
          "Vcpu.acknowledge",
        ])
          gets(kind, asker, loop);
      }
    }
    // Calls that never wait: where the creator asked, its own call has started the relay before them.
    for (const loop of ["Vcpu.pending", "Eventfd.tryRead", "Epoll.tryWait", "Producer.create"])
      gets("shared", "another thread", loop);
    gets("linux", "another thread", "LinuxEventfd.tryRead");
  },
);

function gets(kind: string, asker: string, loop: string): void {
  it(`${kind}: ${asker} assigns, and it calls nothing but ${loop}`, async () => {
    const { out, errors, code } = await runChild(new URL("./loop.js", import.meta.url), [loop, kind, asker]);
    assert.deepEqual([out, code], ["20 of 20", 0], errors);
  });
}
