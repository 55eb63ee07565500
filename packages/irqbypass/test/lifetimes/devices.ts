/** What the threads of the stress do to devices, their own and those of others. */
import assert from "node:assert/strict";
import {
  type Eventfd,
  type Host,
  IrqBypassError,
  VdpaDevice,
  type VdpaSession,
  VfioPciDevice,
  VIRTIO_STATUS,
  type Vm,
} from "irqbypass";
import { isDevice } from "#src/bypass/live-records.js";
import { Device, DeviceFlag } from "#src/host/layout.js";
import { setUnmask } from "../support/intx.js";
import { type Board, type End, PLACES } from "./board.js";

/** What a thread of the stress has at hand. */
export interface Actor {
  readonly host: Host;
  readonly board: Board;
  readonly pick: (below: number) => number;
  /** Runs a call that may lose against an end. */
  attempt<T>(call: () => T): T | undefined;
  ending(end: End, run: () => void): void;
  openEventfd(): Eventfd | undefined;
  /** A VM, and the handle that it was opened by. */
  openVm(): { readonly vm: Vm; readonly handle: number } | undefined;
}

const READY = VIRTIO_STATUS.acknowledge | VIRTIO_STATUS.driver | VIRTIO_STATUS.driverOk;
/** Devices at these places have an INTx pin, the others vectors: one of the two is in use at a time. */
export const hasPin = (place: number) => place % 2 === 1;

/** Devices as this thread has had them open: what is used of one may have ended long ago, and another one have its record. */
export function deviceOperations(actor: Actor): readonly (() => void)[] {
  const { host, board, pick, attempt, ending, openEventfd } = actor;
  const devices: (VfioPciDevice | undefined)[] = [];
  const disks: (VdpaDevice | undefined)[] = [];

  function someDevice(): { readonly device: VfioPciDevice | undefined; readonly place: number } {
    const place = pick(PLACES);
    const published = board.deviceAt(place);
    if (published !== 0 && pick(2) === 0)
      devices[place] = board.during("device open", () => attempt(() => VfioPciDevice.open(host, published)));
    return { device: devices[place], place };
  }

  function someDisk(): VdpaDevice | undefined {
    const place = pick(PLACES);
    const published = board.vdpaAt(place);
    if (published !== 0 && pick(2) === 0)
      disks[place] = board.during("vdpa open", () => attempt(() => VdpaDevice.open(host, published)));
    return disks[place];
  }

  const endDevice = (device: VfioPciDevice | undefined) =>
    device && ending("device dispose", () => attempt(() => device.dispose()));
  const endDisk = (disk: VdpaDevice | undefined) =>
    disk && ending("vdpa dispose", () => attempt(() => disk.dispose()));

  const endSession = (session: VdpaSession) => ending("vdpa release", () => attempt(() => session.release()));

  /** Runs a few of these calls, each of which may lose. */
  function some(calls: readonly (() => unknown)[]): void {
    for (let times = 1 + pick(4); times > 0; times--) attempt(calls[pick(calls.length)]!);
  }

  function useVectors(nic: VfioPciDevice, eventfd: Eventfd | undefined): void {
    const vector = nic.vector("msix", pick(2));
    some([
      () => vector.mask(),
      () => vector.unmask(),
      () => vector.reset(),
      () => (nic.functionMask = pick(2) === 0),
      () => nic.setTrigger("msix", vector.number, eventfd ?? null),
      () => nic.setTrigger("err", 0, eventfd ?? null),
      () => ifEnabled(() => nic.disable("msix")),
      () => nic.reset(),
      () => nic.pendingBits("msix"),
      () => [vector.path, vector.reason, vector.pending, vector.masked],
      () => nic.reportError(),
      () => nic.handle,
    ]);
  }

  function usePin(card: VfioPciDevice, eventfd: Eventfd | undefined): void {
    some([
      () => card.intx.assert(),
      () => card.intx.deassert(),
      () => (card.intx.disIntx = pick(2) === 0),
      () => card.setTrigger("intx", 0, eventfd ?? null),
      () => ifEnabled(() => card.unmask("intx")),
      () => ifEnabled(() => card.mask("intx")),
      () => ifEnabled(() => card.disable("intx")),
      () => ifEnabled(() => setUnmask(card, eventfd ?? null)),
      () => card.intx.poll(),
      () => card.reset(),
      () => card.requestRelease(),
    ]);
  }

  return [
    function makeDevice() {
      const place = pick(PLACES);
      const own = new VfioPciDevice(host, hasPin(place) ? { intx: true } : { msix: 2 });
      if (!hasPin(place)) {
        own.vector("msix", 0).mask();
        own.vector("msix", 0).signal();
      }
      for (let spin = pick(200); spin > 0; spin--);
      // Nobody has its handle yet: what anybody did to it was meant for the one before it in its record.
      const what = [own.functionMask, own.pendingBits("msix")[0] ?? 0, usedOf(own)];
      assert.deepEqual(what, [false, hasPin(place) ? 0 : 1, "nothing"], "a stranger has used this device");
      const before = board.deviceAt(place);
      board.publishDevice(place, own.handle);
      devices[place] = own;
      if (before !== 0) endDevice(attempt(() => VfioPciDevice.open(host, before)));
    },
    function useDevice() {
      const { device, place } = someDevice();
      if (device === undefined) return;
      const eventfd = pick(2) === 0 ? openEventfd() : undefined;
      const use = hasPin(place) ? usePin : useVectors;
      board.during("device use", () => use(device, eventfd));
      if (eventfd !== undefined) ending("eventfd close", () => eventfd.close());
    },
    function signalDevice() {
      const { device, place } = someDevice();
      if (device === undefined || hasPin(place)) return;
      for (let times = pick(4); times > 0; times--)
        board.during("device adopt", () => attempt(() => device.adopt()));
      for (let signals = pick(20); signals > 0; signals--)
        board.during("device signal", () => attempt(() => device.vector("msix", 0).signal()));
    },
    function endSomeDevice() {
      if (pick(2) === 0) endDevice(someDevice().device);
    },
    function makeDisk() {
      const place = pick(PLACES);
      const own = new VdpaDevice(host, { queues: 2, ops: { getVqIrq: (queue) => queue } });
      for (let spin = pick(200); spin > 0; spin--);
      assert.deepEqual(
        [own.session, own.queue(0).path],
        [undefined, undefined],
        "a stranger has used this device",
      );
      const before = board.vdpaAt(place);
      board.publishVdpa(place, own.handle);
      disks[place] = own;
      if (before !== 0) endDisk(attempt(() => VdpaDevice.open(host, before)));
    },
    function useDisk() {
      const disk = someDisk();
      if (disk === undefined) return;
      const session = board.during("vdpa use", () => attempt(() => disk.session ?? disk.open()));
      if (session === undefined) return;
      const eventfd = pick(2) === 0 ? openEventfd() : undefined;
      board.during("vdpa use", () =>
        some([
          () => session.setVringCall(pick(2), eventfd ?? null),
          () => session.setConfigCall(eventfd ?? null),
          () => session.setStatus(READY),
          () => session.setStatus(0),
          () => disk.configChanged(),
          () => [session.status, session.open, disk.queue(1).path],
        ]),
      );
      if (pick(2) === 0) endSession(session);
      if (eventfd !== undefined) ending("eventfd close", () => eventfd.close());
    },
    function signalDisk() {
      const disk = someDisk();
      if (disk === undefined) return;
      for (let times = pick(4); times > 0; times--)
        board.during("vdpa adopt", () => attempt(() => disk.adopt()));
      for (let signals = pick(20); signals > 0; signals--)
        board.during("device signal", () => attempt(() => disk.queue(0).signal()));
    },
    function endSomeDisk() {
      const disk = someDisk();
      const session = disk && attempt(() => disk.session ?? disk.open());
      if (pick(2) === 0) endDisk(disk);
      else if (session !== undefined) endSession(session);
    },
  ];
}

