/** Bugs of VFIO and vDPA (D1 to D10). */
import assert from "node:assert/strict";
import { Eventfd, type Host, type IrqSet, VdpaDevice, VfioPciDevice } from "irqbypass";
import type { DeviceLife } from "#src/device/device-life.js";
import type { Intx } from "#src/device/intx.js";
import type { MsiIndex } from "#src/device/msi.js";
import { Virqfd } from "#src/device/virqfd.js";
import { signalRecord } from "#src/eventfd/signal.js";
import { Device, DeviceUse, Header, Vm as V } from "#src/host/layout.js";
import { vmMutex } from "#src/vm/vm-mutex.js";
import { inside, type Proof, playFalse, prove } from "./proof.js";
import { GSI, msi, recordOf, World } from "./world.js";

type Play = (world: World) => void;
const shipped: Play = () => {};

const eventfds = (index: IrqSet["index"], action: IrqSet["action"], eventfd: Eventfd | null): IrqSet => ({
  ...{ index, start: 0, count: 1, action },
  ...{ data: "eventfd", eventfds: [eventfd] },
});
const loopback = (index: IrqSet["index"], start = 0, count = 1): IrqSet => ({
  ...{ index, start, count, action: "trigger" },
  data: "none",
});

/** Signals whatever the trigger is (before 18c198c96a81). */
const signalsAnything = (intx: Intx) =>
  playFalse(intx, () => ({
    send() {
      const life = inside<DeviceLife>(intx, "life");
      const eventfd = life.read(Device.intx);
      if (eventfd === 0) throw new TypeError("a null pointer was followed");
      signalRecord(life.host, eventfd);
    },
  }));

/** The INTx pin of a new device. */
const pinOf = (host: Host): Intx => new VfioPciDevice(host, { intx: true }).intx;

