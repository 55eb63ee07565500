import type { Access, Discipline, World } from "atomics-explorer";
import type { Kind } from "#src/bypass/kind.js";
import type { Capacity } from "#src/host/capacity.js";
import { Consumer, Header, POOLS, type PoolName, Rec, Vcpu, Vm } from "#src/host/layout.js";
import type { Platform, WatchableWorker } from "#src/host/platform.js";
import type { Pool } from "#src/host/pool.js";
import {
  DESCRIPTOR_FIELDS,
  type Fields,
  HEADER_FIELDS,
  RECORD_FIELDS,
  type WordClass,
} from "#src/host/word-classes.js";
import { Host } from "#src/vm/host.js";
import { compiledOver } from "./compiled.js";

/** Room for a scenario: what is not needed would only be more memory to set up. */
const CAPACITY: Capacity = {
  thread: 8,
  eventfd: 4,
  producer: 4,
  consumer: 4,
  vm: 2,
  vcpu: 4,
  route: 8,
  routing: 4,
  injection: 2,
  reference: 12,
  node: 66,
};

/**
 * One host in the world's memory, as each of these threads sees it; the first one created it. Its accesses are held to
 * the classes of the layout, and charts name its words.
 */
export function hosts<Name extends string>(
  world: World,
  names: readonly [Name, ...Name[]],
  {
    kinds = [],
    capacity = {},
  }: { readonly kinds?: readonly Kind[]; readonly capacity?: Partial<Capacity> } = {},
): Record<Name, Host> {
  const options = (name: string) => ({
    kinds,
    platform: platformOf(world, name),
    words: (buffer: SharedArrayBuffer, byteOffset: number, length: number) =>
      world.adopt(name, buffer, byteOffset, length),
  });
  const [first, ...others] = names;
  const creator = Host.create({
    ...options(first),
    capacity: { ...CAPACITY, thread: names.length, ...capacity },
  });
  const found = [
    [first, creator] as const,
    ...others.map((name) => [name, Host.attach(creator.handle, options(name))] as const),
  ];
  const module = modules.get(world);
  for (const [, host] of module === undefined ? [] : found)
    host.compiled = compiledOver(() => host.words, host.base, module);
  world.discipline = new HostDiscipline(creator);
  return Object.fromEntries(found) as Record<Name, Host>;
}

/** The module that the hosts of a world run, where that is not the TypeScript. */
const modules = new WeakMap<World, Uint8Array>();

/** From now on `hosts` gives this module to each host of the world: the shipped one, rewritten, or a broken one. */
export function runCompiled(world: World, module: Uint8Array): void {
  modules.set(world, module);
}

/** A platform where no other thread runs at the same time, and threads die as the schedule says. */
function platformOf(world: World, name: string): Platform {
  const thread = world.thread(name);
  return {
    name: "explorer",
    mayBlock: true,
    cores: 0, // more threads than cores: nobody spins before it sleeps
    self: () => ({ pid: 1, tid: thread.index + 1, startTime: 0, worker: 0 }),
    alive: ({ tid }) => thread.alive(tid - 1),
    spawn: () => {
      throw new Error("a scenario starts no threads: name them in `threads`");
    },
    messages: () => () => {},
    leave() {},
    isWorker: (_value): _value is WatchableWorker => false,
    hold: () => () => {},
    every: () => () => {},
  };
}

/** What a word of a host is. */
interface Place {
  readonly pool: PoolName | "header" | "pending";
  readonly record: number;
  readonly name: string;
  readonly wordClass: WordClass | undefined;
}

/** The rules of the layout: which access of which word needs what. */
class HostDiscipline implements Discipline {
  private readonly view: Int32Array;
  private readonly places: (Place | undefined)[] = [];

  constructor(private readonly host: Host) {
    this.view = new Int32Array(host.handle.memory.buffer as SharedArrayBuffer, host.handle.byteOffset);
  }

  name(word: number): string {
    return this.place(word).name;
  }

  isMutex(word: number): boolean {
    const { pool, record } = this.place(word);
    return word === Header.mutex || (pool === "vm" && word === record + Vm.mutex);
  }

