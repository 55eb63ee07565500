/**
 * A ledger of signals on real threads. A device signals its lines while a VMM assigns and deassigns them, re-routes them, masks
 * them, ends what they belong to; threads may die. After each round the ledger waits until nothing is on its way, and asks for
 * each line: was there an interrupt, is it in the counter, is it pending, was it dropped with a reason? A signal that is none of
 * that is missing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Eventfd, type EventfdContext, Host, type Spawn, Vm } from "irqbypass";
import { kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { type Random, random } from "../death/random.js";
import { SMALL } from "../support/host.js";
import { TestThread } from "../support/worker.js";
import { Accounts } from "./accounts.js";
import {
  isLinux,
  type Line,
  type LineKind,
  LineWord,
  pinOf,
  sortOf,
  vectorsOf,
  Word,
  wordOf,
} from "./board.js";
import { type PlantName, plant } from "./plants.js";
import { Quiet } from "./quiet.js";
import { RealGuest } from "./real-guest.js";
import type { RealGuest as Described, Work } from "./work.js";

export interface LedgerOptions {
  readonly lines: readonly LineKind[];
  readonly seed: number;
  /** Ends after so many rounds, or so many signals. */
  readonly rounds?: number;
  readonly signals?: number;
  /** A thread dies in one of so many rounds. */
  readonly deathsEvery?: number;
  /** The guest is a real one. */
  readonly kvm?: boolean;
  readonly plant?: PlantName;
}

/** What was found, summed up over all lines. */
export interface LedgerResult {
  readonly rounds: number;
  readonly signals: number;
  /** Interrupts that the guest has taken; several signals may have become one. */
  readonly interrupts: number;
  readonly counted: number;
  readonly pending: number;
  readonly dropped: number;
  readonly deaths: number;
  /** The first signal that is missing or too many, with all that was in play; undefined where none is. */
  readonly fault: string | undefined;
}

/** Bounds against hangs; what is planted to hang need not take that long. */
const PATIENCE_MS = 60_000;
const INTX_PATIENCE_MS = 20_000;
const PLANTED_PATIENCE_MS = 1500;
/** Most signals of a line in a round, each of these as often as the others. */
const BURSTS = [1, 1, 1, 1, 1, 12, 12, 300];
/** Rounds after which the creator's event loop has its turn. */
const TURN = 16;

/** Runs it. Throws where a thread fails or comes to no end. */
export async function keepLedger(options: LedgerOptions): Promise<LedgerResult> {
  const ledger = new Ledger(options);
  try {
    return await ledger.run();
  } finally {
    await ledger.end();
  }
}

class Ledger {
  private readonly host: Host;
  private readonly words: Int32Array;
  private readonly lines: readonly Line[];
  private readonly eventfds: readonly (EventfdContext | undefined)[];
  private readonly vm: Vm | undefined;
  private readonly threads = new Map<string, TestThread>();
  private readonly relays = new Map<string, Worker>();
  private readonly pick: Random;
  private readonly kinds;
  private guest: RealGuest | undefined;
  private deaths = 0;

  constructor(private readonly options: LedgerOptions) {
    const real = options.lines.some(isLinux);
    this.kinds = options.kvm ? [linux(), kvm()] : real ? [linux()] : [];
    this.pick = random(options.seed);
    this.host = Host.create({
      kinds: this.kinds,
      capacity: { ...SMALL, thread: 24, reference: 512 },
      spawn: (name) => this.spawn(name),
    });
    plant(options.plant, "main", this.host);
    this.words = new Int32Array(new SharedArrayBuffer(wordOf(options.lines.length, 0) * 4));
    this.vm = options.kvm ? undefined : new Vm(this.host, { vcpus: 2 });
    const made = options.lines.map((kind) => this.eventfdOf(kind));
    const unmasks = options.lines.map((kind) => (sortOf(kind) === "intx" ? this.eventfdOf(kind) : undefined));
    this.eventfds = made;
    this.lines = options.lines.map((kind, line) => ({
      kind,
      eventfd: made[line]?.handle ?? 0,
      ...(unmasks[line] === undefined ? {} : { unmask: unmasks[line].handle }),
    }));
    options.lines.forEach((kind, line) => {
      if (sortOf(kind) !== "intx") return;
      this.vm!.ioapic.redirect(pinOf(kind), { vcpu: 0, vector: vectorsOf(line)[0], level: true });
    });
  }

  async run(): Promise<LedgerResult> {
    const { options, words, host } = this;
    await this.start();
    const { lines, eventfds, vm, guest } = this;
    const accounts = new Accounts(host, words, lines, eventfds, guest);
    const quiet = new Quiet(host, vm, lines, eventfds, accounts, guest);
    const { rounds = Infinity, signals = Infinity, deathsEvery = Infinity } = options;
    let fault: string | undefined;
    let round = 1;
    for (; round <= rounds && accounts.signals < signals && fault === undefined; round++) {
      accounts.begin();
      const { deaths } = this;
      const dying = deathsEvery < Infinity && this.pick(deathsEvery) === 0 ? this.victim() : undefined;
      this.begin(round);
      if (dying !== undefined) await this.kill(dying);
      await this.finished(round);
      const what = await quiet.wait(PATIENCE_MS);
      fault = what === undefined ? accounts.close(this.deaths > deaths) : `${what} does not come to rest`;
      if (fault !== undefined)
        fault = `round ${round}${this.deaths > deaths ? `, in which ${dying ?? "the device"} died` : ""}: ${fault}`;
      if (round % TURN === 0) await new Promise(setImmediate);
    }
    const { signals: sent, interrupts, counted, pending, dropped } = accounts;
    return {
      rounds: round - 1,
      signals: sent,
      interrupts,
      counted,
      pending,
      dropped,
      deaths: this.deaths,
      fault,
    };
  }

