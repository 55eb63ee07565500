/** The MSI-X table, the pending bits and the control register as a guest's loads and stores find them. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Eventfd, type Host, Msix, type MsixVm, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { liveRecords, noRelay, smallHost } from "../support/host.js";

const VECTORS = 5;
const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;
const UNMASKED = 0;
const MASKED = 1;

let host: Host;
let vm: Vm;
let vcpus: Vcpu[];
let nic: VfioPciDevice;
let msix: Msix;
let before: Record<string, number>;
const make = (device: VfioPciDevice, of: MsixVm<Eventfd> = vm) =>
  new Msix(of, device, () => Eventfd.create(host));
beforeEach(() => {
  host = smallHost({ spawn: noRelay, capacity: { route: 128 } });
  vm = new Vm(host, { vcpus: 2 });
  vcpus = [0, 1].map((index) => Vcpu.open(host, vm.vcpu(index).handle));
  vm.routeMsi({ vcpu: 0, vector: 0x40 }).dispose(); // it has a table of its own from here on
  nic = new VfioPciDevice(host, { msix: VECTORS });
  before = live();
  msix = make(nic);
});

/** What lives in the host beside devices. */
function live(): Record<string, number> {
  const { device: _, ...others } = liveRecords(host);
  return others;
}

/** Takes all that has come, as "vcpu:vector". */
function arrived(): string[] {
  return vcpus
    .flatMap((vcpu, index) => {
      const found: string[] = [];
      for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
        found.push(`${index}:${vector}`);
        vcpu.eoi();
      }
      return found;
    })
    .sort();
}

/** Stores words, little-endian. */
function store(offset: number, ...words: number[]): void {
  msix.table.write(offset, new Uint8Array(Uint32Array.from(words).buffer));
}
const load = (offset: number, count = 1) => [...new Uint32Array(msix.table.read(offset, 4 * count).buffer)];
/** The four words of an entry. */
const entry = (vcpu: number, vector: number, control = UNMASKED) => [
  0xfee00000 + (vcpu << 12),
  0,
  vector,
  control,
];
const pending = () => [...new Uint32Array(msix.pba.read(0, msix.pba.length).buffer)];

/** Enabled, and the guest has written and unmasked the first entry. */
function up(): void {
  msix.control = ENABLE;
  store(0, ...entry(0, 0x41));
}

