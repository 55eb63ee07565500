import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Eventfd, IRQ_INDEXES, type IrqSet, VfioPciDevice } from "irqbypass";
import { closedEventfd, counts, refused, smallHost, withEventfds } from "./support.js";

/** A device with everything, eventfds for it, and what a row of a table needs. */
class Bench {
  readonly host;
  readonly eventfds: Eventfd[];
  readonly device: VfioPciDevice;

  constructor() {
    const { host, eventfds } = withEventfds(6);
    this.host = host;
    this.eventfds = eventfds;
    this.device = new VfioPciDevice(host, { intx: true, msi: 4, msix: 4 });
  }

  /** Enables an index with two triggers (INTx: one), eventfds 0 and 1. */
  enable(index: "intx" | "msi" | "msix"): void {
    const eventfds = this.eventfds.slice(0, index === "intx" ? 1 : 2);
    const count = eventfds.length;
    this.device.setIrqs({ index, start: 0, count, action: "trigger", data: "eventfd", eventfds });
  }

  dispose(): void {
    this.device.dispose();
    this.host.dispose();
  }
}

/** Anything a caller in plain JavaScript may pass. */
const untyped = (set: object): IrqSet => set as IrqSet;

describe("every call is checked before anything is done (facts 3.2)", () => {
  const good = { index: "msix", start: 0, count: 1, action: "trigger", data: "none" };
  const cases: [name: string, set: object][] = [
    ["no object", null as unknown as object],
    ["unknown index", { ...good, index: "msi-x" }],
    ["index by number beyond the last", { ...good, index: 5 }],
    ["index named like an inherited property", { ...good, index: "constructor" }],
    ["start at the end", { ...good, start: 4 }],
    ["start at the end, count 0", { ...good, start: 4, count: 0 }],
    ["range beyond the end", { ...good, start: 3, count: 2 }],
    ["negative start", { ...good, start: -1 }],
    ["negative count", { ...good, count: -1 }],
    ["fractional start", { ...good, start: 0.5 }],
    ["missing count", { ...good, count: undefined }],
    ["start + count wraps to 0 in 32 bits (D9)", { ...good, start: 1, count: 2 ** 32 - 1 }],
    ["count 2^32-1 (D9)", { ...good, count: 2 ** 32 - 1, data: "eventfd", eventfds: [] }],
    ["count beyond any number (D9)", { ...good, count: Number.MAX_SAFE_INTEGER, data: "bool", values: [] }],
    ["infinite count (D9)", { ...good, count: Infinity }],
    ["no action", { ...good, action: undefined }],
    ["unknown action", { ...good, action: "fire" }],
    ["no data type", { ...good, data: undefined }],
    ["unknown data type", { ...good, data: "bytes" }],
    ["bool without values", { ...good, data: "bool" }],
    ["fewer values than count", { ...good, count: 2, data: "bool", values: [true] }],
    ["values that are no booleans", { ...good, data: "bool", values: [1] }],
    ["eventfd without eventfds", { ...good, data: "eventfd" }],
    ["fewer eventfds than count", { ...good, count: 2, data: "eventfd", eventfds: [null] }],
    ["an eventfd that is a number", { ...good, data: "eventfd", eventfds: [7] }],
    ["an eventfd that is undefined", { ...good, data: "eventfd", eventfds: [undefined] }],
  ];
  for (const [name, set] of cases) {
    it(`${name}: EINVAL`, () => {
      const bench = new Bench();
      bench.enable("msix");
      const before = bench.host.interrupts();
      refused("EINVAL", () => bench.device.setIrqs(untyped(set)));
      assert.deepEqual(
        bench.host.interrupts().map(({ eventfd }) => eventfd),
        before.map(({ eventfd }) => eventfd),
      );
      assert.deepEqual(counts(bench.eventfds), [0, 0, 0, 0, 0, 0]);
      bench.dispose();
    });
  }

  it("an index that the device does not have: EINVAL for every index, also to disable it", () => {
    const { host } = withEventfds(0);
    const device = new VfioPciDevice(host, { pcie: false });
    for (const index of ["intx", "msi", "msix", "err"] as const) {
      refused("EINVAL", () => device.setIrqs({ index, start: 0, count: 0, action: "trigger", data: "none" }));
    }
    device.dispose();
    host.dispose();
  });

  it("more elements than count are allowed, and not looked at", () => {
    const bench = new Bench();
    const [eventfd] = bench.eventfds;
    const extra = [eventfd!, closedEventfd(bench.host)];
    bench.device.setIrqs({
      index: "msix",
      start: 0,
      count: 1,
      action: "trigger",
      data: "eventfd",
      eventfds: extra,
    });
    bench.device.vector("msix", 0).signal();
    assert.equal(eventfd!.count, 1n);
    bench.dispose();
  });

  it("an eventfd of another host: EXDEV", () => {
    const bench = new Bench();
    const other = withEventfds(1);
    const error = refused("EXDEV", () => bench.device.setTrigger("msix", 0, other.eventfds[0]!));
    assert.match(error.message, /another host/);
    bench.dispose();
    other.host.dispose();
  });

  it("a malformed call is EINVAL even where the action is one that the index does not know", () => {
    const bench = new Bench();
    refused("EINVAL", () =>
      bench.device.setIrqs({ index: "msix", start: 4, count: 1, action: "mask", data: "none" }),
    );
    refused("EINVAL", () =>
      bench.device.setIrqs({ index: "msix", start: 0, count: 1, action: "mask", data: "bool", values: [] }),
    );
    bench.dispose();
  });

  it("after dispose: EBADF", () => {
    const bench = new Bench();
    bench.dispose();
    refused("EBADF", () => bench.device.disable("msix"));
    refused("EBADF", () => bench.device.irqInfo("msix"));
    bench.device.dispose();
  });
});

