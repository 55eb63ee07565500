import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, VfioPciDevice } from "irqbypass";
import { whyRelayed } from "../support/host.js";
import { setUnmask } from "../support/intx.js";
import { closedEventfd, Guest, producers, refused, withEventfds } from "./support.js";

/** A device with INTx enabled on eventfd 0. */
function bench({ enabled = true }: { enabled?: boolean } = {}) {
  const { host, eventfds } = withEventfds(4);
  const device = new VfioPciDevice(host, { intx: true, msix: 1 });
  const [trigger, unmask, other] = eventfds as [Eventfd, Eventfd, Eventfd];
  if (enabled) device.setTrigger("intx", 0, trigger);
  return {
    host,
    device,
    pin: device.intx,
    trigger,
    unmask,
    other,
    /** How often the trigger was signalled since the last look. */
    fired: () => Number(trigger.tryRead() ?? 0n),
    setUnmask: (eventfd: Eventfd | null) => setUnmask(device, eventfd),
    [Symbol.dispose]() {
      device.dispose();
      host.dispose();
    },
  };
}

/** Lets what is under way in this thread's event loop come to its end. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function until(settled: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!settled()) {
    assert.ok(Date.now() < deadline, "not in time");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe("the INTx line", () => {
  it("fires once and masks itself; unmasked while it is up it fires again, while it is down it is quiet", () => {
    using it = bench();
    it.pin.assert();
    assert.deepEqual([it.fired(), it.pin.masked], [1, true]);
    it.pin.assert();
    assert.equal(it.fired(), 0);
    it.device.unmask("intx");
    assert.deepEqual([it.fired(), it.pin.masked], [1, true]);
    it.pin.deassert();
    it.device.unmask("intx");
    assert.deepEqual([it.fired(), it.pin.masked], [0, false]);
    it.pin.assert();
    assert.equal(it.fired(), 1);
  });

  it("masked by the VMM it is held back, and fires when it is unmasked", () => {
    using it = bench();
    it.device.mask("intx");
    it.device.mask("intx");
    it.pin.assert();
    assert.equal(it.fired(), 0);
    it.device.unmask("intx");
    assert.deepEqual([it.fired(), it.pin.masked], [1, true]);
  });

  it("asserted and deasserted while masked leaves nothing: it is a level", () => {
    using it = bench();
    it.device.mask("intx");
    it.pin.assert();
    it.pin.deassert();
    it.device.unmask("intx");
    assert.deepEqual([it.fired(), it.pin.masked], [0, false]);
  });

  it("unmask of what is not masked does nothing, also while the line is up", () => {
    using it = bench();
    it.device.unmask("intx");
    assert.equal(it.fired(), 0);
  });

  it("is up already when it is enabled: fires at once", () => {
    using it = bench({ enabled: false });
    it.pin.assert();
    it.device.setTrigger("intx", 0, it.trigger);
    assert.deepEqual([it.fired(), it.pin.masked], [1, true]);
  });

  it("enabled without a trigger it masks itself unheard; with one, unmasking delivers", () => {
    using it = bench({ enabled: false });
    it.device.setTrigger("intx", 0, null);
    it.pin.assert();
    assert.equal(it.pin.masked, true);
    it.device.setTrigger("intx", 0, it.trigger);
    assert.equal(it.fired(), 0);
    it.device.unmask("intx");
    assert.equal(it.fired(), 1);
  });

  it("disabled it fires nothing; enabled again it starts unmasked", () => {
    using it = bench();
    it.pin.assert();
    it.device.disable("intx");
    it.pin.assert();
    assert.equal(it.fired(), 1);
    it.pin.deassert();
    it.device.setTrigger("intx", 0, it.trigger);
    assert.equal(it.pin.masked, false);
  });

  it("never is a producer: its irqfd is relayed and says so", async () => {
    using it = bench();
    const guest = new Guest(it.host, [40]);
    const irqfd = guest.irqfd(it.trigger, 40);
    assert.equal(producers(it.host), 0);
    assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["relayed", "no-producer"]);
    it.pin.assert();
    assert.equal(await guest.next(), 40);
    guest.dispose();
  });
});

describe("the guest's Interrupt Disable bit", () => {
  it("set, it masks; cleared, it unmasks and fires if the line is up", () => {
    using it = bench();
    it.pin.disIntx = true;
    it.pin.assert();
    assert.deepEqual([it.fired(), it.pin.masked], [0, true]);
    it.pin.disIntx = false;
    assert.deepEqual([it.fired(), it.pin.masked], [1, true]);
  });

  it("set, neither unmask nor a loopback test gets through (D2: both sides see one state)", () => {
    using it = bench();
    it.pin.disIntx = true;
    it.device.unmask("intx");
    assert.equal(it.pin.masked, true);
    it.pin.assert();
    it.device.setIrqs({ index: "intx", start: 0, count: 1, action: "trigger", data: "none" });
    assert.equal(it.fired(), 0);
  });

  it("may change while INTx is off, or MSI-X is on (D2)", () => {
    using it = bench({ enabled: false });
    it.device.setTrigger("msix", 0, it.other);
    it.pin.disIntx = true;
    it.pin.assert();
    it.pin.disIntx = false;
    assert.equal(it.other.count, 0n);
    it.device.disable("msix");
    it.pin.disIntx = true;
    it.device.setTrigger("intx", 0, it.trigger);
    assert.deepEqual([it.fired(), it.pin.masked], [0, true]);
  });

  it("set while INTx is enabled with the line up: masked once, not twice (D3)", () => {
    using it = bench({ enabled: false });
    it.pin.disIntx = true;
    it.pin.assert();
    it.device.setTrigger("intx", 0, it.trigger);
    assert.equal(it.fired(), 0);
    it.pin.disIntx = false;
    assert.equal(it.fired(), 1);
    it.pin.deassert();
    it.device.unmask("intx");
    it.pin.assert();
    assert.equal(it.fired(), 1, "it is not dead");
  });

  it("set before INTx is enabled: it starts masked, with the line down too", () => {
    using it = bench({ enabled: false });
    it.pin.disIntx = true;
    it.device.setTrigger("intx", 0, it.trigger);
    it.pin.disIntx = true;
    assert.equal(it.pin.masked, true);
    it.pin.disIntx = false;
    assert.deepEqual([it.pin.masked, it.fired()], [false, 0]);
  });

  it("setting what is set already does not mask again", () => {
    using it = bench();
    it.pin.disIntx = false;
    it.pin.assert();
    it.pin.disIntx = false;
    assert.deepEqual([it.fired(), it.pin.masked], [1, true]);
  });
});

describe("the unmask eventfd", () => {
  it("unmasks, and fires again as long as the line is up", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    it.pin.assert();
    assert.equal(it.fired(), 1);
    it.unmask.write();
    await until(() => it.trigger.count === 1n);
    assert.deepEqual([it.unmask.count, it.pin.masked], [0n, true]);
    it.pin.deassert();
    it.unmask.write();
    await until(() => !it.pin.masked);
    assert.equal(it.fired(), 1);
  });

  it("is let go when the thread leaves the host: nothing is thrown, and nothing keeps the event loop alive", async () => {
    const it = bench();
    let held = 0;
    const platform = {
      ...it.host.platform,
      hold() {
        held += 1;
        return () => {
          held -= 1;
        };
      },
    };
    const view = Host.attach(it.host.handle, { platform });
    const device = new VfioPciDevice(view, { intx: true });
    device.setTrigger("intx", 0, Eventfd.open(view, it.trigger.handle));
    const unmask = Eventfd.open(view, it.unmask.handle);
    setUnmask(device, unmask);
    assert.equal(held, 1);
    view.dispose();
    await until(() => held === 0);
  });

  it("poll unmasks at once, for a thread that does not return to its event loop", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    it.pin.assert();
    it.pin.deassert();
    it.unmask.write();
    assert.equal(it.pin.masked, true);
    it.pin.poll();
    assert.equal(it.pin.masked, false);
    it.pin.assert();
    await settle();
    assert.deepEqual([it.fired(), it.pin.masked], [2, true], "one write, one unmask");
  });

  it("a count that is there already unmasks once", async () => {
    using it = bench();
    it.pin.assert();
    it.unmask.write(3);
    it.setUnmask(it.unmask);
    assert.equal(it.trigger.count, 2n, "at once");
    await settle();
    assert.deepEqual([it.fired(), it.pin.masked, it.unmask.count], [2, true, 0n]);
  });

  it("a second one is EBUSY; a bad one is EBADF or EINVAL before that; taken away, another one can be set", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    refused("EBUSY", () => it.setUnmask(it.other));
    refused("EBUSY", () => it.setUnmask(it.unmask));
    refused("EBADF", () => it.setUnmask(closedEventfd(it.host)));
    refused("EINVAL", () => it.setUnmask(3 as unknown as Eventfd));
    it.setUnmask(null);
    it.setUnmask(null);
    it.setUnmask(it.other);
    it.pin.assert();
    it.unmask.write();
    await settle();
    assert.deepEqual([it.fired(), it.unmask.count], [1, 1n], "the first one is let alone");
    it.other.write();
    await until(() => it.trigger.count === 1n);
  });

  it("what was written before it is taken away still unmasks, what comes after it does not", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    it.pin.assert();
    it.pin.deassert();
    it.unmask.write();
    it.setUnmask(null);
    assert.equal(it.pin.masked, false);
    it.device.mask("intx");
    it.unmask.write();
    await settle();
    assert.deepEqual([it.pin.masked, it.unmask.count], [true, 1n]);
  });

  it("closed through its handle it is gone: nothing throws later, and another one can be set", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    it.unmask.close();
    it.pin.poll();
    await settle();
    it.setUnmask(it.other);
    it.device.mask("intx");
    it.other.write();
    await until(() => !it.pin.masked);
  });

  it("closed here and written to through another handle: nothing arrives, and nothing throws", async () => {
    using it = bench();
    using other = Eventfd.open(it.host, it.unmask.handle);
    it.setUnmask(it.unmask);
    it.device.mask("intx");
    await settle();
    it.unmask.close();
    other.write();
    await settle();
    assert.deepEqual([it.pin.masked, other.count], [true, 1n]);
  });

  it("closed, then disabled: nothing arrives after the close, and it ends once (D5)", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    it.pin.assert();
    it.unmask.write();
    it.unmask.close();
    it.device.disable("intx");
    await settle();
    assert.deepEqual([it.fired(), it.pin.enabled], [1, false]);
  });

  it("disabled, then closed: what was written before still unmasks, and it ends once (D5)", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    it.pin.assert();
    it.unmask.write();
    it.device.disable("intx");
    it.unmask.close();
    await settle();
    assert.deepEqual([it.fired(), it.pin.enabled], [2, false]);
  });

  it("what was written before the call that disables unmasks before it: the next session is let alone", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    it.device.mask("intx");
    it.unmask.write();
    it.device.disable("intx");
    it.device.setTrigger("intx", 0, it.trigger);
    it.device.mask("intx");
    await settle();
    assert.deepEqual([it.pin.masked, it.unmask.count], [true, 0n]);
  });

  it("the trigger is taken away, or closed, while an unmask is under way: no signal, and no error (D1)", async () => {
    using it = bench();
    it.setUnmask(it.unmask);
    it.pin.assert();
    it.unmask.write();
    it.device.setTrigger("intx", 0, null);
    await settle();
    assert.equal(it.pin.masked, true, "the line is still up");
    it.device.setIrqs({ index: "intx", start: 0, count: 1, action: "trigger", data: "none" });
    it.device.setTrigger("intx", 0, it.trigger);
    it.trigger.close();
    it.unmask.write();
    await settle();
    it.device.unmask("intx");
    it.device.setTrigger("intx", 0, it.other);
    it.device.unmask("intx");
    assert.equal(it.other.count, 1n);
  });

  it("an irqfd on the same eventfd takes everything: nothing is unmasked", async () => {
    using it = bench();
    const guest = new Guest(it.host, [50]);
    it.setUnmask(it.unmask);
    guest.irqfd(it.unmask, 50);
    it.device.mask("intx");
    it.unmask.write();
    assert.equal(await guest.next(), 50);
    await settle();
    assert.equal(it.pin.masked, true);
    guest.dispose();
  });
});
