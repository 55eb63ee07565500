/** The ends of an MSI-X table, by whichever thread, and what a thread leaves of one that dies in the middle of a store. */
import type { BypassHost } from "../../bypass/bypass-host.js";
import { liveNow } from "../../bypass/live-records.js";
import { each } from "../../host/each.js";
import { Consumer, Device, Msix, MsixState, Reference } from "../../host/layout.js";
import { giveUpAsked } from "../asked-routes.js";
import { isMasked, RESET } from "./entry.js";
import {
  disconnect,
  disconnectAll,
  evenIfRefused,
  irqfdOfVector,
  isWired,
  routedTo,
  unlessGone,
} from "./release.js";
import { type MsixTable, tableAt } from "./table.js";

/** Disabled, every entry as at the start, and nothing pending. Done again, it finishes what a thread has begun that died. Under the table's mutex. */
export function resetTable(table: MsixTable): void {
  const { device, index } = table;
  table.change(MsixState.resetting);
  clear(table);
  unlessGone(() => device?.guard(() => index?.reset()));
  table.change(0, MsixState.resetting);
}

/** The same, but for what is pending. */
function clear(table: MsixTable): void {
  table.change(0, MsixState.enable | MsixState.functionMask);
  disconnectAll(table);
  for (const number of table.known) table.commit(number, RESET);
  follow(table);
}

/** The device's masks are what the table and the control register say. Under the table's mutex. */
export function follow(table: MsixTable): void {
  const { device, index } = table;
  if (device === undefined || index === undefined) return;
  unlessGone(() =>
    device.guard(() => {
      try {
        // One that is refused is masked, and the others follow too.
        each(index.vectors, (vector) => vector.setMask(isMasked(table.entry(vector.number))));
      } finally {
        index.setFunctionMask((table.state & MsixState.functionMask) !== 0);
      }
    }),
  );
}

/**
 * Ends a table, where it is there: whoever has it open finds out, what its vectors are connected to goes, and they stay masked. Blocks
 * for its mutex, and for a store that is under way.
 */
export function endTable(table: MsixTable): void {
  table.mutex.enclose(() => {
    if (!table.isLive()) return;
    table.admit();
    finishTable(table);
  });
}

/** The same for the table in a record whose device has ended. */
export function endLostTable(host: BypassHost, record: number): void {
  const table = tableAt(host, record);
  if (table !== undefined && table.device === undefined) endTable(table);
}

/** The same for all of them: a thread may have died before it ended the table of a device that it ended. */
export function endLostTables(host: BypassHost): void {
  for (const record of liveNow(host, host.pools.device)) endLostTable(host, record);
}

function finishTable(table: MsixTable): void {
  const { host, record, device } = table;
  const { words, mutex, pools, thread } = host;
  thread.begun = true; // the end of something, which nobody can refuse
  table.change(MsixState.ending);
  words.add(record + Msix.life, 1); // it has ended, for whoever looks
  let failure: unknown;
  try {
    clear(table);
  } catch (error) {
    failure = error; // what the system refuses is told in the end
  }
  const [first, ...others] = table.records.reverse();
  for (const one of others) mutex.guard(() => pools.device.release(one));
  mutex.guard(() => {
    if (device?.isLive()) words.store(device.record + Device.table, 0);
    pools.device.release(first!);
  });
  if (failure !== undefined) throw failure;
}

/**
 * Makes whole what the mutex of a table guards, which the caller holds; the thread of the record `gone` did, 0 where that is another one's
 * by now. Returns false where there is no table.
 */
export function healTable(host: BypassHost, record: number, gone: number): boolean {
  const table = tableAt(host, record);
  if (table === undefined) return false;
  host.thread.begun = true;
  if (gone !== 0) giveUpAsked(host, gone); // first: where the route leads does not change any more then
  table.relink();
  table.redo();
  evenIfRefused(() => {
    if (table.state & MsixState.ending) finishTable(table);
    else if (table.device === undefined)
      return; // whoever ended the device, or repairs after that, ends it
    else if (table.state & MsixState.resetting) resetTable(table);
    else settle(table, gone);
  });
  return true;
}

/** A store, or a change of the control register, is undone or done: what only the table's mutex guards says which. */
function settle(table: MsixTable, gone: number): void {
  for (const number of table.known) takeOver(table, number, gone);
  if ((table.state & MsixState.enable) === 0) evenIfRefused(() => disconnectAll(table));
  else {
    for (const number of table.known) {
      if (!isWhole(table, number)) evenIfRefused(() => disconnect(table, number));
      else if (table.isOpen) agree(table, number);
    }
  }
  follow(table);
}

/** What a vector is connected to is the table's, and not the dead thread's: whether that was about to give it, or to take it away. */
function takeOver(table: MsixTable, number: number, gone: number): void {
  const { host, record } = table;
  const { words, mutex } = host;
  const reference = table.reference(number);
  if (reference === 0) return;
  mutex.guard(() => {
    words.set(reference + Reference.owner, record);
    const irqfd = gone === 0 ? 0 : irqfdOfVector(table, number, gone);
    if (irqfd !== 0) words.set(irqfd + Consumer.owner, record);
  });
}

/** Has a vector all that it needs, or nothing? A route that went with the whole table comes back with the guest's next store. */
function isWhole(table: MsixTable, number: number): boolean {
  return table.reference(number) === 0 ? table.route(number) === undefined : isWired(table, number);
}

/** An entry that lets its vector signal says where that leads: the thread may have changed the one, and not the other yet. */
function agree(table: MsixTable, number: number): void {
  const entry = table.entry(number);
  if (isMasked(entry)) return;
  if (!table.isMessage(entry)) {
    evenIfRefused(() => disconnect(table, number));
    return;
  }
  const msi = routedTo(table, number);
  if (msi !== undefined) table.commit(number, [msi.address, msi.addressHigh ?? 0, msi.data, entry[3]]);
}