describe("the MSI-X table", () => {
  it("is masked and 0 from the start, 16 bytes a vector", () => {
    assert.equal(msix.table.length, VECTORS * 16);
    for (let number = 0; number < VECTORS; number++)
      assert.deepEqual(load(number * 16, 4), [0, 0, 0, MASKED]);
    assert.equal(nic.vector("msix", 3).masked, true);
  });

  it("keeps what the specification lets it keep: no low bits of the address, of the control the mask alone", () => {
    store(16, 0xffffffff, 0xffffff00, 0xffffffff, 0xffffffff);
    assert.deepEqual(load(16, 4), [0xfffffffc, 0xffffff00, 0xffffffff, 1]);
    store(28, 0xfffffffe);
    assert.deepEqual(load(28), [0]);
    assert.deepEqual(
      [load(0, 4), load(32, 4)],
      [
        [0, 0, 0, 1],
        [0, 0, 0, 1],
      ],
    );
  });

  it("takes stores of 1, 2, 4 and 8 bytes, at any place, and of several entries at once", () => {
    msix.table.write(8, [0x11]);
    msix.table.write(9, [0x22]);
    msix.table.write(10, [0x44, 0x33]);
    msix.table.write(6, [0xaa, 0xbb]);
    assert.deepEqual(load(0, 4), [0, 0xbbaa0000, 0x33442211, 1]);
    store(12, 0, 0xfee01000); // the control of entry 0, the address of entry 1
    assert.deepEqual(load(0, 5), [0, 0xbbaa0000, 0x33442211, 0, 0xfee01000]);
    store(32, ...entry(1, 0x51), ...entry(0, 0x52));
    assert.deepEqual(load(32, 8), [...entry(1, 0x51), ...entry(0, 0x52)]);
    assert.deepEqual([...msix.table.read(8, 3)], [0x11, 0x22, 0x44]);
    assert.deepEqual([...msix.table.read(15, 2)], [0, 0]);
  });

  it("ends where it ends: what is beyond reads as ones, and a store there changes nothing", () => {
    const end = VECTORS * 16;
    assert.deepEqual([...msix.table.read(end - 2, 4)], [0, 0, 0xff, 0xff]);
    assert.deepEqual([...msix.table.read(end + 64, 4)], [0xff, 0xff, 0xff, 0xff]);
    msix.table.write(end - 4, [0, 0, 0, 0, 9, 9, 9, 9]);
    msix.table.write(end, [1, 2, 3, 4]);
    assert.deepEqual(load(end - 4, 1), [0]);
  });

  it("refuses what is no load and no store", () => {
    for (const [offset, length] of [
      [-1, 4],
      [0.5, 4],
      [0, 0],
      [0, 4097],
      [0, Number.NaN],
      ["0", 4],
      [2 ** 53, 4],
    ] as readonly [number, number][])
      assert.throws(() => msix.table.read(offset, length), { code: "EINVAL" });
    for (const bytes of [
      [],
      [256],
      [-1],
      [0.5],
      ["1"],
      new Array(1),
      null,
      4,
      "1234",
      {},
      { length: 1 },
      { length: 9999 },
    ])
      assert.throws(() => msix.table.write(0, bytes as number[]), { code: "EINVAL" });
    assert.throws(() => msix.table.write(-4, [0, 0, 0, 0]), { code: "EINVAL" });
    assert.deepEqual(load(0, 4), [0, 0, 0, 1]);
  });
});

