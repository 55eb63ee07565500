import type { BypassHost } from "../../bypass/bypass-host.js";
import {
  Device,
  DeviceFlag,
  IN_USE,
  Msix,
  POOLS,
  type PoolName,
  Thread,
  ThreadState,
} from "../../host/layout.js";
import type { Pool } from "../../host/pool.js";
import type { Words } from "../../host/words.js";
import { FieldReader } from "./fields.js";
import type { Audit, Finding, FindingKind } from "./finding.js";

const MOST = 1000;

const NAMES: Readonly<Record<PoolName, string>> = {
  thread: "thread",
  eventfd: "eventfd",
  producer: "producer",
  consumer: "irqfd",
  vm: "VM",
  vcpu: "vCPU record",
  route: "route",
  routing: "routing table",
  injection: "injection",
  reference: "reference",
  ioeventfd: "ioeventfd",
  epoll: "epoll",
  watch: "watch",
  device: "device record",
  node: "index node",
};

/**
 * What one audit has seen so far. Nothing that it reads is trusted: a reference is followed only after a look whether it
 * is the place of a record, and each record is followed once, so that no damage can lead it astray or around.
 */
export class View {
  readonly words: Words;
  /** How each record's words are read. */
  readonly fields: FieldReader;
  /** The live records of each pool. */
  readonly live = Object.fromEntries(POOLS.map(({ name }) => [name, [] as number[]])) as Record<
    PoolName,
    number[]
  >;
  /** Entries of the three indexes, by index. */
  readonly producerAt = new Map<number, number>();
  readonly consumerAt = new Map<number, number>();
  readonly linuxEventfdAt = new Map<number, number>();
  /** How many handles each eventfd or epoll has, by whom it is held, and who sleeps on it. */
  readonly handles = new Map<number, number>();
  readonly holds = new Map<number, number>();
  /** How many irqfds wait for a relay that does not run. */
  waiting = 0;
  private readonly findings: Finding[] = [];
  private readonly left: string[] = [];
  /** Eventfds of vectors: an MSI-X table has them, whoever made them. */
  readonly ofVectors = new Set<number>();
  private readonly owners = new Map<number, string>();
  private found = 0;

  constructor(readonly host: BypassHost) {
    this.words = host.words;
    this.fields = new FieldReader(host.words);
  }

  /** How many findings there are. */
  get count(): number {
    return this.found;
  }

  find(kind: FindingKind, subject: string, sentence: string): void {
    this.found += 1;
    if (this.findings.length < MOST)
      this.findings.push({ kind, subject, message: `${subject}: ${sentence}` });
  }

  get result(): Audit {
    const live = Object.fromEntries(POOLS.map(({ name }) => [name, this.live[name].length]));
    return {
      findings: this.findings,
      more: this.found - this.findings.length,
      left: this.left,
      waiting: this.waiting,
      live: live as Record<PoolName, number>,
    };
  }

  /** Records of a pool that were ever handed out, whatever its header says. */
  used(pool: PoolName): number {
    const { used, capacity } = this.host.pools[pool];
    return pool === "thread" || used > capacity ? capacity : Math.max(used, 0);
  }

  /** The number of the record that starts at this word; undefined for what is no record of the pool. */
  slotOf(pool: PoolName, record: number): number | undefined {
    const slot = this.host.pools[pool].slot(record);
    return Number.isInteger(slot) && slot >= 0 && slot < this.used(pool) ? slot : undefined;
  }

  isLive(pool: PoolName, record: number): boolean {
    return this.slotOf(pool, record) !== undefined && this.host.pools[pool].lives(record);
  }

  /** Is this word a gate of a live device? */
  isGate(word: number): boolean {
    const record = this.host.pools.device.around(word);
    return word - record >= Device.gates && this.isLive("device", record);
  }

  /** Is this the first record of an MSI-X table? */
  isMsix(record: number): boolean {
    const { words } = this;
    if (!this.isLive("device", record)) return false;
    return (
      words.get(record + Msix.head) === record && (words.get(record + Msix.flags) & DeviceFlag.table) !== 0
    );
  }

  isAttached(thread: number): boolean {
    if (this.slotOf("thread", thread) === undefined) return false;
    const state = this.words.load(thread + Thread.state);
    return state !== ThreadState.free && (state & ThreadState.lost) === 0;
  }

  /** What a record is called; for what is no record, the word. */
  name(pool: PoolName, record: number): string {
    const slot = this.slotOf(pool, record);
    return slot === undefined ? `word ${record}` : `${NAMES[pool]} ${slot}`;
  }

  /** Does the word of this object name a live record? Reports it if not. */
  names(pool: PoolName, record: number, subject: string, word: string): boolean {
    if (this.isLive(pool, record)) return true;
    this.find(
      "dangling",
      subject,
      `its ${word} is ${this.name(pool, record)}, which is no live ${NAMES[pool]}`,
    );
    return false;
  }

  /** Notes that `owner` owns a live record; false, and a finding, if another does already. */
  own(pool: PoolName, record: number, owner: string): boolean {
    const other = this.owners.get(record);
    if (other === undefined) {
      this.owners.set(record, owner);
      return true;
    }
    this.find("shared", this.name(pool, record), `belongs to ${owner} and to ${other}`);
    return false;
  }

  /** Has it been noted that somebody owns this record? */
  isOwned(record: number): boolean {
    return this.owners.has(record);
  }

  /** Reports the live records of a pool that nobody owns. */
  findUnowned(pool: PoolName, who: string): void {
    for (const record of this.live[pool]) {
      if (!this.owners.has(record)) {
        this.find("unreachable", this.name(pool, record), `it lives, and ${who}`);
      }
    }
  }

  /** Reports a word that is not from `low` to `high`; returns whether it is. */
  within(value: number, low: number, high: number, subject: string, word: string): boolean {
    if (value >= low && value <= high) return true;
    this.find("value", subject, `its ${word} is ${value}, and can be ${low} to ${high}`);
    return false;
  }

  /**
   * The thread that made something: one of this host, and if it has left that is noted, unless a table of MSI-X `has` it; or the table
   * itself.
   */
  madeBy(thread: number, subject: string, has = false): void {
    if (this.isMsix(thread)) return; // no thread's: it goes with the table
    if (thread !== IN_USE && this.slotOf("thread", thread) === undefined)
      this.find("dangling", subject, `its owner is word ${thread}, which is no thread of this host`);
    else if (!has && !this.isAttached(thread)) this.left.push(subject);
  }

  handle(eventfd: number): void {
    this.handles.set(eventfd, (this.handles.get(eventfd) ?? 0) + 1);
  }

  hold(eventfd: number): void {
    this.holds.set(eventfd, (this.holds.get(eventfd) ?? 0) + 1);
  }

  /** Reports a count of handles or holds that is not the number of them. */
  counted(record: number, what: "handles" | "holds", count: number, subject: string): void {
    const there = this[what].get(record) ?? 0;
    if (count !== there) this.find("count", subject, `it counts ${count} ${what}, and there are ${there}`);
  }

  pool(name: PoolName): Pool {
    return this.host.pools[name];
  }
}