type State = "off" | "intx" | "msi" | "msix" | "err" | "req";

/**
 * One cell of the table of facts 3.3. `set` is what is passed beside the index; eventfds are numbers of the bench's,
 * "closed" or null. `fired` lists the eventfds that are signalled by the call.
 */
interface Cell {
  readonly name: string;
  readonly index: (typeof IRQ_INDEXES)[number];
  readonly state: State;
  readonly set: Record<string, unknown> & { fds?: (number | null | "closed")[] };
  readonly result: 0 | "EINVAL" | "ENOTTY" | "EBADF" | "EBUSY";
  readonly fired?: number[];
  readonly after?: (bench: Bench) => void;
}

const one = { start: 0, count: 1 };
const none = { ...one, data: "none" };
const bool = (value: boolean) => ({ ...one, data: "bool", values: [value] });
const fd = (...fds: (number | null | "closed")[]) => ({ start: 0, count: fds.length, data: "eventfd", fds });
const empty = { start: 0, count: 0 };
const isMasked = (masked: boolean) => (bench: Bench) => assert.equal(bench.device.intx.masked, masked);
const isEnabled = (enabled: boolean) => (bench: Bench) => assert.equal(bench.device.intx.enabled, enabled);

/** Does signalling vector `number` reach eventfd `target` (null: nothing)? */
const vectorSignals = (index: "msi" | "msix", number: number, target: number | null) => (bench: Bench) => {
  const before = counts(bench.eventfds);
  bench.device.vector(index, number).signal();
  const after = counts(bench.eventfds);
  const reached = after.flatMap((count, i) => (count > before[i]! ? [i] : []));
  assert.deepEqual(reached, target === null ? [] : [target]);
};

const mask = (set: object) => ({ action: "mask", ...set });
const unmask = (set: object) => ({ action: "unmask", ...set });
const trigger = (set: object) => ({ action: "trigger", ...set });