describe("a vector of MSI-X", () => {
  it("goes nowhere until the guest has enabled MSI-X and unmasked it; then what was raised comes, once", () => {
    const vector = nic.vector("msix", 0);
    vector.signal();
    store(0, ...entry(1, 0x41)); // unmasked, not enabled
    vector.signal();
    assert.deepEqual([arrived(), pending()], [[], [1, 0]]);
    msix.control = ENABLE;
    assert.deepEqual([arrived(), pending(), vector.path], [["1:65"], [0, 0], "posted"]);
    vector.signal();
    assert.deepEqual(arrived(), ["1:65"]);
  });

  it("is re-targeted live by a store to its address or data while it is unmasked", () => {
    up();
    const vector = nic.vector("msix", 0);
    vector.signal();
    store(8, 0x42);
    vector.signal();
    store(0, 0xfee01000);
    vector.signal();
    assert.deepEqual(arrived(), ["0:65", "0:66", "1:66"]);
    msix.table.write(8, [0x43]); // a byte of it
    vector.signal();
    assert.deepEqual(arrived(), ["1:67"]);
  });

  it("goes by what it says when it is unmasked, however often that changed while it was masked", () => {
    up();
    const vector = nic.vector("msix", 0);
    store(12, MASKED);
    vector.signal();
    for (const data of [0x50, 0x51, 0x52]) store(8, data);
    assert.deepEqual([arrived(), pending()], [[], [1, 0]]);
    store(12, UNMASKED);
    vector.signal();
    assert.deepEqual([arrived(), pending()], [["0:82"], [0, 0]]); // twice the same edge: one interrupt
  });

  it("is one change in one store, from the old message to the new, whatever of it changes", () => {
    up();
    const vector = nic.vector("msix", 0);
    store(0, ...entry(1, 0x60, MASKED));
    vector.signal();
    assert.deepEqual([arrived(), pending()], [[], [1, 0]]);
    store(0, ...entry(0, 0x61));
    assert.deepEqual(arrived(), ["0:97"]);
  });

  it("is held by the function mask, and by its own mask when that goes", () => {
    up();
    store(16, ...entry(0, 0x42));
    msix.control = ENABLE | FUNCTION_MASK;
    store(28, MASKED);
    store(32, ...entry(1, 0x43)); // unmasked under the function mask
    for (const number of [0, 1, 2]) nic.vector("msix", number).signal();
    assert.deepEqual([arrived(), pending()], [[], [0b111, 0]]);
    store(0, 0xfee01000);
    msix.control = ENABLE;
    assert.deepEqual(
      [arrived(), pending()],
      [
        ["1:65", "1:67"],
        [0b010, 0],
      ],
    );
  });

  it("that leads to no interrupt waits for one: the guest's store is taken all the same", () => {
    up();
    store(4, 0x12); // not an address of x86's messages
    nic.vector("msix", 0).signal();
    assert.deepEqual([load(4), pending()], [[0x12], [1, 0]]);
    store(4, 0);
    assert.deepEqual(arrived(), ["0:65"]);
    store(0, 0xfee05000); // no vCPU has this id: taken, and dropped
    nic.vector("msix", 0).signal();
    assert.deepEqual([arrived(), nic.vector("msix", 0).reason], [[], "no-vcpu"]);
  });

  it("leads where its lower half says in a VM whose ids have 8 bits, whatever is in the upper half", () => {
    const short = new Vm(host, { vcpus: 2, apic: { longIds: false } });
    const vcpu = Vcpu.open(host, short.vcpu(1).handle);
    const card = new VfioPciDevice(host, { msix: 1 });
    const { table } = Object.assign(make(card, short), { control: ENABLE });
    for (const [round, high] of [0, 1, 0x100, 0xffff_ffff].entries()) {
      table.write(0, new Uint8Array(Uint32Array.of(0xfee01000, high, 0x50 + round, UNMASKED).buffer));
      card.vector("msix", 0).signal();
      assert.deepEqual([vcpu.acknowledge(), card.vector("msix", 0).path], [0x50 + round, "posted"]);
      vcpu.eoi();
      assert.deepEqual(host.audit().findings, []);
    }
    card.dispose();
    vcpu.put();
    short.dispose();
  });

  it("gets its route back when the VMM has replaced the whole table", () => {
    up();
    vm.setGsiRouting([{ gsi: 30, msi: { vcpu: 0, vector: 0x70 } }]);
    store(8, 0x44);
    nic.vector("msix", 0).signal();
    assert.deepEqual(arrived(), ["0:68"]);
    assert.deepEqual(host.audit().findings, []);
  });
});

