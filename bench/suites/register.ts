import type { Registry } from "../baselines/manager.js";
import { BaselineManager } from "../baselines/manager.js";
import { makeRecords, type Records } from "../harness/records.js";
import { type Native, type Parameters, type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measure, timed } from "../harness/timing.js";

const SIZES = [10, 32, 100, 1_000, 10_000, 174_000, 1_000_000];
const QUICK_SIZES = [10, 1_000, 174_000];

/** Registrations between two looks at the clock; few on a list, where each takes long. */
export function batchOf(n: number, list: boolean): number {
  return Math.max(1, Math.min(n, 128, list ? Math.ceil(1_000_000 / n) : 128));
}

/** Rounds of a manager on which `n` of `records` are registered: the rest come and go. */
function rounds(manager: Registry, { consumers, eventfds }: Records, n: number, ms: number) {
  const end = consumers.length;
  const register = () => {
    for (let i = n; i < end; i++) manager.registerConsumer(consumers[i]!, eventfds[i]!);
  };
  const unregister = () => {
    for (let i = n; i < end; i++) manager.unregisterConsumer(consumers[i]!);
  };
  return () => {
    const [up, down] = measure(ms, end - n, timed(register), timed(unregister));
    return { values: { register: up!, unregister: down! } };
  };
}

const irqbypass: Prepare = (parameters) => {
  const n = parameters.n!;
  const records = makeRecords(n + batchOf(n, false), { producers: false });
  const { manager } = records.host;
  for (let i = 0; i < n; i++) manager.registerConsumer(records.consumers[i]!, records.eventfds[i]!);
  return rounds(manager, records, n, roundMs(parameters));
};

function baseline(make: (records: Records) => BaselineManager, list: boolean): Prepare {
  return (parameters) => {
    const n = parameters.n!;
    const records = makeRecords(n + batchOf(n, list), { producers: false });
    const manager = make(records);
    for (let i = 0; i < n; i++) manager.fillConsumer(records.consumers[i]!, records.eventfds[i]!);
    return rounds(manager, records, n, roundMs(parameters));
  };
}

/** The C manager on an index with keys of one sort. */
export function native(index: "list" | "radix", keys: "address" | "dense", work: string): Native {
  return {
    source: "manager.c",
    arguments: (parameters: Parameters) => [
      ...[index, keys, work, String(parameters.n)],
      ...[String(batchOf(parameters.n!, index === "list")), String(roundMs(parameters))],
    ],
  };
}

export const register: Suite = {
  name: "register",
  about:
    "Registers consumers while N stand registered, then unregisters them: the work whose cost grew with N in the kernel's list.",
  measures: [
    { key: "register", title: "register a consumer", unit: "ns" },
    { key: "unregister", title: "unregister it", unit: "ns" },
  ],
  contestants: {
    irqbypass,
    list: baseline(({ host, extra }) => BaselineManager.onLists(host, extra), true),
    Map: baseline(({ host }) => BaselineManager.onMaps(host), false),
    "C list": native("list", "address", "register"),
    "C radix, addresses": native("radix", "address", "register"),
    "C radix, dense ids": native("radix", "dense", "register"),
  },
  trials: (quick) =>
    (quick ? QUICK_SIZES : SIZES).map((n) => ({
      title: n.toLocaleString("en-US"),
      parameters: { n },
      contestants: ["irqbypass", "list", "Map", "C list", "C radix, addresses", "C radix, dense ids"],
    })),
  notes: [
    "list and Map are managers written for this comparison on the same memory, mutex, records and callbacks; the Map can be used by one thread only.",
    "The C programs hold the same kind of manager. Addresses are kernel-like keys, as the kernel's xarray has them; dense ids are the keys used here. The gain over an xarray with addresses is the choice of key.",
    "At N, as many registrations come and go between two looks at the clock as N allows, 128 at most.",
  ],
};
