/** A guest's store to the MSI-X table: entries before and after, all of them or none. Under the table's mutex. */
import type { EventfdContext } from "../../eventfd/context.js";
import { each } from "../../host/each.js";
import type { Brought } from "./bring.js";
import type { MsixConnector } from "./connect.js";
import { follow } from "./end.js";
import { ENTRY_BYTES, type Entry, isMasked, isSame, type Numbered, stored } from "./entry.js";
import { disconnectEach, evenIfRefused } from "./release.js";
import type { MsixTable } from "./table.js";

/** The entries that a store of these bytes changes, as they are after it. What is beyond the table is no part of it. */
export function entriesAfter(table: MsixTable, offset: number, bytes: Uint8Array): Numbered[] {
  const found: Numbered[] = [];
  const end = Math.min(offset + bytes.length, table.count * ENTRY_BYTES);
  for (let at = offset; at < end; ) {
    const number = Math.floor(at / ENTRY_BYTES);
    const next = Math.min(end, (number + 1) * ENTRY_BYTES);
    const own = bytes.subarray(at - offset, next - offset);
    found.push([number, stored(table.entry(number), at % ENTRY_BYTES, own)]);
    at = next;
  }
  return found;
}

/** The entries become these: all of them, or none. The new words of each are one change, of which nobody sees a part. */
export function storeEntries<E extends EventfdContext>(
  table: MsixTable,
  connector: MsixConnector<E>,
  after: readonly Numbered[],
  brought: Brought<E>,
): void {
  const before = new Map(after.map(([number]) => [number, table.entry(number)]));
  const changed = after.filter(([number, entry]) => !isSame(entry, before.get(number)!));
  for (const [number] of changed) table.makeRoom(number);
  const vectors = table.index!.vectors;
  try {
    // Of several, nothing goes by one before it is known that no other is refused.
    for (const [number, entry] of after) if (isMasked(entry) || after.length > 1) vectors[number]!.mask();
    if (table.isOpen) connector.leadAll(after, brought); // where a masked one leads is looked at when it is unmasked
  } catch (error) {
    evenIfRefused(() => follow(table));
    throw error;
  }
  for (const [number, entry] of changed) table.commit(number, entry);
  const open = after.filter(([, entry]) => !isMasked(entry)).map(([number]) => number);
  try {
    if (table.isOpen) disconnectEach(table, othersOf(table, after));
  } finally {
    // Last: what is pending goes where the entry leads now.
    each(open, (number) => unmask(table, number, before.get(number)!));
  }
}

/** What cannot be signalled stays pending, and the vector masked where it was: the entry says so. */
function unmask(table: MsixTable, number: number, before: Entry): void {
  try {
    table.index!.vectors[number]!.unmask();
  } catch (error) {
    if (isMasked(before)) table.commit(number, before);
    throw error;
  }
}

/** Those of these vectors that are to signal and lead to no interrupt: they are connected to nothing. */
export function othersOf(table: MsixTable, entries: readonly Numbered[]): number[] {
  return entries.filter(([, entry]) => !isMasked(entry) && !table.isMessage(entry)).map(([number]) => number);
}
