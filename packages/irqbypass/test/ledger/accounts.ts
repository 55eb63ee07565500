import type { EventfdContext, Host } from "irqbypass";
import { droppedOf } from "#src/posting/dropped.js";
import { DEVICE_DID, gsiOf, type Line, LineWord, sortOf, VMM_DID, wordOf } from "./board.js";
import type { RealGuest } from "./real-guest.js";

/** What a round has come to, for one line. */
interface Account {
  readonly sent: number;
  /** Of those, the ones that were through. */
  readonly done: number;
  readonly taken: number;
  readonly counted: number;
  readonly dropped: number;
  /** 1 where a signal is pending in the device now, and was at the beginning. */
  readonly pending: number;
  readonly wasPending: number;
  readonly assigns: number;
}

/** The books of a ledger: opened before each round, closed when nothing is on its way any more. */
export class Accounts {
  signals = 0;
  interrupts = 0;
  counted = 0;
  pending = 0;
  dropped = 0;
  private readonly surplus: number[];
  private readonly before: { taken: number; dropped: number; pending: number }[];

  /** `guest` is a real one. */
  constructor(
    private readonly host: Host,
    private readonly words: Int32Array,
    private readonly lines: readonly Line[],
    private readonly eventfds: readonly (EventfdContext | undefined)[],
    private readonly guest: RealGuest | undefined,
  ) {
    this.surplus = lines.map(() => 0);
    this.before = lines.map(() => ({ taken: 0, dropped: 0, pending: 0 }));
  }

  /** Before the round: nothing is on its way. */
  begin(): void {
    this.lines.forEach(({ kind }, line) => {
      this.before[line] = {
        taken: this.taken(line),
        dropped: this.droppedOf(line),
        pending: this.word(line, LineWord.pending),
      };
      for (const word of [LineWord.sent, LineWord.done, LineWord.assigns, LineWord.did, LineWord.deviceDid])
        Atomics.store(this.words, wordOf(line, word), 0);
      if (sortOf(kind) === "hang-up") Atomics.store(this.words, wordOf(line, LineWord.assigned), 0);
    });
  }

  /** A line whose signals have all come to nothing so far: of a real guest one waits for them. */
  get unanswered(): string | undefined {
    for (let line = 0; line < this.lines.length; line++) {
      const { taken, dropped, pending } = this.before[line]!;
      if (this.word(line, LineWord.done) + pending === 0 || this.word(line, LineWord.pending) !== 0) continue;
      const came = this.taken(line) - taken + this.droppedOf(line) - dropped;
      if (came === 0 && (this.eventfds[line]?.count ?? 0n) === 0n) return this.name(line);
    }
    return undefined;
  }

  /** After the round: says what is missing or too many. Where a thread has died, what it had may have gone with it. */
  close(died: boolean): string | undefined {
    let fault: string | undefined;
    this.lines.forEach((_, line) => {
      const account = this.account(line);
      this.signals += account.done;
      this.interrupts += account.taken;
      this.counted += account.counted;
      this.dropped += account.dropped;
      const wrong = this.wrong(line, account, died);
      if (wrong !== undefined) fault ??= `${wrong}: ${this.tell(line, account)}`;
    });
    this.pending = this.lines.reduce((sum, _, line) => sum + this.word(line, LineWord.pending), 0);
    return fault;
  }

  name(line: number): string {
    return `line ${line} (${this.lines[line]!.kind}, GSI ${gsiOf(line)})`;
  }

  private wrong(line: number, account: Account, died: boolean): string | undefined {
    const { sent, done, taken, counted, dropped, pending, wasPending, assigns } = account;
    const { kind } = this.lines[line]!;
    const sort = sortOf(kind);
    if (this.word(line, LineWord.stuck) !== 0) return "an interrupt is not acknowledged, or never came";
    // Masked, closed or disposed of by the dead one, or by the repair, where nobody looks.
    if (died && ["vector", "intx", "hang-up", "machine"].includes(sort)) return undefined;
    if (done + wasPending > 0 && taken + counted + dropped + pending === 0) return "a signal is missing";
    // Where no interrupt has taken any along, each is in the counter. Several that a mask held back are one.
    if (sort !== "vector" && taken + dropped + pending === 0 && counted < done)
      return "some signals are missing";
    // Where a count is there at assign it is an interrupt, and stays. A level is signalled again until it is down. Of a Linux
    // semaphore the relay of a software VM takes one unit for what it finds at once, and may be told of the others still.
    const surplus = taken + counted + dropped + pending - (sent + wasPending + assigns);
    // What a real guest takes late is in the next round's account.
    this.surplus[line] = this.guest === undefined ? surplus : this.surplus[line]! + surplus;
    const isExact = sort !== "intx" && (this.guest !== undefined || kind !== "linux-semaphore");
    if (!died && isExact && this.surplus[line]! > 0) return "there is more than was sent";
    return undefined;
  }

  private account(line: number): Account {
    const { taken, dropped, pending } = this.before[line]!;
    return {
      sent: this.word(line, LineWord.sent),
      done: this.word(line, LineWord.done),
      taken: this.taken(line) - taken,
      counted: this.readOut(line),
      dropped: this.droppedOf(line) - dropped,
      pending: this.word(line, LineWord.pending),
      wasPending: pending,
      assigns: this.word(line, LineWord.assigns),
    };
  }

  private tell(line: number, account: Account): string {
    const did = (word: LineWord, names: readonly string[]) =>
      names.filter((_, bit) => this.word(line, word) & (1 << bit)).join(", ") || "nothing";
    const eventfd = this.eventfds[line];
    const interrupt = this.host.interrupts().find((one) => one.eventfd === eventfd?.id);
    const way = interrupt === undefined ? "no ends" : `${interrupt.path} (${interrupt.reason ?? "bypassed"})`;
    return (
      `${this.name(line)}: ${JSON.stringify(account)}; ${way} now; bypass ${this.host.bypass ? "on" : "off"}; ` +
      `the VMM ${did(LineWord.did, VMM_DID)}; the device ${did(LineWord.deviceDid, DEVICE_DID)}`
    );
  }

  private taken(line: number): number {
    return this.guest?.taken(line) ?? this.word(line, LineWord.taken);
  }

  private droppedOf(line: number): number {
    const eventfd = this.eventfds[line];
    return eventfd === undefined ? 0 : (droppedOf(this.host.words, eventfd.record)?.count ?? 0);
  }

  /** What is in the counter, taken out: the next round begins with nothing. */
  private readOut(line: number): number {
    let sum = 0;
    for (
      let count = this.eventfds[line]?.tryRead();
      count !== undefined;
      count = this.eventfds[line]?.tryRead()
    )
      sum += Number(count);
    return sum;
  }

  private word(line: number, word: LineWord): number {
    return Atomics.load(this.words, wordOf(line, word));
  }
}