describe("the message control register", () => {
  it("says the size, and takes the function mask and enable alone", () => {
    assert.equal(msix.control, VECTORS - 1);
    msix.control = 0xffff;
    assert.equal(msix.control, ENABLE | FUNCTION_MASK | (VECTORS - 1));
    assert.equal(nic.functionMask, true);
    msix.control = 0x3fff;
    assert.equal(msix.control, VECTORS - 1);
    for (const value of [-1, 0x10000, 0.5, "1"])
      assert.throws(() => (msix.control = value as number), {
        code: "EINVAL",
        message: /the register has 16 bits/,
      });
  });

  it("cleared and set again, keeps the table and what was raised meanwhile, and takes the rest away in between", () => {
    up();
    msix.control = 0;
    assert.deepEqual(live(), before);
    nic.vector("msix", 0).signal();
    nic.vector("msix", 0).signal();
    assert.deepEqual([load(0, 4), arrived(), pending()], [entry(0, 0x41), [], [1, 0]]);
    msix.control = ENABLE;
    assert.deepEqual(arrived(), ["0:65"]);
  });

  it("refuses to enable beside INTx, and where there is no room, with everything as before", () => {
    const both = new VfioPciDevice(host, { msix: 2, intx: true });
    both.setTrigger("intx", 0, Eventfd.create(host));
    msix = make(both);
    store(0, ...entry(0, 0x41));
    const other = live();
    assert.throws(() => (msix.control = ENABLE), { code: "EINVAL", message: /disable intx first/ });
    assert.deepEqual([msix.control, live()], [1, other]);
    both.disable("intx");
    msix.control = ENABLE;
    both.vector("msix", 0).signal();
    assert.deepEqual(arrived(), ["0:65"]);
    // The host has interrupts for one vector of two.
    const poor = new VfioPciDevice(host, { msix: 2, hostInterrupts: 1 });
    msix = make(poor);
    msix.control = ENABLE;
    store(0, ...entry(0, 0x42));
    const one = live();
    assert.throws(() => store(16, ...entry(0, 0x43)), { code: "ENOSPC" });
    assert.deepEqual([load(16, 4), live()], [[0, 0, 0, 1], one]);
    poor.vector("msix", 0).signal();
    assert.deepEqual(arrived(), ["0:66"]);
  });

  it("of a device that takes all its vectors at once sets all triggers when it is enabled", () => {
    nic = new VfioPciDevice(host, { msix: VECTORS, dynamicMsix: false });
    msix = make(nic);
    msix.control = ENABLE;
    store(64, ...entry(1, 0x55));
    nic.vector("msix", 4).signal();
    assert.deepEqual(arrived(), ["1:85"]);
    msix.control = 0;
    assert.deepEqual(live(), before);
  });
});

describe("the pending bit array", () => {
  it("has a bit a vector in whole 8 bytes, ones beyond, and is not written", () => {
    const wide = new VfioPciDevice(host, { msix: 65 });
    msix = make(wide);
    assert.equal(msix.pba.length, 16);
    wide.vector("msix", 64).signal();
    wide.vector("msix", 31).signal();
    assert.deepEqual(pending(), [0x80000000, 0, 1, 0]);
    msix.pba.write(0, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    msix.pba.write(8, [0, 0, 0, 0]);
    assert.deepEqual(pending(), [0x80000000, 0, 1, 0]);
    assert.deepEqual([...msix.pba.read(15, 2)], [0, 0xff]);
    assert.throws(() => msix.pba.write(0, [300]), { code: "EINVAL" });
  });
});

describe("the end of MSI-X", () => {
  it("by reset, by dispose, and by the end of the device or of the VM, leaves nothing", () => {
    up();
    msix.reset();
    assert.deepEqual([msix.control, load(0, 4), live()], [VECTORS - 1, [0, 0, 0, 1], before]);
    for (const end of [() => nic.dispose(), () => {}]) {
      up();
      end();
      msix.dispose();
      msix.dispose();
      assert.deepEqual(live(), before);
      assert.throws(() => store(0, 1), { code: "EBADF", message: /this MSI-X was disposed/ });
      nic = new VfioPciDevice(host, { msix: VECTORS });
      msix = make(nic);
    }
    up();
    for (const vcpu of vcpus) vcpu.put();
    vm.dispose();
    assert.throws(() => store(8, 0x42), { code: "EBADF", message: /was disposed/ });
    msix.dispose();
    assert.deepEqual(host.audit().findings, []);
  });

  it("is refused to begin for what is no device with MSI-X, no VM and no way to make eventfds", () => {
    const create = () => Eventfd.create(host);
    const none = new VfioPciDevice(host, { msi: 2 });
    for (const [of, device, way] of [
      [vm, none, create],
      [vm, {}, create],
      [{}, nic, create],
      [null, nic, create],
      [vm, nic, undefined],
    ] as unknown as readonly [Vm, VfioPciDevice, () => Eventfd][])
      assert.throws(() => new Msix(of, device, way), { code: "EINVAL" });
    msix = new Msix(vm, nic, () => ({}) as Eventfd);
    assert.throws(up, { code: "EINVAL", message: /is no eventfd/ });
  });
});
