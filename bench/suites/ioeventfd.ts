import { Eventfd, Host, Vm } from "irqbypass";
import { type Prepare, roundMs, type Suite } from "../harness/suite.js";
import { measureBy, processor, timed } from "../harness/timing.js";

const SIZES = [1, 100, 1_000];
const QUICK_SIZES = [1, 1_000];
const BATCH = 1_000;
const BASE = 0xfe00_0000;
/** Four doorbells a page, as the queues of some devices have them. */
const addressOf = (index: number) => BASE + (index >> 2) * 4096 + (index & 3) * 4;
const NOWHERE = 0xfd00_0000;

/** Doorbells for as many eventfds, at 4 bytes each. */
function doorbells(work: "rings" | "misses"): Prepare {
  return (parameters) => {
    const n = parameters.n!;
    const host = Host.create({ capacity: { eventfd: n, ioeventfd: n } });
    const vm = new Vm(host);
    const addresses = Array.from({ length: n }, (_, index) => addressOf(index));
    for (const address of addresses) vm.ioeventfd({ address, length: 4 }, Eventfd.create(host));
    const store = () => {
      for (let i = 0; i < BATCH; i++) vm.write("mmio", work === "rings" ? addresses[i % n]! : NOWHERE, 4, i);
    };
    return () => ({ values: { store: measureBy(processor, roundMs(parameters), BATCH, timed(store))[0]! } });
  };
}

/** What a store cannot do without: the signals alone, to as many eventfds. */
const signals: Prepare = (parameters) => {
  const n = parameters.n!;
  const host = Host.create({ capacity: { eventfd: n } });
  const eventfds = Array.from({ length: n }, () => Eventfd.create(host));
  const signal = () => {
    for (let i = 0; i < BATCH; i++) eventfds[i % n]!.signal();
  };
  return () => ({ values: { store: measureBy(processor, roundMs(parameters), BATCH, timed(signal))[0]! } });
};

const RINGS = "a store that rings";
const ALONE = "eventfd.signal() alone";
const MISSES = "a store that none takes";

export const ioeventfd: Suite = {
  name: "ioeventfd",
  about:
    "An emulator's store to one of a VM's N doorbells, each of which signals an eventfd of its own. In processor time.",
  measures: [{ key: "store", title: "a store", unit: "ns" }],
  contestants: { [RINGS]: doorbells("rings"), [ALONE]: signals, [MISSES]: doorbells("misses") },
  trials: (quick) =>
    (quick ? QUICK_SIZES : SIZES).map((n) => ({
      title: n.toLocaleString("en-US"),
      parameters: { n },
      contestants: [RINGS, ALONE, MISSES],
    })),
  notes: ["The first beside the second is what finding the doorbell and announcing it cost."],
};