  objection(
    access: Access,
    word: number,
    value: number,
    thread: number,
    lastSet: (word: number) => number | undefined,
  ) {
    const place = this.place(word);
    const { wordClass, name, record, pool } = place;
    const atomic = wordClass === "A" || wordClass === "A64";
    if (access === "wide")
      return wordClass === "A64" ? undefined : `${name} is 32 bits wide, and is used as 64`;
    if (access === "read" || access === "change") {
      if (!atomic) return `${name} is guarded, and is used atomically`;
      if (wordClass === "A64") return `${name} is 64 bits wide, and is used as 32`;
      if (access === "read" || pool === "header" || pool === "pending" || pool === "thread") return undefined;
      return this.view[record + Rec.generation]! & 1
        ? undefined
        : `${name} is changed after its record was given back`;
    }
    const locked = this.view[Header.mutex]! >> 1 === thread + 1;
    if (access === "set" && value === 0 && locked) return undefined; // a record that is given back is zeroed whole
    if (wordClass === undefined) return `${name} is in no field of the layout`;
    if (atomic) return `${name} is atomic, and is used plainly`;
    if (wordClass === "C" && (access === "get" || locked)) return undefined;
    // It changes when the record changes hands, which whoever holds a handle to it keeps from happening.
    if (access === "get" && word === record + Rec.generation && pool !== "header") return undefined;
    if (wordClass === "H" && locked) return undefined;
    if (pool === "thread")
      return record === this.host.pools.thread.at(thread) ? undefined : `${name} is another thread's`;
    if (pool === "route" || pool === "routing") return undefined; // of a VM, or of whoever builds or frees the table
    if (wordClass === "V" && this.holdsVm(pool, record, thread)) return undefined;
    if (wordClass === "O" && this.view[record + Vcpu.runner] === this.host.pools.thread.at(thread))
      return undefined;
    // Nobody else knows a record yet that this thread has just taken.
    const generation = record + Rec.generation;
    if (pool !== "header" && pool !== "pending" && lastSet(generation) === this.view[generation])
      return undefined;
    return `${name} is ${access === "get" ? "read" : "written"} without ${KEEPER[wordClass]}`;
  }

  private holdsVm(pool: string, record: number, thread: number): boolean {
    const vm = pool === "consumer" ? this.view[record + Consumer.vm]! : record;
    return this.view[vm + Vm.mutex]! >> 1 === thread + 1;
  }

  private place(word: number): Place {
    this.places[word] ??= this.find(word);
    return this.places[word]!;
  }

  private find(word: number): Place {
    if (word < Header.words) return { pool: "header", record: 0, ...fieldAt(HEADER_FIELDS, word, "") };
    for (const { name: pool } of POOLS) {
      const { base, stride, capacity } = this.host.pools[pool] as Pool;
      if (word < base || word >= base + stride * capacity) continue;
      const slot = Math.floor((word - base) / stride);
      const record = base + slot * stride;
      const at = word - record;
      const inside = pool === "vcpu" && at >= Vcpu.descriptor && at < Vcpu.irr;
      const field = inside
        ? fieldAt(DESCRIPTOR_FIELDS, at - Vcpu.descriptor, `vcpu ${slot} `)
        : fieldAt(RECORD_FIELDS[pool], at, `${pool} ${slot} `);
      return { pool, record, ...field };
    }
    const { base, stride, capacity } = this.host.pools.node;
    return {
      pool: "pending",
      record: 0,
      name: `pending[${word - base - stride * capacity}]`,
      wordClass: "A",
    };
  }
}

const KEEPER: Readonly<Record<WordClass, string>> = {
  A: "",
  A64: "",
  H: "the host mutex",
  V: "the mutex of its VM",
  O: "running the vCPU",
  C: "the host mutex",
};

function fieldAt(
  fields: Fields,
  at: number,
  prefix: string,
): { name: string; wordClass: WordClass | undefined } {
  for (const [name, [start, wordClass, words = 1]] of Object.entries(fields)) {
    if (at < start || at >= start + words) continue;
    return {
      name: prefix + (words > 2 ? `${name}[${at - start}]` : name + (at > start ? "+1" : "")),
      wordClass,
    };
  }
  return { name: `${prefix}+${at}`, wordClass: undefined };
}
