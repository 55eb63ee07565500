/** What may sleep is refused in a thread that may not block, before it does: EAGAIN, which says what to do instead. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Epoll, Eventfd, Host, InterruptFile, Vcpu, Vm } from "irqbypass";
import { type EventfdFileOptions, LinuxEventfd, linux as linuxKind } from "irqbypass/linux";
import { nodePlatform } from "#src/host/platform-node.js";
import { noRelay } from "../support/host.js";
import { linux } from "./available.js";

const MOST = 2n ** 64n - 2n;

/** A host whose thread may not block, and which fails where it does: in memory, in poll(2), read(2) or write(2). */
function page() {
  const kind = linuxKind();
  const own = kind.ffi();
  const { poll } = own;
  own.poll = (fds, count, timeoutMs) => {
    assert.equal(timeoutMs, 0, "it sleeps in poll(2)");
    return poll(fds, count, timeoutMs);
  };
  const platform = { ...nodePlatform()!, mayBlock: false };
  const host = Host.create({ kinds: [kind], platform, spawn: noRelay, size: "small" });
  host.words.wait = () => assert.fail("it sleeps in Atomics.wait");
  const create = (options: EventfdFileOptions = {}) => LinuxEventfd.create(host, options);
  return { host, platform, create };
}

const CALLS: Readonly<Record<string, (made: ReturnType<typeof page>) => readonly [() => unknown, RegExp]>> = {
  "Eventfd.read": ({ host }) => {
    const eventfd = Eventfd.create(host);
    return [() => eventfd.read(), /eventfd 0.*use readAsync/];
  },
  "LinuxEventfd.read": ({ create }) => {
    const eventfd = create();
    return [() => eventfd.read(), /eventfd 0.*use readAsync/];
  },
  "LinuxEventfd.read of a blocking one": ({ create }) => {
    const eventfd = create({ nonblocking: false });
    return [() => eventfd.read(), /eventfd 0.*use readAsync/];
  },
  "LinuxEventfd.write of 1 to a blocking one": ({ create }) => {
    const eventfd = create({ nonblocking: false });
    eventfd.write(MOST);
    return [() => eventfd.write(), /eventfd 0, which has no room, .*read it first/];
  },
  "LinuxEventfd.write of more to a blocking one": ({ create }) => {
    const eventfd = create({ nonblocking: false });
    eventfd.write(MOST - 1n);
    return [() => eventfd.write(2), /eventfd 0, which has no room, .*read it first/];
  },
  "Epoll.wait": ({ host }) => {
    const epoll = Epoll.create(host);
    return [() => epoll.wait(), /epoll 0.*use waitAsync/];
  },
  "Vcpu.wait": ({ host }) => {
    const vcpu = Vcpu.open(host, new Vm(host).vcpu(0).handle);
    return [() => vcpu.wait(), /vCPU 0.*use waitAsync/];
  },
  "InterruptFile.block": ({ platform }) => {
    const file = InterruptFile.create(new SharedArrayBuffer(64), 0, { platform });
    return [() => file.block(), /interrupt file.*use blockAsync/];
  },
};

describe("in a thread that may not block", linux, () => {
  for (const [name, prepare] of Object.entries(CALLS))
    it(`${name} is refused where it would sleep`, () => {
      const [call, message] = prepare(page());
      for (let again = 0; again < 2; again++) assert.throws(call, { code: "EAGAIN", message });
    });

  it("a write to a full eventfd that was made blocking goes on once it is read, and a kick ends it", () => {
    const { host, create } = page();
    const eventfd = create({ nonblocking: false });
    eventfd.write(MOST);
    eventfd.signal(); // of a device, which never sleeps
    eventfd.kick();
    assert.equal(eventfd.write(), false);
    assert.throws(() => eventfd.write(), { code: "EAGAIN" });
    assert.equal(eventfd.read(), MOST);
    assert.deepEqual([eventfd.write(), eventfd.count], [true, 1n]);
    host.dispose();
  });
});
