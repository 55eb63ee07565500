import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, VfioPciDevice } from "irqbypass";
import { setUnmask } from "../support/intx.js";
import { refused, smallHost, withEventfds } from "./support.js";

describe("ERR and REQ", () => {
  it("signal the VMM, each its own eventfd, beside whatever index is in use", () => {
    const { host, eventfds } = withEventfds(3);
    const device = new VfioPciDevice(host, { msix: 1 });
    device.setTrigger("msix", 0, eventfds[2]!);
    device.setTrigger("err", 0, eventfds[0]!);
    device.setTrigger("req", 0, eventfds[1]!);
    device.reportError();
    device.requestRelease();
    device.requestRelease();
    assert.deepEqual(
      eventfds.map(({ count }) => count),
      [1n, 2n, 0n],
    );
    device.dispose();
    host.dispose();
  });

  it("without an eventfd, or with one that was closed, signal nothing and throw nothing (D6)", () => {
    const { host, eventfds } = withEventfds(1);
    const device = new VfioPciDevice(host);
    device.reportError();
    device.requestRelease();
    device.setTrigger("err", 0, eventfds[0]!);
    eventfds[0]!.close();
    device.reportError();
    device.setIrqs({ index: "err", start: 0, count: 1, action: "trigger", data: "none" });
    device.dispose();
    device.reportError();
    host.dispose();
  });

  it("an eventfd that was closed is the device's until that lets go of it: no other one has its record, and is signalled (D6)", () => {
    const host = smallHost({ capacity: { eventfd: 1 } });
    const device = new VfioPciDevice(host);
    const first = Eventfd.create(host);
    device.setTrigger("err", 0, first);
    first.close();
    refused("ENOMEM", () => Eventfd.create(host));
    device.reportError();
    device.setTrigger("err", 0, null);
    const second = Eventfd.create(host);
    assert.equal(second.record, first.record);
    device.reportError();
    assert.equal(second.count, 0n);
    device.dispose();
    host.dispose();
  });

  it("closing the device with triggers set leaves no eventfd behind (D7)", async () => {
    const { host, eventfds } = withEventfds(5);
    const device = new VfioPciDevice(host, { intx: true, msix: 1 });
    device.setTrigger("err", 0, eventfds[0]!);
    device.setTrigger("req", 0, eventfds[1]!);
    device.setTrigger("msix", 0, eventfds[2]!);
    device.dispose();
    const second = new VfioPciDevice(host, { intx: true });
    second.setTrigger("intx", 0, eventfds[3]!);
    setUnmask(second, eventfds[4]!);
    second.dispose();
    refused("EBADF", () => device.setTrigger("err", 0, eventfds[0]!));
    for (const eventfd of eventfds) eventfd.close();
    const deadline = Date.now() + 30_000;
    while (host.pools.eventfd.live > 0) {
      assert.ok(Date.now() < deadline, "an eventfd is held"); // the unmask listener lets go in its own time
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal(host.pools.producer.live, 0);
    host.dispose();
  });
});
