import assert from "node:assert/strict";
import { test } from "node:test";
import type { Moment } from "#src/cli/live.js";
import { Ledger } from "#src/cli/run/ledger.js";
import type { BuildMachine, Machine } from "#src/cli/run/machine.js";
import { session } from "#src/cli/run/session.js";
import { run } from "#src/cli/run.js";
import { paint } from "#src/cli/style.js";
import type { View } from "#src/cli/view.js";
import { DEFAULT_WORKLOAD } from "#src/cli/workload-file.js";

/** A machine without threads: one interrupt that a timer signals and delivers, and loses if it is told to. */
class Imitation implements Machine {
  readonly leftOut = ["guest is left out: there is no /dev/kvm"];
  readonly ledger = Ledger.create({ devices: 1, vcpus: 1, interrupts: 1 });
  readonly failure: Promise<never>;
  readonly calls: string[] = [];
  fail: (error: Error) => void = () => {};
  readonly #timer: NodeJS.Timeout;

  constructor(lose = false) {
    this.failure = new Promise((_, reject) => {
      this.fail = reject;
    });
    this.failure.catch(() => {});
    const ledger = this.ledger;
    this.#timer = setInterval(() => {
      if (ledger.stopping) return;
      ledger.countSignals(0, 1);
      if (lose) ledger.countLost(0);
      else ledger.deliver(0, 0);
    }, 5);
  }

  wiring() {
    const names = { vm: "web", device: "nic0", index: 0, gsi: 24, vector: 32, eventfd: 1 };
    return [{ ...names, path: "posted" as const, reason: null, mailbox: this.ledger.mailbox(0) }];
  }
  oneSided() {
    return [];
  }
  reroutes() {
    return 3;
  }
  async settle() {
    assert.ok(this.ledger.stopping, "settled before it was stopped");
    this.calls.push("settle");
  }
  async compare() {
    this.calls.push("compare");
    return { posted: 1, relayed: 2, postMessage: 3 };
  }
  async close() {
    this.calls.push("close");
    clearInterval(this.#timer);
  }
}

/** A view that keeps what it is told. */
function recorder(): View & { notes: string[]; moments: Moment[] } {
  const notes: string[] = [];
  const moments: Moment[] = [];
  return {
    ...{ notes, moments },
    begin: (text) => void notes.push(paint(text, false)),
    note: (text) => void notes.push(paint(text, false)),
    update: (moment) => void moments.push(moment),
    end: () => notes.push("end"),
    close() {},
  };
}

test("a session lasts as long as it should, settles, compares, and counts everything", async () => {
  const machine = new Imitation();
  const view = recorder();
  const result = await session(machine, view, 0.3, new AbortController().signal);
  await machine.close();
  assert.ok(result.seconds >= 0.3, `${result.seconds} s`);
  const [one] = result.interrupts;
  assert.ok(one !== undefined && one.signals > 0);
  assert.deepEqual({ delivered: one.delivered, lost: one.lost }, { delivered: one.signals, lost: 0 });
  assert.equal(result.reroutes, 3);
  assert.deepEqual(result.compare, { posted: 1, relayed: 2, postMessage: 3 });
  assert.deepEqual(machine.calls, ["settle", "compare", "close"]);
  assert.deepEqual(
    [...new Set(view.moments.map((moment) => moment.ending))],
    [undefined, "waiting for the last interrupts", "comparing the ways of one interrupt"],
  );
});

/** Signals once for each look, whatever the time. */
class Looked extends Imitation {
  override wiring() {
    if (!this.ledger.stopping) {
      this.ledger.countSignals(0, 1);
      this.ledger.deliver(0, 0);
    }
    return super.wiring();
  }
}

test("the rates of a run stay as they were when it is over, however short it was", async () => {
  for (const seconds of [0.01, 0.3]) {
    const machine = new Looked();
    const view = recorder();
    await session(machine, view, seconds, new AbortController().signal);
    await machine.close();
    const rates = view.moments.slice(1).map((moment) => moment.rates[0] ?? 0);
    assert.ok(rates.length > 2);
    for (const rate of rates) assert.ok(rate > 0, rates.join());
  }
});

test("a session that is stopped settles, but does not compare", async () => {
  const machine = new Imitation();
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  const result = await session(machine, recorder(), 60, stop.signal);
  await machine.close();
  assert.ok(result.seconds < 30);
  assert.deepEqual(machine.calls, ["settle", "close"]);
  assert.deepEqual(result.compare, { posted: null, relayed: null, postMessage: null });
});

test("a lost interrupt is named when it is lost", async () => {
  const machine = new Imitation(true);
  const view = recorder();
  await session(machine, view, 0.3, new AbortController().signal);
  await machine.close();
  assert.ok(view.notes.length > 0);
  for (const note of view.notes) assert.equal(note, "lost: web nic0.0 (GSI 24, posted)");
});

test("a thread that fails ends the session with its error", async () => {
  const machine = new Imitation();
  setTimeout(() => machine.fail(new Error("the device's thread failed")), 30);
  await assert.rejects(
    session(machine, recorder(), 60, new AbortController().signal),
    /the device's thread failed/,
  );
  await machine.close();
});

function sink() {
  let text = "";
  const write = (piece: string): boolean => {
    text += piece;
    return true;
  };
  return { write, on() {}, off() {}, text: () => text };
}

async function runWith(machine: Imitation, build: BuildMachine = async () => machine) {
  const [out, error] = [sink(), sink()];
  const listeners = process.listenerCount("SIGINT");
  const code = await run(DEFAULT_WORKLOAD, { seconds: 0.2, kvm: true, json: false }, { out, error }, build);
  assert.equal(process.listenerCount("SIGINT"), listeners, "signal handlers are left behind");
  assert.ok(machine.calls.includes("close"));
  return { code, text: out.text() };
}

test("the command ends with 0 and its summary when nothing was lost, and says what it left out", async () => {
  const { code, text } = await runWith(new Imitation());
  assert.equal(code, 0);
  assert.match(
    text,
    /^irqbypass run {2}the default example: 1 VM, 1 device, 1 interrupt\nguest is left out: there is no/,
  );
  assert.match(text, /\nNothing lost of \d+ signals/);
});

test("the command ends with 1 when something was lost", async () => {
  const { code, text } = await runWith(new Imitation(true));
  assert.equal(code, 1);
  assert.match(text, /\n\d+ lost of \d+ signals/);
});

test("the command takes everything down when a thread fails, and when it cannot build the machine", async () => {
  const machine = new Imitation();
  setTimeout(() => machine.fail(new Error("boom")), 30);
  await assert.rejects(runWith(machine), /boom/);
  assert.ok(machine.calls.includes("close"));
  await assert.rejects(
    runWith(machine, () => Promise.reject(new Error("no room"))),
    /no room/,
  );
});

test("the first stop signal ends the run with its summary", async () => {
  const machine = new Imitation();
  const build: BuildMachine = async () => {
    setTimeout(() => process.kill(process.pid, "SIGINT"), 50);
    return machine;
  };
  const [out, error] = [sink(), sink()];
  const code = await run(DEFAULT_WORKLOAD, { seconds: 60, kvm: true, json: true }, { out, error }, build);
  assert.equal(code, 0);
  const json = JSON.parse(out.text()) as { totals: { seconds: number }; compare: unknown };
  assert.ok(json.totals.seconds < 30);
  assert.deepEqual(json.compare, { posted_ns: null, relayed_ns: null, postmessage_ns: null });
});
