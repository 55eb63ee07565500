/**
 * A guest's routing table as KVM takes it (struct kvm_irq_routing): straight from the one in shared memory, whose words are the same.
 */
import { MAX_GSI, Route, Routing } from "../host/layout.js";
import type { Words } from "../host/words.js";

/** Words of a struct kvm_irq_routing_entry: GSI, type, flags, padding, and eight of what it is. */
const ENTRY_WORDS = 12;

/** All of it: the number of entries, flags, and the entries. The type's numbers are KVM's, too. Under the VM's mutex. */
export function encodeTable(words: Words, table: number): Uint32Array {
  const count = words.get(table + Routing.count);
  const encoded = new Uint32Array(2 + count * ENTRY_WORDS);
  encoded[0] = count;
  let at = 2;
  for (let gsi = 0; gsi < MAX_GSI && at < encoded.length; gsi++) {
    for (
      let route = words.get(table + Routing.gsi + gsi);
      route !== 0;
      route = words.get(route + Route.next)
    ) {
      encoded[at] = gsi;
      encoded[at + 1] = words.get(route + Route.type);
      encoded[at + 4] = words.get(route + Route.a);
      encoded[at + 5] = words.get(route + Route.b);
      encoded[at + 6] = words.get(route + Route.c);
      at += ENTRY_WORDS;
    }
  }
  return encoded;
}