const cells: Cell[] = [
  // MASK and UNMASK are for INTx only
  ...(["msi", "msix", "err", "req"] as const).flatMap((index): Cell[] =>
    [mask(none), mask(bool(true)), mask(fd(2)), unmask(none), unmask(bool(true)), unmask(fd(2))].map(
      (set) => ({
        name: `${set.action}, ${"data" in set ? String(set.data) : ""}`,
        index,
        state: index,
        set,
        result: "ENOTTY",
      }),
    ),
  ),
  // INTx MASK
  { name: "mask, none", index: "intx", state: "intx", set: mask(none), result: 0, after: isMasked(true) },
  {
    name: "mask, true",
    index: "intx",
    state: "intx",
    set: mask(bool(true)),
    result: 0,
    after: isMasked(true),
  },
  {
    name: "mask, false",
    index: "intx",
    state: "intx",
    set: mask(bool(false)),
    result: 0,
    after: isMasked(false),
  },
  { name: "mask, eventfd", index: "intx", state: "intx", set: mask(fd(1)), result: "ENOTTY" },
  { name: "mask, closed eventfd", index: "intx", state: "intx", set: mask(fd("closed")), result: "ENOTTY" },
  {
    name: "mask, count 0",
    index: "intx",
    state: "intx",
    set: mask({ ...empty, data: "none" }),
    result: "EINVAL",
  },
  { name: "mask while off", index: "intx", state: "off", set: mask(none), result: "EINVAL" },
  { name: "mask while off, eventfd", index: "intx", state: "off", set: mask(fd(1)), result: "EINVAL" },
  { name: "mask while MSI-X is on", index: "intx", state: "msix", set: mask(none), result: "EINVAL" },
  // INTx UNMASK
  {
    name: "unmask, none",
    index: "intx",
    state: "intx",
    set: unmask(none),
    result: 0,
    after: isMasked(false),
  },
  { name: "unmask, true", index: "intx", state: "intx", set: unmask(bool(true)), result: 0 },
  { name: "unmask, false", index: "intx", state: "intx", set: unmask(bool(false)), result: 0 },
  { name: "unmask, eventfd", index: "intx", state: "intx", set: unmask(fd(1)), result: 0 },
  { name: "unmask, no eventfd", index: "intx", state: "intx", set: unmask(fd(null)), result: 0 },
  { name: "unmask, closed", index: "intx", state: "intx", set: unmask(fd("closed")), result: "EBADF" },
  {
    name: "unmask, count 0",
    index: "intx",
    state: "intx",
    set: unmask({ ...empty, data: "none" }),
    result: "EINVAL",
  },
  { name: "unmask while off", index: "intx", state: "off", set: unmask(none), result: "EINVAL" },
  { name: "unmask while off, eventfd", index: "intx", state: "off", set: unmask(fd(1)), result: "EINVAL" },
  // INTx TRIGGER
  {
    name: "disable",
    index: "intx",
    state: "intx",
    set: trigger({ ...empty, data: "none" }),
    result: 0,
    after: isEnabled(false),
  },
  {
    name: "disable while off",
    index: "intx",
    state: "off",
    set: trigger({ ...empty, data: "none" }),
    result: "EINVAL",
  },
  {
    name: "count 0, bool",
    index: "intx",
    state: "intx",
    set: trigger({ ...bool(true), count: 0 }),
    result: "EINVAL",
  },
  { name: "count 0, eventfd", index: "intx", state: "intx", set: trigger(fd()), result: "EINVAL" },
  { name: "loopback, none", index: "intx", state: "intx", set: trigger(none), result: 0, fired: [0] },
  { name: "loopback, true", index: "intx", state: "intx", set: trigger(bool(true)), result: 0, fired: [0] },
  { name: "loopback, false", index: "intx", state: "intx", set: trigger(bool(false)), result: 0, fired: [] },
  { name: "loopback while off", index: "intx", state: "off", set: trigger(none), result: "EINVAL" },
  {
    name: "loopback while off, bool",
    index: "intx",
    state: "off",
    set: trigger(bool(true)),
    result: "EINVAL",
  },
  { name: "enable", index: "intx", state: "off", set: trigger(fd(2)), result: 0, after: isEnabled(true) },
  {
    name: "enable without trigger",
    index: "intx",
    state: "off",
    set: trigger(fd(null)),
    result: 0,
    after: isEnabled(true),
  },
  {
    name: "enable, closed",
    index: "intx",
    state: "off",
    set: trigger(fd("closed")),
    result: "EBADF",
    after: isEnabled(false),
  },
  {
    name: "replace",
    index: "intx",
    state: "intx",
    set: trigger(fd(2)),
    result: 0,
    after: ({ device, eventfds }) => {
      device.intx.assert();
      assert.deepEqual(counts(eventfds).slice(0, 3), [0, 0, 1]);
    },
  },
  {
    name: "replace, closed: the old one stays (as in the kernel)",
    index: "intx",
    state: "intx",
    set: trigger(fd("closed")),
    result: "EBADF",
    after: ({ device, eventfds }) => {
      device.intx.assert();
      assert.equal(eventfds[0]!.count, 1n);
    },
  },
  {
    name: "clear the trigger",
    index: "intx",
    state: "intx",
    set: trigger(fd(null)),
    result: 0,
    after: ({ device, eventfds }) => {
      device.intx.assert();
      assert.equal(device.intx.enabled, true);
      assert.equal(eventfds[0]!.count, 0n);
    },
  },
  { name: "enable while MSI is on", index: "intx", state: "msi", set: trigger(fd(2)), result: "EINVAL" },
  { name: "enable while MSI-X is on", index: "intx", state: "msix", set: trigger(fd(2)), result: "EINVAL" },
  // ERR and REQ
  ...(["err", "req"] as const).flatMap((index): Cell[] => [
    {
      name: "drop",
      index,
      state: index,
      set: trigger({ ...empty, data: "none" }),
      result: 0,
      after: ({ device, eventfds }) => {
        device.reportError();
        device.requestRelease();
        assert.equal(eventfds[0]!.count, 0n);
      },
    },
    {
      name: "drop without trigger",
      index,
      state: "off",
      set: trigger({ ...empty, data: "none" }),
      result: "EINVAL",
    },
    { name: "loopback, none", index, state: index, set: trigger(none), result: 0, fired: [0] },
    { name: "loopback, none, without trigger", index, state: "off", set: trigger(none), result: "EINVAL" },
    { name: "loopback, true", index, state: index, set: trigger(bool(true)), result: 0, fired: [0] },
    { name: "loopback, false", index, state: index, set: trigger(bool(false)), result: 0, fired: [] },
    {
      name: "loopback, true, without trigger",
      index,
      state: "off",
      set: trigger(bool(true)),
      result: 0,
      fired: [],
    },
    {
      name: "count 0, bool",
      index,
      state: index,
      set: trigger({ ...bool(true), count: 0 }),
      result: "EINVAL",
    },
    { name: "count 0, eventfd", index, state: index, set: trigger(fd()), result: "EINVAL" },
    {
      name: "set",
      index,
      state: "off",
      set: trigger(fd(3)),
      result: 0,
      after: ({ device, eventfds }) => {
        index === "err" ? device.reportError() : device.requestRelease();
        assert.equal(eventfds[3]!.count, 1n);
      },
    },
    {
      name: "replace",
      index,
      state: index,
      set: trigger(fd(3)),
      result: 0,
      after: ({ device, eventfds }) => {
        index === "err" ? device.reportError() : device.requestRelease();
        assert.deepEqual([eventfds[0]!.count, eventfds[3]!.count], [0n, 1n]);
      },
    },
    {
      name: "replace, closed: the old one stays",
      index,
      state: index,
      set: trigger(fd("closed")),
      result: "EBADF",
      after: ({ device, eventfds }) => {
        index === "err" ? device.reportError() : device.requestRelease();
        assert.equal(eventfds[0]!.count, 1n);
      },
    },
    { name: "-1 drops", index, state: index, set: trigger(fd(null)), result: 0 },
    { name: "-1 without trigger", index, state: "off", set: trigger(fd(null)), result: 0 },
    { name: "count 2", index, state: index, set: trigger({ ...none, count: 2 }), result: "EINVAL" },
  ]),
  // MSI and MSI-X
  ...(["msi", "msix"] as const).flatMap((index): Cell[] => [
    {
      name: "disable",
      index,
      state: index,
      set: trigger({ ...empty, data: "none" }),
      result: 0,
      after: vectorSignals(index, 0, null),
    },
    {
      name: "disable while off",
      index,
      state: "off",
      set: trigger({ ...empty, data: "none" }),
      result: "EINVAL",
    },
    {
      name: "disable while INTx is on",
      index,
      state: "intx",
      set: trigger({ ...empty, data: "none" }),
      result: "EINVAL",
      after: isEnabled(true),
    },
    {
      name: "loopback, one",
      index,
      state: index,
      set: trigger({ ...none, start: 1 }),
      result: 0,
      fired: [1],
    },
    {
      name: "loopback skips missing vectors",
      index,
      state: index,
      set: trigger({ ...none, count: 4 }),
      result: 0,
      fired: [0, 1],
    },
    {
      name: "loopback, bool",
      index,
      state: index,
      set: trigger({ start: 0, count: 4, data: "bool", values: [false, true, true, false] }),
      result: 0,
      fired: [1],
    },
    { name: "loopback while off", index, state: "off", set: trigger(none), result: "EINVAL" },
    { name: "loopback while off, bool", index, state: "off", set: trigger(bool(true)), result: "EINVAL" },
    {
      name: "enable",
      index,
      state: "off",
      set: trigger(fd(2, 3)),
      result: 0,
      after: vectorSignals(index, 1, 3),
    },
    {
      name: "enable without triggers",
      index,
      state: "off",
      set: trigger(fd(null, null)),
      result: 0,
      after: ({ device }) => {
        device.disable(index);
      },
    },
    { name: "enable with nothing", index, state: "off", set: trigger(fd()), result: "EINVAL" },
    {
      name: "no vectors while on",
      index,
      state: index,
      set: trigger(fd()),
      result: 0,
      after: vectorSignals(index, 0, 0),
    },
    {
      name: "replace",
      index,
      state: index,
      set: trigger(fd(2)),
      result: 0,
      after: vectorSignals(index, 0, 2),
    },
    {
      name: "take one away",
      index,
      state: index,
      set: trigger({ ...fd(null), start: 1 }),
      result: 0,
      after: vectorSignals(index, 1, null),
    },
    {
      name: "closed, while off",
      index,
      state: "off",
      set: trigger(fd(2, "closed")),
      result: "EBADF",
      after: ({ device }) => {
        refused("EINVAL", () => device.disable(index));
      },
    },
    {
      name: "enable while INTx is on",
      index,
      state: "intx",
      set: trigger(fd(2)),
      result: "EINVAL",
      after: isEnabled(true),
    },
    { name: "loopback while INTx is on", index, state: "intx", set: trigger(none), result: "EINVAL" },
    {
      name: "while the other MSI index is on",
      index,
      state: index === "msi" ? "msix" : "msi",
      set: trigger(fd(2)),
      result: "EINVAL",
      after: vectorSignals(index === "msi" ? "msix" : "msi", 0, 0),
    },
  ]),
];

