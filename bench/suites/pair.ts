import { BaselineManager, type Registry } from "../baselines/manager.js";
import { makeRecords, type Records } from "../harness/records.js";
import { type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measure, timed } from "../harness/timing.js";
import { batchOf, native } from "./register.js";

const SIZES = [10, 1_000, 10_000, 174_000];
const QUICK_SIZES = [10, 174_000];

function rounds(manager: Registry, records: Records, n: number, ms: number) {
  const { consumers, producers, eventfds } = records;
  const batch = consumers.length - n;
  let random = 1;
  const up = (i: number) => {
    manager.registerConsumer(consumers[i]!, eventfds[i]!);
    manager.registerProducer(producers[i]!, eventfds[i]!, 0);
  };
  const down = (i: number) => {
    manager.unregisterProducer(producers[i]!);
    manager.unregisterConsumer(consumers[i]!);
  };
  const cycle = () => {
    for (let i = n; i < n + batch; i++) {
      up(i);
      down(i);
    }
  };
  const churn = () => {
    for (let k = 0; k < batch; k++) {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      const i = Math.floor((random / 2 ** 32) * n);
      down(i);
      up(i);
    }
  };
  return () => {
    const [pair, churned] = measure(ms, batch, timed(cycle), timed(churn));
    return { values: { pair: pair!, churn: churned! } };
  };
}

const irqbypass: Prepare = (parameters) => {
  const n = parameters.n!;
  const records = makeRecords(n + batchOf(n, false));
  const { consumers, producers, eventfds, host } = records;
  for (let i = 0; i < n; i++) {
    host.manager.registerConsumer(consumers[i]!, eventfds[i]!);
    host.manager.registerProducer(producers[i]!, eventfds[i]!, 0);
  }
  return rounds(host.manager, records, n, roundMs(parameters));
};

function baseline(make: (records: Records) => BaselineManager, list: boolean): Prepare {
  return (parameters) => {
    const n = parameters.n!;
    const records = makeRecords(n + batchOf(n, list));
    const { consumers, producers, eventfds } = records;
    const manager = make(records);
    for (let i = 0; i < n; i++) {
      manager.fillConsumer(consumers[i]!, eventfds[i]!);
      manager.fillProducer(producers[i]!, consumers[i]!, eventfds[i]!);
    }
    return rounds(manager, records, n, roundMs(parameters));
  };
}

export const pair: Suite = {
  name: "pair",
  about:
    "Registers a consumer and a producer, which connects them, and unregisters both, while N pairs stand connected; then the same with one of the N, chosen at random, torn down and set up again.",
  measures: [
    { key: "pair", title: "a new pair comes and goes", unit: "ns" },
    { key: "churn", title: "one of the N goes and comes back", unit: "ns" },
  ],
  contestants: {
    irqbypass,
    list: baseline(({ host, extra }) => BaselineManager.onLists(host, extra), true),
    Map: baseline(({ host }) => BaselineManager.onMaps(host), false),
    "C list": native("list", "address", "pair"),
    "C radix, addresses": native("radix", "address", "pair"),
    "C radix, dense ids": native("radix", "dense", "pair"),
  },
  trials: (quick) =>
    (quick ? QUICK_SIZES : SIZES).map((n) => ({
      title: n.toLocaleString("en-US"),
      parameters: { n },
      contestants: ["irqbypass", "list", "Map", "C list", "C radix, addresses", "C radix, dense ids"],
    })),
};
