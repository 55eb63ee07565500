import { Device, Msix, MsixState, MsixVector, Reference, Role, VECTORS } from "../../host/layout.js";
import type { View } from "./view.js";

const ANY_STATE =
  MsixState.enable | MsixState.functionMask | MsixState.wired | MsixState.resetting | MsixState.ending;

/** An MSI-X table: its device and it lead to each other, each record is in its list once, and each vector's eventfd is its own. */
export function auditMsix(view: View, table: number): void {
  const { words } = view;
  const subject = `MSI-X table ${view.slotOf("device", table)}`;
  const device = words.load(table + Msix.device);
  const isThere =
    view.isLive("device", device) &&
    words.load(device + Device.life) === words.get(table + Msix.deviceLife) &&
    words.load(device + Device.table) === table;
  if (!isThere) view.find("unfinished", subject, "its device has ended, or has another one");
  const state = words.load(table + Msix.state);
  if ((state & ~ANY_STATE) !== 0)
    view.find("value", subject, `its state is 0x${(state >>> 0).toString(16)}, which none can be`);
  if ((state & (MsixState.resetting | MsixState.ending)) !== 0 || words.load(table + Msix.storing) !== 0)
    view.find("unfinished", subject, "a change of it has not come to its end");
  for (let record = table; record !== 0; record = words.get(record + Msix.next)) {
    if (!view.names("device", record, subject, "list of records") || !view.own("device", record, subject))
      return;
    if (words.get(record + Msix.head) !== table)
      view.find("list", subject, `${view.name("device", record)} is in its list, and says that it is not`);
    for (let number = 0; number < VECTORS; number++)
      auditVector(view, table, record + Msix.vectors + number * MsixVector.words, subject);
  }
}

function auditVector(view: View, table: number, vector: number, subject: string): void {
  const { words } = view;
  view.within(words.load(vector + MsixVector.unmasked), 0, 1, subject, "vector's mask");
  if ((words.load(vector + MsixVector.address) & 3) !== 0)
    view.find("value", subject, "the address of a vector has low bits, which none keeps");
  const reference = words.load(vector + MsixVector.reference);
  if (reference === 0 || !view.names("reference", reference, subject, "vector's handle")) return;
  const isIts =
    words.get(reference + Reference.owner) === table && words.get(reference + Reference.role) === Role.handle;
  if (!isIts || !view.own("reference", reference, subject))
    view.find("partner", subject, `${view.name("reference", reference)} is no handle of a vector of it`);
}
