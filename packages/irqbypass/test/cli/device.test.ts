import assert from "node:assert/strict";
import { test } from "node:test";
import { percentile } from "#src/cli/histogram.js";
import { runDevice, type Signaller } from "#src/cli/run/device.js";
import { Ledger } from "#src/cli/run/ledger.js";
import { Tally } from "#src/cli/run/tally.js";

/**
 * A device and its guest on one thread: a signal is a call of the guest's handler, so every count is exact.
 * @param deliver whether the nth signal (from 1) reaches the guest.
 */
function loopback(
  pace: Pick<Signaller, "burst" | "rate">,
  interrupts: number,
  until: number,
  deliver = (_: number, _ledger: Ledger) => true,
  idle = true,
) {
  const ledger = Ledger.create({ devices: 1, vcpus: 1, interrupts });
  const mailboxes = Array.from({ length: interrupts }, (_, i) => ledger.mailbox(i));
  const tally = new Tally(ledger, mailboxes);
  let sent = 0;
  const signallers = mailboxes.map(
    (mailbox, interrupt): Signaller => ({
      interrupt,
      mailbox,
      vcpu: 0,
      ...pace,
      signal() {
        sent += 1;
        if (sent >= until) ledger.stop();
        if (deliver(sent, ledger)) ledger.deliver(interrupt, 0);
      },
    }),
  );
  ledger.setIdle(0, idle);
  ledger.start();
  runDevice(ledger, 0, signallers);
  tally.look();
  return { ledger, counts: tally.counts, sent };
}

test("in lock-step every signal is one delivery", () => {
  const { counts, sent } = loopback({ burst: 1, rate: "max" }, 3, 3000);
  assert.equal(
    counts.reduce((sum, one) => sum + one.signals, 0),
    sent,
  );
  for (const one of counts) assert.deepEqual(one, { signals: one.signals, delivered: one.signals, lost: 0 });
});

test("signals of a burst may coalesce, but for the last one", () => {
  const { counts } = loopback({ burst: 4, rate: "max" }, 1, 400, (nth) => nth % 4 === 0);
  assert.deepEqual(counts, [{ signals: 400, delivered: 100, lost: 0 }]);
});

test("the guest is told of a long burst while it lasts, and of a short one not at all", () => {
  for (const [burst, told] of [
    [64, true],
    [8, false],
  ] as const) {
    const seen = new Set<boolean>();
    const { ledger, counts } = loopback({ burst, rate: "max" }, 1, 10 * burst, (nth, ledger) => {
      // Before the last signal, whose handler ends the burst.
      if (nth % burst !== 0) seen.add(ledger.isSending(0));
      else assert.equal(ledger.isSending(0), false);
      return true;
    });
    assert.deepEqual([...seen], [told]);
    assert.equal(ledger.isSending(0), false);
    assert.equal(counts[0]?.lost, 0);
  }
});

test("a paced device sleeps until its next burst, and finds the guest's answer there", () => {
  // Nobody rings this device: where it waited for that, each burst would take as long as its longest sleep.
  const ledger = Ledger.create({ devices: 1, vcpus: 1, interrupts: 1 });
  const mailbox = ledger.mailbox(0);
  const late = { nth: 0 };
  const signal = () => {
    // What was noted of the last signal, it finds when this one is due.
    Atomics.store(mailbox.words, mailbox.seen, Atomics.load(mailbox.words, mailbox.used));
    late.nth += 1;
    if (late.nth === 20) ledger.stop();
  };
  ledger.start();
  const begin = performance.now();
  runDevice(ledger, 0, [{ interrupt: 0, mailbox, vcpu: 0, burst: 1, rate: 1000, signal }]);
  assert.equal(ledger.signals(0), 20);
  assert.equal(ledger.lost(0), 0);
  assert.ok(performance.now() - begin < 1500);
});

test("a last signal that never comes is one lost interrupt, and the device goes on", () => {
  const { counts } = loopback({ burst: 4, rate: "max" }, 1, 40, (nth) => nth !== 8);
  assert.deepEqual(counts, [{ signals: 40, delivered: 39, lost: 1 }]);
});

test("a pace is kept, and interrupts of one pace do not come at once", () => {
  const started = performance.now();
  const { counts } = loopback({ burst: 1, rate: 200 }, 2, 40);
  const took = performance.now() - started;
  // Forty signals of two interrupts at 200 a second each: no faster than that.
  assert.ok(took >= 90, `${took} ms`);
  // A thread that was kept from its core catches up on both, and may be one round further when it is stopped.
  const [one, other] = counts.map(({ signals }) => signals);
  assert.ok(one! + other! >= 40 && Math.abs(one! - other!) <= 1, `${one} and ${other}`);
});

test("what an idle guest gets is timed: each at a pace, one in 256 at full speed, none of a busy guest's", () => {
  const samples = (words: Int32Array) => words.reduce((sum, count) => sum + count, 0);
  const paced = loopback({ burst: 1, rate: 1000 }, 1, 30).ledger.histogram(0);
  assert.equal(samples(paced), 30);
  const fast = loopback({ burst: 1, rate: "max" }, 1, 2560).ledger.histogram(0);
  assert.equal(samples(fast), 10);
  const p50 = percentile(fast, 0.5) ?? Number.NaN;
  assert.ok(p50 > 0 && p50 < 1e9, `${p50} ns`);
  const busy = loopback({ burst: 1, rate: "max" }, 1, 2560, () => true, false).ledger.histogram(0);
  assert.equal(samples(busy), 0);
});

test("a device that is stopped before it was started does nothing", () => {
  const ledger = Ledger.create({ devices: 1, vcpus: 1, interrupts: 1 });
  ledger.stop();
  ledger.start();
  const signal = () => assert.fail("signalled");
  runDevice(ledger, 0, [
    { interrupt: 0, mailbox: ledger.mailbox(0), vcpu: 0, burst: 1, rate: "max", signal },
  ]);
  assert.equal(ledger.stopping, true);
});

test("counters that wrap are still added up", () => {
  const ledger = Ledger.create({ devices: 1, vcpus: 1, interrupts: 1 });
  const tally = new Tally(ledger, [ledger.mailbox(0)]);
  for (let i = 0; i < 5; i++) {
    ledger.countSignals(0, 0x7000_0000);
    tally.look();
  }
  assert.equal(tally.counts[0]?.signals, 5 * 0x7000_0000);
});
