import type { World } from "atomics-explorer";
import {
  ANY,
  type Keeper,
  type Naming,
  type Row,
  type State,
  type StateTable,
  WHOLE,
} from "../states/table.js";
import { TABLES } from "../states/tables.js";

/** What the tables ask about a memory and the threads that use it. Threads count from 0, as the explorer has them. */
export interface Scene {
  /** What the layout calls a word: `pool.field`. */
  fieldOf(word: number): string;
  /** What people call it. */
  nameOf(word: number): string;
  /** Whose a word is in that role, undefined where it is nobody's; `before` is what it holds. */
  keeper(who: Keeper, table: StateTable, word: number, before: number): number | undefined;
  /** The thread that this part of a word names, undefined where it is none. */
  named(what: Naming["what"], part: number): number | undefined;
  lives(thread: number): boolean;
  /** Has the record of the word been given back? */
  hasEnded(word: number): boolean;
}

/** What was seen of the tables: changes of packed words, and how many went by each row. */
export class Ledger {
  changes = 0;
  readonly rows = new Map<Row, number>();

  note(row: Row): void {
    this.changes += 1;
    this.rows.set(row, (this.rows.get(row) ?? 0) + 1);
  }
}

interface Use {
  readonly tables: readonly StateTable[];
  readonly ledger: Ledger | undefined;
}
const uses = new WeakMap<World, Use>();

/** From now on the words of this world are held to these tables, for tools that count or that leave something out. */
export function useTables(world: World, tables: readonly StateTable[], ledger?: Ledger): void {
  uses.set(world, { tables, ledger });
}

/** Holds every change of a packed word of this scene to its table, beside the discipline that the world has. */
export function keepTables(world: World, scene: Scene): void {
  const { tables, ledger } = uses.get(world) ?? { tables: TABLES, ledger: undefined };
  const transitions = new Transitions(tables, scene, ledger);
  const { discipline } = world;
  if (discipline === undefined) throw new Error("make the memory before its tables are kept");
  discipline.transition = (...change) => transitions.objection(...change);
}

/** Tables, over one scene. */
class Transitions {
  private readonly tables: readonly Held[];
  /** By word, once it was looked at; none where it is no packed word. */
  private readonly found = new Map<number, readonly Held[]>();

  constructor(
    tables: readonly StateTable[],
    private readonly scene: Scene,
    private readonly ledger: Ledger | undefined,
  ) {
    this.tables = tables.map((table) => new Held(table));
  }

  objection(thread: number, word: number, before: number, after: number): string | undefined {
    let tables = this.found.get(word);
    if (tables === undefined) {
      tables = this.find(word);
      this.found.set(word, tables);
    }
    let about = 0;
    for (const held of tables) {
      about |= held.bits;
      if (((before ^ after) & held.bits) === 0 && held.bits !== WHOLE) continue;
      const objection = this.objectionOf(held, thread, word, before, after);
      if (objection !== undefined) return objection;
    }
    if (tables.length > 0 && ((before ^ after) & ~about) !== 0)
      return `${this.scene.nameOf(word)} goes from ${hex(before)} to ${hex(after)}: no table is about all of these bits`;
    return undefined;
  }

  private objectionOf(
    held: Held,
    thread: number,
    word: number,
    before: number,
    after: number,
  ): string | undefined {
    const { table } = held;
    const [from, to] = [held.stateOf(before), held.stateOf(after)];
    const rows = held
      .rowsOf(from, to)
      .filter(
        (row) =>
          (row.from !== ANY || this.scene.hasEnded(word)) &&
          this.names(row, table, before, after, thread) &&
          this.is(row, table, thread, word, before),
      );
    if (rows.length !== 1) {
      const [old, now] = [held.names[from] ?? hex(before), held.names[to] ?? hex(after)];
      const who = KEEPERS.filter((one) => this.scene.keeper(one, table, word, before) === thread);
      const allow = rows.length === 0 ? ["no row", "allows"] : [`${rows.length} rows`, "allow"];
      return (
        `${this.scene.nameOf(word)} goes from ${old} to ${now} by ${who.join(" and ") || "another thread"}: ` +
        `${allow[0]} of the table of the ${table.name} ${allow[1]} it`
      );
    }
    this.ledger?.note(rows[0]!);
    return undefined;
  }

  private is({ who }: Row, table: StateTable, thread: number, word: number, before: number): boolean {
    if (who === "anyone") return true;
    if (who !== "repairer") return this.scene.keeper(who, table, word, before) === thread;
    const keeper = this.scene.keeper(table.keeper, table, word, before);
    return keeper !== undefined && keeper !== thread && !this.scene.lives(keeper);
  }

  private names({ names }: Row, table: StateTable, before: number, after: number, thread: number): boolean {
    if (names === undefined || table.names === undefined) return true;
    const { what, mask, shift } = table.names;
    const [old, now] = [(before & mask) >>> shift, (after & mask) >>> shift];
    if (names === "same") return now === old;
    if (names === "previous") return now === old - 1;
    return names === "next" ? now === old + 1 : this.scene.named(what, now) === thread;
  }

  private find(word: number): readonly Held[] {
    const field = this.scene.fieldOf(word);
    const anywhere = field.startsWith("thread.") ? undefined : `*${field.slice(field.indexOf("."))}`;
    return this.tables.filter(({ table }) => table.words.some((one) => one === field || one === anywhere));
  }
}

/** A table made ready: it is asked about every change of every scenario. States are numbered in their order, -1 is none. */
class Held {
  readonly names: readonly string[];
  readonly bits: number;
  private readonly states: readonly State[];
  /** By the state before and the state after. */
  private readonly rows: readonly (readonly Row[])[];

  constructor(readonly table: StateTable) {
    this.bits = table.bits ?? WHOLE;
    this.names = Object.keys(table.states);
    this.states = Object.values(table.states);
    this.rows = this.names.flatMap((from) =>
      this.names.map((to) =>
        table.rows.filter((row) => (row.from === from || row.from === ANY) && row.to === to),
      ),
    );
  }

  stateOf(value: number): number {
    return this.states.findIndex((state) => (value & this.bits & state.mask) === state.value);
  }

  rowsOf(from: number, to: number): readonly Row[] {
    return from < 0 || to < 0 ? [] : this.rows[from * this.states.length + to]!;
  }
}

const KEEPERS: readonly Keeper[] = ["holder", "runner", "owner"];
const hex = (value: number) => `0x${(value >>> 0).toString(16)}`;
