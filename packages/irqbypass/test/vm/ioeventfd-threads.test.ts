/** Stores of several threads beside the coming and going of the doorbells that take them. @threads */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Vm } from "irqbypass";
import { smallHost } from "../support/host.js";
import { TestThread } from "../support/worker.js";
import type { StoringWork } from "./storing-worker.js";

const ADDRESSES = [0xfe000000, 0xfe000004, 0xfe001000];
const WRITERS = 2;
const ROUNDS = 300;
const MODULE = new URL("./storing-worker.js", import.meta.url);

async function setUp() {
  const host = smallHost({ capacity: { eventfd: 2 * ROUNDS } });
  const vm = new Vm(host);
  const board = new Int32Array(new SharedArrayBuffer(64));
  const work: StoringWork = { host: host.handle, vm: vm.handle, addresses: ADDRESSES, board };
  const writers = Array.from({ length: WRITERS }, () => new TestThread(MODULE, work));
  for (const writer of writers) await writer.next();
  return { host, vm, board, writers };
}

/** Until the doorbell has been rung, or for long enough that the writers have had their turn. */
function untilRung(eventfd: Eventfd, ends: () => boolean): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (eventfd.count === 0n && !ends()) Atomics.wait(pause, 0, 0, 1);
}

describe("stores of several threads", () => {
  it("rings nothing once a deassign has returned, and every store that was taken has rung", async () => {
    const { host, vm, board, writers } = await setUp();
    const ended: { readonly eventfd: Eventfd; readonly count: bigint }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const eventfd = Eventfd.create(host);
      const address = ADDRESSES[round % ADDRESSES.length]!;
      const doorbell = vm.ioeventfd({ address, length: 4 }, eventfd);
      if (round % 10 === 0) untilRung(eventfd, () => false);
      doorbell.dispose();
      ended.push({ eventfd, count: eventfd.count });
    }
    Atomics.store(board, 0, 1);
    for (const { done } of writers) await done;
    for (const [round, { eventfd, count }] of ended.entries())
      assert.equal(eventfd.count, count, `round ${round}: rung after its deassign had returned`);
    const rung = ended.reduce((sum, { count }) => sum + count, 0n);
    const taken = ADDRESSES.reduce((sum, _, at) => sum + board[1 + at]!, 0);
    assert.equal(rung, BigInt(taken));
    assert.ok(rung >= BigInt(ROUNDS / 10), `${rung} stores were taken`);
    assert.deepEqual(host.audit().findings, []);
    vm.dispose();
    host.dispose();
  });

  it("are refused in every thread when the VM has gone, and the next one in its record hears nothing of them", async () => {
    const { host, vm, writers } = await setUp();
    const first = Eventfd.create(host);
    for (const address of ADDRESSES) vm.ioeventfd({ address, length: 4 }, first);
    untilRung(first, () => false);
    vm.dispose();
    const count = first.count;
    const next = new Vm(host);
    const second = Eventfd.create(host);
    for (const address of ADDRESSES) next.ioeventfd({ address, length: 4 }, second);
    for (const { done } of writers) await assert.rejects(done, { code: "EBADF" });
    assert.deepEqual([first.count, second.count], [count, 0n]);
  });

  it("end with their thread, wherever it is, and nobody waits for it", async () => {
    for (let turn = 0; turn < 5; turn++) {
      const { host, vm, board, writers } = await setUp();
      const eventfd = Eventfd.create(host);
      const doorbell = vm.ioeventfd({ address: ADDRESSES[0]!, length: 4 }, eventfd);
      untilRung(eventfd, () => false);
      await host.terminate(writers[0]!.worker);
      doorbell.dispose();
      const { count } = eventfd;
      Atomics.store(board, 0, 1);
      await writers[1]!.done;
      assert.equal(eventfd.count, count);
      assert.deepEqual(host.audit().findings, []);
      vm.dispose();
      host.dispose();
    }
  });
});