export const vfioProofs: readonly Proof[] = [
  prove<(intx: Intx) => void>(
    "D1",
    "an INTx line whose eventfd is taken away while an unmask is under way signals nobody",
    () => {},
    { "signals without looking whether there is a trigger": signalsAnything },
    (play) => {
      const { host, eventfd } = new World();
      const unmask = Eventfd.create(host);
      const intx = pinOf(host);
      play(intx);
      intx.setIrqs(eventfds("intx", "trigger", eventfd), undefined);
      intx.setIrqs(eventfds("intx", "unmask", unmask), undefined);
      try {
        intx.assert();
        assert.equal(eventfd.tryRead(), 1n);
        unmask.write();
        intx.setIrqs(eventfds("intx", "trigger", null), undefined);
        assert.doesNotThrow(() => intx.poll());
        assert.equal(eventfd.tryRead(), undefined);
        assert.ok(intx.masked);
      } finally {
        intx.setIrqs(eventfds("intx", "unmask", null), undefined);
      }
    },
  ),

  prove<(intx: Intx) => void>(
    "D2",
    "the guest's Interrupt Disable bit holds from whenever it is set, also where INTx is enabled after it",
    () => {},
    {
      "only acts on the INTx that is enabled when it is set": (intx) =>
        Object.defineProperty(intx, "disIntx", {
          get: () => false,
          set(on: boolean) {
            if (intx.enabled) inside<DeviceLife>(intx, "life").use(DeviceUse.masked, on);
          },
        }),
    },
    (play) => {
      const { host, eventfd } = new World();
      const intx = pinOf(host);
      play(intx);
      intx.disIntx = true;
      intx.assert();
      intx.setIrqs(eventfds("intx", "trigger", eventfd), undefined);
      assert.equal(eventfd.tryRead(), undefined, "it fired though the guest has disabled it");
      intx.disIntx = false;
      assert.equal(eventfd.tryRead(), 1n);
    },
  ),

  prove<(intx: Intx) => void>(
    "D3",
    "INTx that fires while it is being enabled is masked once: one unmask lets it fire again",
    () => {},
    {
      "masks a second time when it is enabled": (intx) => {
        let depth = 0;
        playFalse(intx, (real) => ({
          enable() {
            real("enable");
            depth = 2;
          },
          unmask() {
            if (--depth <= 0) real("unmask");
          },
        }));
      },
    },
    (play) => {
      const { host, eventfd } = new World();
      const intx = pinOf(host);
      play(intx);
      intx.assert();
      intx.setIrqs(eventfds("intx", "trigger", eventfd), undefined);
      assert.equal(eventfd.tryRead(), 1n);
      intx.deassert();
      intx.setIrqs({ ...loopback("intx"), action: "unmask" }, undefined);
      intx.assert();
      assert.equal(eventfd.tryRead(), 1n, "it is dead for ever");
    },
  ),

  prove<(intx: Intx) => void>(
    "D4",
    "interrupts without a trigger are fired and looped back without harm, and mask themselves",
    () => {},
    { "signals without looking whether there is a trigger": signalsAnything },
    (play) => {
      const { host, eventfd } = new World();
      const intx = pinOf(host);
      play(intx);
      intx.setIrqs(eventfds("intx", "trigger", null), undefined);
      assert.doesNotThrow(() => intx.setIrqs(loopback("intx"), undefined));
      assert.doesNotThrow(() => intx.assert());
      assert.ok(intx.masked);
      intx.setIrqs(eventfds("intx", "trigger", eventfd), undefined);
      intx.setIrqs({ ...loopback("intx"), action: "unmask" }, undefined);
      assert.equal(eventfd.tryRead(), 1n);
      const device = new VfioPciDevice(host, { msix: 2 });
      device.setTrigger("msix", 0, eventfd);
      device.setIrqs(loopback("msix", 0, 2));
      device.vector("msix", 1).signal();
      device.reportError();
      assert.equal(eventfd.tryRead(), 1n);
    },
  ),

  prove<(virqfd: Virqfd) => void>(
    "D5",
    "a listener that is removed, and whose eventfd is closed, ends once, in either order",
    () => {},
    {
      "removes what was removed": (virqfd) =>
        playFalse(virqfd, () => ({
          remove() {
            inside<AbortController>(virqfd, "stop").abort();
            virqfd.poll();
          },
        })),
    },
    (play) => {
      const { host, eventfd } = new World();
      const other = Eventfd.open(host, eventfd.handle);
      let runs = 0;
      const virqfd = new Virqfd(eventfd, () => void runs++);
      play(virqfd);
      eventfd.write();
      virqfd.remove();
      assert.equal(runs, 1, "what was written before still counts");
      eventfd.write();
      virqfd.remove();
      assert.equal(runs, 1, "it ran when it was gone");
      eventfd.close();
      assert.doesNotThrow(() => virqfd.remove());
      assert.equal(other.tryRead(), 1n);
    },
  ),

  prove<(life: DeviceLife) => void>(
    "D6",
    "a request whose eventfd was closed signals that, which is nobody else's until the device lets go of it",
    () => {},
    {
      "uses the eventfd that it was given, and does not keep it": (life) =>
        playFalse(life, () => ({
          setEventfd: (at: Device, eventfd: number) => life.host.words.store(life.record + at, eventfd),
        })),
    },
    (play) => {
      const { host } = new World();
      const device = new VfioPciDevice(host);
      play(inside<DeviceLife>(device, "life"));
      const closed = Eventfd.create(host);
      device.setIrqs(eventfds("req", "trigger", closed));
      device.requestRelease();
      assert.equal(closed.tryRead(), 1n);
      closed.close();
      const next = Eventfd.create(host);
      assert.doesNotThrow(() => device.requestRelease());
      assert.equal(next.tryRead(), undefined);
      device.setIrqs(eventfds("req", "trigger", null));
      assert.equal(Eventfd.create(host).record, closed.record);
    },
  ),

  prove<(device: VfioPciDevice) => void>(
    "D7",
    "closing a device with triggers of every index leaves no eventfd and no producer behind",
    () => {},
    { "forgets its triggers": (device) => playFalse(device, () => ({ dispose() {} })) },
    (play) => {
      const { host, eventfd } = new World();
      const device = new VfioPciDevice(host, { msix: 1 });
      play(device);
      const [err, req] = [Eventfd.create(host), Eventfd.create(host)];
      device.setTrigger("msix", 0, eventfd);
      device.setTrigger("err", 0, err);
      device.setTrigger("req", 0, req);
      device.dispose();
      for (const each of [eventfd, err, req]) each.close();
      assert.deepEqual([host.pools.eventfd.live, host.pools.producer.live], [0, 0]);
    },
  ),

  prove<Play>(
    "D8",
    "locks are taken in one order, the VM's before the host's, and reporting an error takes none",
    shipped,
    {
      "takes the VM's mutex in a callback, under the host's": (world) => {
        const mutex = vmMutex(world.host, recordOf(world.vm));
        world.playKind(({ consumer }) => ({
          consumer: {
            ...consumer,
            addProducer: (memory, producer, irqfd) =>
              mutex.guard(() => consumer?.addProducer?.(memory, producer, irqfd)),
          },
        }));
      },
    },
    (play) => {
      const world = new World();
      const { host, vm, eventfd } = world;
      play(world);
      const record = recordOf(vm);
      let order = "";
      let locks = 0;
      const watch = (access: string, word: number) => {
        if (access !== "compareExchange" || (word !== Header.mutex && word !== record + V.mutex)) return;
        locks++;
        world.watch();
        if (word !== Header.mutex && host.mutex.held()) order = "the host's, then the VM's";
        world.watch(watch);
      };
      const device = new VfioPciDevice(host, { msix: 1, intx: true });
      const [err, resample, level] = [Eventfd.create(host), Eventfd.create(host), Eventfd.create(host)];
      device.setTrigger("err", 0, err);
      world.watch(watch);
      device.reportError();
      assert.equal(locks, 0);
      device.setTrigger("msix", 0, eventfd);
      const irqfd = vm.irqfd(eventfd, GSI);
      device.vector("msix", 0).signal();
      vm.setGsiRouting([msi(GSI, 1), { gsi: 3, irqchip: { chip: "ioapic", pin: 3 } }]);
      vm.ioapic.redirect(3, { vcpu: 0, vector: 0x61, level: true });
      vm.irqfd(level, 3, { resample });
      const vcpu = world.vcpu();
      level.write();
      world.relay();
      assert.equal(vcpu.acknowledge(), 0x61);
      vcpu.eoi();
      vm.setIrqLine(3, true);
      host.bypass = false;
      host.bypass = true;
      irqfd.dispose();
      level.close();
      device.dispose();
      vcpu.put();
      vm.dispose();
      world.watch();
      assert.ok(locks > 20);
      assert.equal(order, "");
    },
  ),

  prove<(device: VfioPciDevice) => void>(
    "D9",
    "a range that overflows 32 bits is refused, for every index and action",
    () => {},
    {
      "adds start and count in 32 bits": (device) =>
        playFalse(device, (real) => ({
          setIrqs(set: IrqSet) {
            const end = (set.start + set.count) >>> 0;
            if (set.index !== "msix" || end > 4) return real("setIrqs", set);
            return inside<MsiIndex>(device, "msix").setIrqs(set, undefined);
          },
        })),
    },
    (play) => {
      const { host, eventfd } = new World();
      const device = new VfioPciDevice(host, { msix: 4 });
      device.setTrigger("msix", 0, eventfd);
      play(device);
      for (const [start, count] of [
        [0xffffffff, 1],
        [0xffffffff, 2],
        [2, 0xffffffff],
        [1, 0xfffffffe],
        [4, 1],
      ] as const) {
        assert.throws(() => device.setIrqs(loopback("msix", start, count)), { code: "EINVAL" });
      }
    },
  ),

  prove<(session: object) => void>(
    "D10",
    "a bad config eventfd leaves the old one, and after release nobody is signalled",
    () => {},
    {
      "stores it before it looks": (session) =>
        playFalse(session, (real) => ({
          setConfigCall(eventfd: Eventfd | null) {
            const life = inside<DeviceLife>(session, "life");
            life.setEventfd(Device.config, eventfd?.record ?? 0);
            return real("setConfigCall", eventfd);
          },
        })),
    },
    (play) => {
      const { host, eventfd } = new World();
      const device = new VdpaDevice(host, { queues: 1 });
      const session = device.open();
      play(session);
      const closed = Eventfd.create(host);
      closed.close();
      session.setConfigCall(eventfd);
      assert.throws(() => session.setConfigCall(closed), { code: "EBADF" });
      device.configChanged();
      assert.equal(eventfd.tryRead(), 1n, "the old one is lost");
      session.release();
      device.configChanged();
      assert.equal(eventfd.tryRead(), undefined);
    },
  ),
];