describe("every cell of the table of actions and data types (facts 3.3)", () => {
  for (const { name, index, state, set, result, fired, after } of cells) {
    it(`${index} ${name}${state === index ? "" : ` (${state})`}: ${result}`, () => {
      const bench = new Bench();
      if (state === "err" || state === "req") bench.device.setTrigger(state, 0, bench.eventfds[0]!);
      else if (state !== "off") bench.enable(state);
      const { fds, ...rest } = set;
      const eventfds = fds?.map((one) =>
        typeof one === "number" ? bench.eventfds[one]! : one === null ? null : closedEventfd(bench.host),
      );
      const call = () => bench.device.setIrqs(untyped({ index, ...rest, ...(eventfds && { eventfds }) }));
      if (typeof result === "string") refused(result, call);
      else assert.equal(call(), result);
      const expected = bench.eventfds.map((_, i) => (fired?.includes(i) === true ? 1 : 0));
      assert.deepEqual(counts(bench.eventfds), expected);
      after?.(bench);
      bench.dispose();
    });
  }

  it("has a cell for every index with every action and data type", () => {
    for (const index of IRQ_INDEXES) {
      for (const action of ["mask", "unmask", "trigger"]) {
        for (const data of ["none", "bool", "eventfd"]) {
          const found = cells.some(
            (cell) => cell.index === index && cell.set.action === action && cell.set.data === data,
          );
          assert.ok(found, `${index} ${action} ${data}`);
        }
      }
    }
  });
});

