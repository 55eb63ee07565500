import { Header, POOLS, type PoolName, Rec } from "../../host/layout.js";
import { POOL_STATE_WORDS } from "../../host/pool.js";
import type { View } from "./view.js";

/**
 * The pools: a record that was ever handed out lives, or is on the free list, zeroed. Those never handed out are not
 * looked at: nobody has written to them, and a look would make the system give them memory.
 */
export function auditPools(view: View): void {
  POOLS.forEach(({ name }, index) => {
    if (name === "thread") auditThreadPool(view, index);
    else auditPool(view, name, Header.pools + index * POOL_STATE_WORDS);
  });
}

/** Threads are claimed by their state word: their pool's own words stay 0. */
function auditThreadPool(view: View, index: number): void {
  for (let word = 0; word < POOL_STATE_WORDS; word++) {
    const value = view.words.get(Header.pools + index * POOL_STATE_WORDS + word);
    if (value !== 0)
      view.find("pool", "the pool of threads", `its state word ${word} is ${value}, and is not used`);
  }
  const { capacity } = view.pool("thread");
  for (let slot = 0; slot < capacity; slot++) auditStray(view, "thread", view.pool("thread").at(slot));
}

function auditPool(view: View, name: PoolName, state: number): void {
  const pool = view.pool(name);
  const subject = `the pool of ${name} records`;
  const sound = pool.used >= 0 && pool.used <= pool.capacity;
  if (!sound) {
    view.find("pool", subject, `${pool.used} records were handed out, and it has ${pool.capacity}`);
  }
  const used = view.used(name);
  const free = freeList(view, name, view.words.get(state), subject);
  for (let slot = 0; slot < used; slot++) {
    const record = pool.at(slot);
    if (pool.lives(record)) {
      view.live[name].push(record);
      auditLive(view, name, record);
    } else if (sound && free[slot] === 0) {
      view.find(
        "pool",
        view.name(name, record),
        "was given back and is not on the free list: nobody gets it again",
      );
    }
  }
  const live = view.live[name].length;
  if (pool.live !== live) view.find("pool", subject, `it counts ${pool.live} live records, and ${live} live`);
}

/** Walks the free list; returns which records are on it. */
function freeList(view: View, name: PoolName, head: number, subject: string): Uint8Array {
  const { words } = view;
  const pool = view.pool(name);
  const found = new Uint8Array(view.used(name));
  for (let record = head; record !== 0; record = words.get(record + Rec.link)) {
    const slot = view.slotOf(name, record);
    if (slot === undefined) {
      view.find("pool", subject, `its free list leads to word ${record}, which is none of its records`);
      break;
    }
    if (found[slot] !== 0) {
      view.find("pool", subject, `its free list goes in a circle, through ${view.name(name, record)}`);
      break;
    }
    found[slot] = 1;
    if (pool.lives(record)) {
      // Its second word is not a link then, so the rest of the list cannot be told from it.
      view.find("pool", view.name(name, record), "lives, and is on the free list");
      break;
    }
    const at = view.fields.firstUsed(name, record);
    if (at !== undefined) {
      view.find(
        "pool",
        view.name(name, record),
        `was given back, and its word ${at} is not 0: whoever gets it finds that there`,
      );
    }
  }
  return found;
}

function auditLive(view: View, name: PoolName, record: number): void {
  const link = view.words.get(record + Rec.link);
  // A node that lives keeps its parent there.
  if (name !== "node" && link !== 0) {
    view.find("pool", view.name(name, record), `lives, and is linked to word ${link} as if it were free`);
  }
  auditStray(view, name, record);
}

function auditStray(view: View, name: PoolName, record: number): void {
  const at = view.fields.firstStray(name, record);
  if (at === undefined) return;
  const value = view.words.get(record + at);
  view.find("value", view.name(name, record), `its word ${at} has no meaning, and holds ${value}`);
}