/** Ends the devices that the calling thread signals: what it has made, or adopted, and nobody else has ended. */
export function endOwnDevices(host: Host): void {
  const { words, pools, thread } = host;
  const own: { readonly handle: number; readonly isVdpa: boolean }[] = [];
  host.forEachLive(pools.device, (record) => {
    if (!isDevice(host, record) || words.load(record + Device.owner) !== thread.record) return;
    const isVdpa = (words.get(record + Device.flags) & DeviceFlag.vdpa) !== 0;
    own.push({ handle: pools.device.handle(record), isVdpa });
  });
  for (const { handle, isVdpa } of own) {
    try {
      (isVdpa ? VdpaDevice : VfioPciDevice).open(host, handle).dispose();
    } catch (error) {
      // Another thread was faster.
      if (!(error instanceof IrqBypassError && ["ESTALE", "EBADF"].includes(error.code))) throw error;
    }
  }
}

/** Another thread may have disabled what a call is about, or not have enabled it yet. */
function ifEnabled(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof IrqBypassError && error.code === "EINVAL" && /is not enabled/.test(error.message)))
      throw error;
  }
}

/** Which of its indexes is in use, and what its pin says. */
function usedOf(device: VfioPciDevice): string {
  const { intx, msix } = { intx: device.irqInfo("intx").count, msix: device.irqInfo("msix").count };
  const used = [
    ...(intx > 0 && (device.intx.enabled || device.intx.asserted || device.intx.disIntx) ? ["intx"] : []),
    ...(msix > 0 && (device.vector("msix", 0).path ?? device.vector("msix", 1).path) ? ["msix"] : []),
  ];
  return used.join(" ") || "nothing";
}