describe("what an index is like (VFIO_DEVICE_GET_IRQ_INFO)", () => {
  it("tells counts and flags", () => {
    const { host } = withEventfds(0);
    const device = new VfioPciDevice(host, { intx: true, msi: 8, msix: 2048 });
    const flags = { eventfd: true, maskable: false, automasked: false, noresize: true };
    assert.deepEqual(device.irqInfo("intx"), {
      ...flags,
      count: 1,
      maskable: true,
      automasked: true,
      noresize: false,
    });
    assert.deepEqual(device.irqInfo("msi"), { ...flags, count: 8 });
    assert.deepEqual(device.irqInfo("msix"), { ...flags, count: 2048, noresize: false });
    assert.deepEqual(device.irqInfo("err"), { ...flags, count: 1 });
    assert.deepEqual(device.irqInfo("req"), { ...flags, count: 1 });
    device.dispose();
    host.dispose();
  });

  it("tells noresize for MSI-X without dynamic vectors, counts of 0, and EINVAL for what is not there", () => {
    const { host } = withEventfds(0);
    const device = new VfioPciDevice(host, { msix: 1, dynamicMsix: false, pcie: false });
    assert.equal(device.irqInfo("msix").noresize, true);
    assert.equal(device.irqInfo("intx").count, 0);
    assert.equal(device.irqInfo("msi").count, 0);
    refused("EINVAL", () => device.irqInfo("err"));
    refused("EINVAL", () => device.irqInfo("bogus" as "err"));
    device.dispose();
    host.dispose();
  });

  it("refuses devices that cannot be", () => {
    const { host } = withEventfds(0);
    for (const options of [
      { msi: 3 },
      { msi: 64 },
      { msi: -1 },
      { msix: 2049 },
      { msix: 0.5 },
      { hostInterrupts: -1 },
    ]) {
      refused("EINVAL", () => new VfioPciDevice(host, options));
    }
    const device = new VfioPciDevice(host, { msix: 1 });
    refused("EINVAL", () => device.vector("msix", 1));
    refused("EINVAL", () => device.vector("msi", 0));
    refused("EINVAL", () => device.vector("intx" as "msi", 0));
    refused("EINVAL", () => device.intx);
    device.dispose();
    host.dispose();
  });
});

describe("the refusal of an action that an index does not know", () => {
  it("says what does it, and of ERR and REQ that nothing does", () => {
    const device = new VfioPciDevice(smallHost(), { msi: 1, msix: 1 });
    for (const action of ["mask", "unmask"] as const) {
      for (const index of ["msi", "msix"] as const) {
        const { message } = refused("ENOTTY", () => device[action](index));
        assert.match(
          message,
          new RegExp(`${index} knows no ${action}: use vector\\("${index}", n\\)\\.${action}\\(\\)`),
        );
        device.vector(index, 0)[action]();
      }
      for (const index of ["err", "req"] as const)
        assert.match(refused("ENOTTY", () => device[action](index)).message, /, and cannot be held back$/);
    }
  });
});
