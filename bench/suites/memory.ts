import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Capacity } from "irqbypass/internal/host/capacity.js";
import { Node } from "irqbypass/internal/host/layout.js";
import { HostMemory } from "irqbypass/internal/host/memory.js";
import { MapIndex } from "../baselines/map-index.js";
import { makeRecords } from "../harness/records.js";
import type { Prepare, Suite } from "../harness/suite.js";
import { native } from "./register.js";

const SIZES = [10, 1_000, 10_000, 174_000, 1_000_000];
const WORD = 4;

/** Bytes of shared memory that one more of each takes, by the library's own account. */
function bytesOf(more: Partial<Record<keyof Capacity, number>>): number {
  const many = 1024;
  const base: Record<string, number> = {
    eventfd: many,
    producer: many,
    consumer: many,
    vm: many,
    vcpu: many,
  };
  const grown = { ...base };
  for (const [name, count] of Object.entries(more)) grown[name] = (base[name] ?? 0) + count * many;
  return (HostMemory.bytes(grown) - HostMemory.bytes(base)) / many;
}

const irqbypass: Prepare = ({ n = 1 }) => {
  const { host, consumers, producers, eventfds } = makeRecords(n);
  const { manager, pools } = host;
  const index = () => (pools.node.live * Node.words * WORD) / n;
  for (let i = 0; i < n; i++) manager.registerConsumer(consumers[i]!, eventfds[i]!);
  const consumer = index();
  for (let i = 0; i < n; i++) manager.registerProducer(producers[i]!, eventfds[i]!, 0);
  const pair = index();
  return () => ({
    values: {
      consumer,
      pair,
      records: bytesOf({ eventfd: 1, producer: 1, consumer: 1 }),
      vm: bytesOf({ vm: 1, vcpu: 1 }),
    },
  });
};

const list: Prepare = () => () => ({ values: { consumer: 2 * WORD, pair: 4 * WORD } });

const map: Prepare = ({ n = 1 }) => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  // Many of them, so that a small one is not lost in what else the heap does.
  const copies = Math.ceil(200_000 / n);
  const before = used();
  const maps = Array.from({ length: copies }, () => new MapIndex());
  for (const index of maps) for (let i = 0; i < n; i++) index.fill(i * 16 + 1024, i * 32 + 4096);
  const consumer = (used() - before) / copies / n;
  if (maps[0]?.load(1024) === 0) throw new Error("the map lost an entry");
  return () => ({ values: { consumer, pair: 2 * consumer } });
};

export const memory: Suite = {
  name: "memory",
  about:
    "Bytes of index for each registered consumer and for each pair, with N registered; and what the records themselves take.",
  measures: [
    { key: "consumer", title: "index per consumer", unit: "bytes" },
    { key: "pair", title: "index per pair", unit: "bytes" },
    { key: "records", title: "eventfd, producer, consumer and index", unit: "bytes" },
    { key: "vm", title: "VM with one vCPU", unit: "bytes" },
  ],
  contestants: {
    irqbypass,
    list,
    Map: map,
    "C radix, addresses": native("radix", "address", "memory"),
    "C radix, dense ids": native("radix", "dense", "memory"),
  },
  trials: (quick) =>
    (quick ? [10, 1_000] : SIZES).map((n) => ({
      title: n.toLocaleString("en-US"),
      parameters: { n },
      contestants: ["irqbypass", "list", "Map", "C radix, addresses", "C radix, dense ids"],
    })),
  rounds: 1,
  notes: ["A list keeps two links in each record. Slots of the index are four bytes here, eight in C."],
};
