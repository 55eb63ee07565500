import type { Subject } from "atomics-explorer";
import type { Row, StateTable } from "../states/table.js";
import { TABLES } from "../states/tables.js";
import { type Ledger, useTables } from "./transitions.js";

/** The same scenario, which notes in `ledger` by which rows of `tables` its words change. A twin is not held to them. */
export function noting(subject: Subject, ledger: Ledger, tables: readonly StateTable[] = TABLES): Subject {
  return {
    ...subject,
    setup(world) {
      useTables(world, tables, ledger);
      return subject.setup(world);
    },
  };
}

/** A row as people read it. */
export function rowText({ name }: StateTable, { from, to, who, does }: Row): string {
  return `${name}: ${from} -> ${to}, ${who}: ${does}`;
}

/** What is wrong with the rows after all scenarios have run: those that none takes, and those that one takes after all. */
export function rowFaults(tables: readonly StateTable[], { rows }: Ledger): string[] {
  return tables.flatMap((table) =>
    table.rows.flatMap((row) => {
      if (rows.has(row) === "shown" in row) return [];
      return "shown" in row
        ? `${rowText(table, row)}: no scenario takes this row: show it in one, say why none can, or delete it`
        : `${rowText(table, row)}: a scenario takes this row, and it says that none does: name one that shows it`;
    }),
  );
}

/** How much of the tables the scenarios have shown, in one line. */
export function coverageText(tables: readonly StateTable[], { rows, changes }: Ledger): string {
  const words = tables.reduce((sum, table) => sum + table.words.length, 0);
  const all = tables.reduce((sum, table) => sum + table.rows.length, 0);
  return (
    `${tables.length} tables of ${words} packed words: ${rows.size} of ${all} rows taken, ${all - rows.size} not, ` +
    `for a reason that they state; ${changes.toLocaleString("en")} changes of such words, each by a row\n`
  );
}
