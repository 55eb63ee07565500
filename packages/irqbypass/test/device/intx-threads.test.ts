/** The unmask eventfd of INTx, which one thread has set and another takes over, or away: nothing is lost, and the first one ends. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, Host, VfioPciDevice } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { linux as linuxTests } from "../linux/available.js";
import { SMALL } from "../support/host.js";
import { setUnmask } from "../support/intx.js";
import type { ListenerWork } from "./intx-listener-thread.js";

const ROUNDS = 40;

async function until(what: string, settled: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!settled()) {
    assert.ok(Date.now() < deadline, `${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A device with INTx, whose unmask eventfd a worker listens to. */
async function bench(isLinux: boolean) {
  const host = Host.create({ kinds: isLinux ? [linux()] : [], capacity: SMALL });
  const create = () => (isLinux ? LinuxEventfd : Eventfd).create(host);
  const nic = new VfioPciDevice(host, { intx: true });
  const [trigger, unmask] = [create(), create()];
  nic.setTrigger("intx", 0, trigger);
  const work: ListenerWork = { host: host.handle, device: nic.handle, unmask: unmask.handle, isLinux };
  const worker = new Worker(new URL("./intx-listener-thread.js", import.meta.url), { workerData: work });
  let exited = false;
  let failure: unknown;
  worker.once("exit", () => {
    exited = true;
  });
  worker.once("error", (error) => {
    failure = error;
  });
  host.watch(worker);
  await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  return {
    host,
    nic,
    trigger,
    unmask,
    worker,
    create,
    exited: () => exited,
    /** Interrupts and unmasks, one for one. */
    async rounds(count: number, listens = nic) {
      for (let round = 0; round < count; round++) {
        nic.intx.assert();
        assert.equal(trigger.tryRead(), 1n, `round ${round}: no interrupt`);
        nic.intx.deassert();
        unmask.write();
        await until(`round ${round}: the unmask`, () => !listens.intx.masked);
      }
      assert.equal(trigger.tryRead(), undefined, "an interrupt too many");
    },
    /** The worker has nothing left to wait for. */
    async ended() {
      await until("the end of the worker", () => exited);
      assert.equal(failure, undefined);
    },
    async [Symbol.asyncDispose]() {
      if (!exited) await host.terminate(worker);
      nic.dispose();
      assert.deepEqual(host.audit().findings, []);
      host.dispose();
    },
  };
}

for (const [name, isLinux, options] of [
  ["a shared", false, {}],
  ["a Linux", true, linuxTests],
] as const) {
  describe(`${name} unmask eventfd that a worker listens to`, options, () => {
    it("unmasks, and keeps the worker alive", async () => {
      await using t = await bench(isLinux);
      await t.rounds(5);
      assert.throws(() => setUnmask(t.nic, t.unmask), { code: "EBUSY" });
      assert.equal(t.exited(), false);
    });

    it("taken over by another thread unmasks there, each time; the worker ends", async () => {
      await using t = await bench(isLinux);
      setUnmask(t.nic, null);
      setUnmask(t.nic, t.unmask);
      await t.rounds(ROUNDS);
      await t.ended();
      await t.rounds(5);
    });

    it("taken over by another, the first one is let alone; the worker ends", async () => {
      await using t = await bench(isLinux);
      setUnmask(t.nic, null);
      const other = t.create();
      setUnmask(t.nic, other);
      await t.ended();
      t.nic.mask("intx");
      t.unmask.write();
      other.write();
      await until("the unmask", () => !t.nic.intx.masked);
      assert.equal(t.unmask.tryRead(), 1n);
    });

    it("what was written before another thread takes it away has unmasked, and what comes after it stays", async () => {
      await using t = await bench(isLinux);
      for (let round = 0; round < ROUNDS; round++) {
        t.nic.mask("intx");
        t.unmask.write();
        setUnmask(t.nic, null);
        assert.deepEqual([t.nic.intx.masked, t.unmask.tryRead()], [false, undefined], `round ${round}`);
        setUnmask(t.nic, t.unmask);
      }
      setUnmask(t.nic, null);
      await t.ended();
      t.nic.mask("intx");
      t.unmask.write();
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.deepEqual([t.nic.intx.masked, t.unmask.tryRead()], [true, 1n]);
    });

    for (const [how, end] of [
      ["taken away", (nic: VfioPciDevice) => setUnmask(nic, null)],
      ["disabled with INTx", (nic: VfioPciDevice) => nic.disable("intx")],
      ["ended with the device", (nic: VfioPciDevice) => nic.dispose()],
    ] as const) {
      it(`${how} by another thread lets the worker end, and the eventfd go`, async () => {
        await using t = await bench(isLinux);
        await t.rounds(2);
        end(t.nic);
        await t.ended();
        t.unmask.write();
        assert.equal(t.unmask.tryRead(), 1n);
      });
    }

    it("of a worker that dies is another one's, with what nobody has heard", async () => {
      await using t = await bench(isLinux);
      await t.rounds(2);
      await t.host.terminate(t.worker);
      t.nic.mask("intx");
      t.unmask.write();
      setUnmask(t.nic, t.unmask);
      assert.equal(t.nic.intx.masked, false, "a count that is there at the start");
      await t.rounds(5);
    });

    it("set through one object and taken over through another of the same thread", async () => {
      await using t = await bench(isLinux);
      const again = VfioPciDevice.open(t.host, t.nic.handle);
      setUnmask(again, null);
      await t.ended();
      setUnmask(again, t.unmask);
      assert.throws(() => setUnmask(t.nic, t.unmask), { code: "EBUSY" });
      again.mask("intx");
      t.unmask.write();
      setUnmask(t.nic, null);
      assert.deepEqual([t.nic.intx.masked, t.unmask.tryRead()], [false, undefined]);
      setUnmask(t.nic, t.unmask);
      await t.rounds(ROUNDS, again);
    });
  });
}
