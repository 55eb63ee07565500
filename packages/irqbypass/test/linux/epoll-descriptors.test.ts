/** The descriptors of epolls; in a file of its own, since threads of other hosts would come and go beside it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Epoll, Eventfd, Host } from "irqbypass";
import { LinuxEventfd, linux as linuxKind } from "irqbypass/linux";
import { noRelay } from "../support/host.js";
import { linux } from "./available.js";
import { openDescriptors } from "./descriptors.js";

describe("an epoll that watches Linux eventfds", linux, () => {
  it("has one descriptor for all of them, and leaves none behind, in whichever order things are closed", () => {
    using host = Host.create({ kinds: [linuxKind()], spawn: noRelay });
    using warm = LinuxEventfd.create(host);
    using first = Epoll.create(host);
    first.add(warm); // with what the host has for all of them
    const before = openDescriptors();
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      const epoll = Epoll.create(host);
      const made = [epoll, LinuxEventfd.create(host), LinuxEventfd.create(host)] as const;
      for (const eventfd of made.slice(1) as LinuxEventfd[]) {
        epoll.add(eventfd);
        eventfd.write();
      }
      assert.equal(openDescriptors().length, before.length + 3);
      assert.equal(epoll.tryWait().length, 2);
      for (const index of order) made[index]!.close();
      assert.deepEqual(openDescriptors(), before);
    }
    assert.deepEqual(host.audit().findings, []);
  });

  it("has none for eventfds in the host's memory", () => {
    using host = Host.create({ kinds: [linuxKind()], spawn: noRelay });
    const before = openDescriptors();
    using epoll = Epoll.create(host);
    using eventfd = Eventfd.create(host, { initial: 1 });
    epoll.add(eventfd);
    assert.deepEqual(epoll.wait(), [eventfd.id]);
    assert.deepEqual(openDescriptors(), before);
  });
});
