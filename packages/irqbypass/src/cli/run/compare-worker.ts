/**
 * The comparison's threads. The device's side sends one interrupt, waits until the guest has noted it, sends the next. The other one is
 * a guest whose interrupts are messages: what the others are set against.
 *
 * Each way ends in the same handler and is noticed the same way, so that only the way differs. The ways take
 * turns, and the figure is the mean of the best turn: whatever else the machine does makes others longer.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Host, VfioPciDevice } from "../../index.js";
import type { Compare } from "../result.js";
import { Ledger, type LedgerHandle, type Mailbox } from "./ledger.js";
import { planRun } from "./plan.js";
import { SoftwareGuest } from "./software-guest.js";
import { type Progress, RunThread } from "./thread.js";

const WORKER = new URL("./compare-worker.js", import.meta.url);
/** Which side a thread is. */
export type CompareSide =
  | { readonly name: "device" }
  | { readonly name: "guest"; readonly ledger: LedgerHandle };

/** Of the messages, which come after the two that have a path; and the one device. */
const MESSAGES = 2;
const DEVICE = 0;
const TURNS = 150;
const TURN_MS = 2;
/** Between two looks at the clock. */
const ROUNDS = 16;
/** How often to look for the answer before the thread sleeps: longer than a sleeping guest takes to wake up. */
const LOOKS = 2000;
const WAIT_MS = 100;
const LOST_AFTER_WAITS = 20;

async function measure(): Promise<Compare> {
  const plan = planRun({
    seconds: 1,
    vms: [{ name: "guest", kind: "software", vcpus: 1 }],
    devices: [
      {
        ...{ name: "device", kind: "nic", vm: "guest" },
        interrupts: [
          { bypass: "require", burst: 1, rate: "max" },
          { bypass: "off", burst: 1, rate: "max" },
        ],
      },
    ],
  });
  const ledger = Ledger.create({ devices: 1, vcpus: 1, interrupts: 3 });
  const host = Host.create();
  const guest = new SoftwareGuest(host, { handle: host.handle, kvm: false }, ledger, plan.vms[0]!);
  const listener = new RunThread(WORKER, "message guest", {
    name: "guest",
    ledger: ledger.handle,
  } satisfies CompareSide);
  const device = new VfioPciDevice(host, { msix: 2 });
  guest.interrupts.forEach(({ eventfd }, i) => {
    device.setTrigger("msix", i, eventfd);
  });
  await Promise.all([guest.ready, listener.ready]);
  const [first, second] = [device.vector("msix", 0), device.vector("msix", 1)];
  const posted = new Way("posted", ledger, 0, () => first.signal());
  const relayed = new Way("relayed", ledger, 1, () => second.signal());
  const postMessage = new Way("postMessage", ledger, MESSAGES, () => listener.send("interrupt"));
  for (let turn = 0; turn < TURNS; turn++) {
    for (const way of [posted, relayed, postMessage]) way.takeTurn();
  }
  device.dispose();
  await guest.close();
  await listener.terminate();
  host.dispose();
  return { posted: posted.cost, relayed: relayed.cost, postMessage: postMessage.cost };
}

/** One way for an interrupt, in lock-step. */
class Way {
  readonly #name: string;
  readonly #ledger: Ledger;
  readonly #mailbox: Mailbox;
  readonly #send: () => void;
  #cost = Number.POSITIVE_INFINITY;
  #index = 0;

  constructor(name: keyof Compare, ledger: Ledger, interrupt: number, send: () => void) {
    this.#name = name;
    this.#ledger = ledger;
    this.#mailbox = ledger.mailbox(interrupt);
    this.#send = send;
  }

  /** Nanoseconds for one interrupt in the best turn. */
  get cost(): number {
    return this.#cost;
  }

  takeTurn(): void {
    const startedAt = performance.now();
    let took = 0;
    let sent = 0;
    while (took < TURN_MS) {
      for (let i = 0; i < ROUNDS; i++) this.#lockStep();
      sent += ROUNDS;
      took = performance.now() - startedAt;
    }
    this.#cost = Math.min(this.#cost, (took * 1e6) / sent);
  }

  #lockStep(): void {
    const { words, used } = this.#mailbox;
    this.#index = (this.#index + 1) | 0;
    Atomics.store(words, used, this.#index);
    this.#send();
    for (let look = 0; look < LOOKS; look++) if (this.#isNoted()) return;
    // Waits are counted, not time: while the process is stopped it is one wait, and nothing is lost.
    for (let waits = 0; !this.#isNoted(); waits++) {
      if (waits === LOST_AFTER_WAITS)
        throw new Error(`an interrupt of the comparison was lost (${this.#name})`);
      this.#ledger.park(0, WAIT_MS, () => this.#isNoted());
    }
  }

  #isNoted(): boolean {
    return Atomics.load(this.#mailbox.words, this.#mailbox.seen) === this.#index;
  }
}

/** The guest's side of the messages: notes each. */
function listen(handle: LedgerHandle): void {
  const ledger = new Ledger(handle);
  parentPort?.on("message", () => ledger.deliver(MESSAGES, DEVICE));
  const ready: Progress = "ready";
  parentPort?.postMessage(ready);
}

const side = workerData as CompareSide;
if (side.name === "device") parentPort?.postMessage(await measure());
else listen(side.ledger);
