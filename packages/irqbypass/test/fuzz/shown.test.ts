/** Every object of the public API, printed: a line or two that say what it is, and plain data. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { inspect } from "node:util";
import { Eventfd, Host, Producer, Vcpu, VdpaDevice, VfioPciDevice, Vm } from "irqbypass";
import { whyNoKvm } from "irqbypass/kvm";
import { Random } from "./random.js";
import { readSurface } from "./surface.js";
import { World, type WorldKind } from "./world.js";

const { classes } = readSurface();
/** Errors print as errors do, with their stack; the explorer is a package of its own, and keeps no state of threads in them. */
const OTHERS = new Set(["IrqBypassError", "ExplorerError", "Explorer"]);
const kind: WorldKind = (await whyNoKvm()) === undefined ? "kvm" : "core";

/** What is made in this world, one of each class. */
const world = new World(kind, new Set(classes));
const shown = classes.filter((name) => !OTHERS.has(name));

describe("printed", () => {
  after(() => world.dispose());

  for (const name of shown) {
    const one = world.instance(name, new Random(1));
    const where = one === undefined ? { skip: `${name} needs /dev/kvm and koffi` } : {};
    it(`${name} is a line or two of what it is, and plain data`, where, () => {
      const text = inspect(one);
      const lines = text.split("\n");
      assert.ok(lines.length <= 2 && text.length <= 240, text);
      assert.ok(text.startsWith(`${one!.constructor.name} { `), text);
      assert.doesNotMatch(text, /\[Object\]|SharedArrayBuffer|Symbol\(|Words/, text);
      const data = JSON.parse(JSON.stringify(one)) as object;
      assert.ok(Object.keys(data).length > 0, text);
      for (const value of Object.values(data)) assert.notEqual(value, "[object Object]");
    });
  }

  it("the table has every class", { skip: kind === "kvm" ? false : "needs /dev/kvm and koffi" }, () => {
    assert.deepEqual(
      shown.filter((name) => world.instance(name, new Random(1)) === undefined),
      [],
    );
  });

  it("what has ended says so, and throws nothing", () => {
    const host = Host.create();
    const vm = new Vm(host);
    const eventfd = Eventfd.create(host);
    const irqfd = vm.irqfd(eventfd, 24);
    const producer = Producer.create(host);
    const nic = new VfioPciDevice(host);
    const disk = new VdpaDevice(host, { queues: 1 });
    const session = disk.open();
    const ref = vm.vcpu(0);
    const vcpu = Vcpu.open(host, ref.handle);
    vcpu.put();
    const { ioapic } = vm;
    for (const one of [irqfd, producer, nic, disk, vm, host]) one.dispose();
    for (const one of [irqfd, producer, nic, disk, session, vm, ref, vcpu, ioapic, host])
      assert.match(inspect(one), /^\w+ \{ refused: '(EBADF|ESTALE): .*' \}$/, one.constructor.name);
    assert.match(inspect(eventfd), /closed: true/); // its number and kind are of the handle, and outlive the host
  });
});
