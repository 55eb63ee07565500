/** One of several threads that change routes of a guest at once, each its own, at which an irqfd listens. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, IrqBypassError, Producer } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd } from "irqbypass/linux";
import { ERRNO } from "#src/host/errors.js";
import { withTables } from "./counted.js";
import { Bomb, type Outcome, REFUSED, type Ready, type Together, type Wish, Word } from "./together-board.js";

const ENTRY_WORDS = 12;

const { host: handle, vm: guest, board, bypass } = workerData as Together;

/** Has a route of this table the message that KVM refuses? */
function isRefused(table: ArrayBufferView): boolean {
  const words = new Uint32Array(table.buffer, table.byteOffset, table.byteLength >> 2);
  for (let at = 2; at < words.length; at += ENTRY_WORDS)
    if (words[at + 1] === 2 && (words[at + 6]! & 255) === REFUSED) return true;
  return false;
}

const linux = withTables((table, give) => {
  Atomics.add(board, Word.tables, 1);
  const bomb = Atomics.exchange(board, Word.bomb, Bomb.none);
  if (bomb === Bomb.before) process.exit();
  const result = isRefused(table) ? -ERRNO.EINVAL : give();
  if (bomb === Bomb.after) process.exit();
  return result;
});
const host = Host.attach(handle, { kinds: [linux, kvm()] });
const vm = KvmVm.open(host, guest);
const route = vm.routeMsi({ vcpu: 0, vector: 0x20 });
const eventfd = LinuxEventfd.create(host);
vm.irqfd(eventfd, route.gsi, { bypass });
const nic = Producer.create(host);
if (bypass !== "off") nic.register(eventfd);

function toAndFro(vectors: readonly [number, number]): number {
  let changes = 0;
  for (; Atomics.load(board, Word.stop) === 0; changes++)
    route.change({ vcpu: 0, vector: vectors[changes & 1]! });
  return changes;
}

parentPort!.on("message", (wish: Wish) => {
  const outcome: { code?: string; changes?: number } = {};
  try {
    if (wish === "end") route.dispose();
    else if ("between" in wish) outcome.changes = toAndFro(wish.between);
    else route.change({ vcpu: 0, vector: wish.vector });
  } catch (error) {
    outcome.code = error instanceof IrqBypassError ? error.code : String(error);
  }
  // By the route as it is from that call's return on.
  if (bypass === "off") eventfd.signal();
  else nic.signal();
  parentPort!.postMessage(outcome satisfies Outcome);
});
parentPort!.postMessage({ gsi: route.gsi, thread: host.threadId } satisfies Ready);