  async end(): Promise<void> {
    const { words, threads, host, vm } = this;
    Atomics.store(words, Word.round, -1);
    Atomics.notify(words, Word.round);
    for (let vcpu = 0; vm !== undefined && vcpu < 2; vcpu++) vm.vcpu(vcpu).kick();
    const ended = await Promise.allSettled([...threads.values()].map(({ done }) => done));
    for (const one of ended) if (one.status === "rejected") throw one.reason;
    vm?.dispose();
    host.dispose();
  }

  /** Everything runs, the relays too. */
  private async start(): Promise<void> {
    const names = this.vm === undefined ? ["vmm", "device"] : ["vcpu 0", "vcpu 1", "vmm", "device"];
    for (const name of names) await this.startThread(name);
  }

  private async startThread(name: string): Promise<void> {
    const { host, words, lines, vm, options } = this;
    const work: Work = {
      host: host.handle,
      words,
      lines,
      seed: 1 + this.pick(2 ** 30),
      plant: options.plant,
      patienceMs: options.plant === undefined ? INTX_PATIENCE_MS : PLANTED_PATIENCE_MS,
      vm: vm?.handle,
      ...(name.startsWith("vcpu") ? { vcpu: Number(name.at(-1)) } : {}),
      dies: name === "device" && options.deathsEvery !== undefined,
    };
    const thread = new TestThread(new URL(`./${name.split(" ")[0]}-thread.js`, import.meta.url), work);
    host.watch(thread.worker);
    this.threads.set(name, thread);
    if (name.startsWith("vcpu")) return;
    const first = await thread.next<Described | "ready">();
    if (first !== "ready") this.guest = new RealGuest(first);
  }

  private begin(round: number): void {
    const { words, pick } = this;
    Atomics.store(words, Word.burst, BURSTS[pick(BURSTS.length)]!);
    Atomics.store(words, Word.round, round);
    Atomics.notify(words, Word.round);
  }

  /** Waits for both threads; one that has died is replaced, and what it left has been repaired then. */
  private async finished(round: number): Promise<void> {
    const { words, threads } = this;
    for (const [word, name] of [
      [Word.device, "device"],
      [Word.vmm, "vmm"],
    ] as const) {
      const deadline = Date.now() + PATIENCE_MS;
      for (let seen = Atomics.load(words, word); seen !== round; seen = Atomics.load(words, word)) {
        if (Date.now() > deadline) throw new Error(`${name} does not finish round ${round}`);
        // A death is known when the event loop has told of it.
        if (Atomics.wait(words, word, seen, 20) !== "timed-out") continue;
        await sleep(1);
        if (threads.get(name)!.worker.threadId === -1) await this.replace(name, round);
      }
    }
  }

  private async replace(name: string, round: number): Promise<void> {
    this.deaths += 1;
    await this.threads.get(name)!.done; // one that was meant has no error
    if (name === "vmm")
      for (let line = 0; line < this.lines.length; line++)
        Atomics.store(this.words, wordOf(line, LineWord.assigned), 0);
    if (name === "device") {
      // What it held back has gone with it.
      for (let line = 0; line < this.lines.length; line++)
        Atomics.store(this.words, wordOf(line, LineWord.pending), 0);
      Atomics.store(this.words, Word.device, round);
    }
    if (name === "vmm") Atomics.store(this.words, Word.vmm, round);
    await this.startThread(name);
  }

  private victim(): string {
    const names = [...this.threads.keys(), ...this.relays.keys()].filter(
      (name) => this.vm !== undefined || name === "device",
    );
    return names[this.pick(names.length)]!;
  }

  /** Ends a thread somewhere in the round. */
  private async kill(name: string): Promise<void> {
    const { host, words } = this;
    const round = Atomics.load(words, Word.round);
    for (let left = this.pick(20_000); left > 0; left--) Atomics.load(words, Word.idle);
    const relay = this.relays.get(name);
    if (relay !== undefined) {
      this.deaths += 1;
      await host.terminate(relay);
      return; // the host starts another one
    }
    await host.terminate(this.threads.get(name)!.worker);
    await this.replace(name, round);
  }

  private eventfdOf(kind: LineKind): EventfdContext | undefined {
    const sort = sortOf(kind);
    if (sort === "hang-up") return undefined;
    const semaphore = sort === "semaphore";
    return isLinux(kind)
      ? LinuxEventfd.create(this.host, { semaphore })
      : Eventfd.create(this.host, { semaphore });
  }

  private spawn(name: Parameters<Spawn>[0]): Worker {
    const workerData = { name, planted: this.options.plant };
    const isRelay = name !== "irqbypass/kvm-vcpu-worker";
    const worker = isRelay
      ? new Worker(new URL("./planted-relay.js", import.meta.url), { workerData })
      : new Worker(new URL(import.meta.resolve(name)));
    if (isRelay) this.relays.set(name, worker);
    return worker;
  }
}
