import { Header, Node, Root } from "../../host/layout.js";
import type { View } from "./view.js";

const SLOTS = Node.words - Node.slots;
const BITS = 6;
/** Six levels of six bits hold an index of 32 bits. */
const MAX_LEVELS = 6;

/** The three xarrays: well formed, no node empty, none higher than it needs to be; what is in them goes into the view. */
export function auditIndexes(view: View): void {
  auditIndex(view, Header.producers, "the index of producers", view.producerAt);
  auditIndex(view, Header.consumers, "the index of irqfds", view.consumerAt);
  auditIndex(view, Header.linuxEventfds, "the index of Linux eventfds", view.linuxEventfdAt);
  view.findUnowned("node", "is in none of the three indexes");
}

function auditIndex(view: View, root: number, name: string, entries: Map<number, number>): void {
  const { words } = view;
  const levels = words.get(root + Root.levels);
  const top = words.get(root + Root.node);
  if (levels < 0 || levels > MAX_LEVELS || (levels === 0) !== (top === 0)) {
    view.find("index", name, `it has ${levels} levels, and its top node is ${view.name("node", top)}`);
    return;
  }
  if (top === 0) return;
  auditNode(view, { name, node: top, parent: 0, offset: 0, level: levels, first: 0 }, entries);
  if (
    levels > 1 &&
    view.isLive("node", top) &&
    words.get(top + Node.count) === 1 &&
    words.get(top + Node.slots) !== 0
  ) {
    view.find("index", name, `it has ${levels} levels, and the top one leads nowhere but down`);
  }
}

interface Place {
  /** The index that the node is in. */
  readonly name: string;
  readonly node: number;
  readonly parent: number;
  readonly offset: number;
  /** Levels from here down. */
  readonly level: number;
  /** The first index below it. */
  readonly first: number;
}

/** One node and what is below it: never deeper than six, and each node once. */
function auditNode(view: View, place: Place, entries: Map<number, number>): void {
  const { words } = view;
  const { name, node, parent, offset, level, first } = place;
  if (!view.names("node", node, name, `node for ${first}`)) return;
  if (!view.own("node", node, name)) return;
  const subject = view.name("node", node);
  if (words.get(node + Node.parent) !== parent || words.get(node + Node.offset) !== offset) {
    view.find(
      "index",
      subject,
      `says that it is in slot ${words.get(node + Node.offset)} of ${view.name("node", words.get(node + Node.parent))}, ` +
        `and is in slot ${offset} of ${parent === 0 ? name : view.name("node", parent)}`,
    );
  }
  const step = 2 ** ((level - 1) * BITS);
  let used = 0;
  for (let slot = 0; slot < SLOTS; slot++) {
    const entry = words.get(node + Node.slots + slot);
    if (entry === 0) continue;
    used += 1;
    const index = first + slot * step;
    if (index >= 2 ** 32) view.find("index", subject, `slot ${slot} is in use, for an index beyond 32 bits`);
    else if (level === 1) entries.set(index, entry);
    else
      auditNode(
        view,
        { name, node: entry, parent: node, offset: slot, level: level - 1, first: index },
        entries,
      );
  }
  const count = words.get(node + Node.count);
  if (count !== used) view.find("index", subject, `counts ${count} slots in use, and ${used} are`);
  if (used === 0) view.find("index", subject, "is empty, and was not given back");
}
