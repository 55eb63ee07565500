import { producerOf } from "../../device/gate.js";
import { DEVICE_EVENTFDS, Device, DeviceUse, GATES, Gate, Msix, Producer } from "../../host/layout.js";
import { auditMsix } from "./msix.js";
import type { View } from "./view.js";

const ANY_GATE = Gate.held | Gate.pending | Gate.allocated | Gate.queue;
const ANY_USE = DeviceUse.ending * 2 - 1;

/** The devices: each record in the list of one, each gate and its producer leading to each other, and their MSI-X tables. */
export function auditDevices(view: View): void {
  const { words } = view;
  for (const record of view.live.device) {
    if (view.isMsix(record)) auditMsix(view, record);
    else if (words.get(record + Device.head) === record) auditDevice(view, record);
  }
  view.findUnowned("device", "it is in the list of no device");
  for (const producer of view.live.producer) {
    const gate = words.get(producer + Producer.gate);
    if (gate === 0 || (view.isGate(gate) && producerOf(view.host, words.load(gate)) === producer)) continue;
    view.find("partner", view.name("producer", producer), `is of gate ${gate}, which does not lead to it`);
  }
}

function auditDevice(view: View, device: number): void {
  const { words, host } = view;
  const subject = view.name("device", device);
  const owner = words.load(device + Device.owner);
  if (owner === 0) view.find("unfinished", subject, "is being made");
  else if (!view.isAttached(owner))
    view.find("orphan", subject, `${view.name("thread", owner)}, which may signal it, is gone`);
  view.within(words.get(device + Device.kind), 0, host.kinds.length - 1, subject, "kind");
  const use = words.load(device + Device.use);
  if (view.within(use, 0, ANY_USE, subject, "use") && (use & DeviceUse.ending) !== 0)
    view.find("unfinished", subject, "is being ended");
  for (const at of DEVICE_EVENTFDS) {
    const eventfd = words.load(device + at);
    if (eventfd !== 0 && view.names("eventfd", eventfd, subject, "eventfd")) view.hold(eventfd);
  }
  const table = words.load(device + Device.table);
  if (table !== 0 && !(view.isMsix(table) && words.load(table + Msix.device) === device))
    view.find("partner", subject, `its MSI-X table is ${view.name("device", table)}, which is none of it`);
  let left = words.get(device + Device.msi) + words.get(device + Device.msix);
  for (let record = device; ; record = words.get(record + Device.next)) {
    if (!view.names("device", record, subject, "list of records") || !view.own("device", record, subject))
      return;
    if (words.get(record + Device.head) !== device)
      view.find("list", subject, `${view.name("device", record)} is in its list, and says that it is not`);
    for (let n = 0; n < GATES; n++) {
      const gate = words.load(record + Device.gates + n);
      if (n < left) auditGate(view, record + Device.gates + n, gate, subject);
      else if (gate !== 0)
        view.find("value", subject, `a gate that it has not holds 0x${(gate >>> 0).toString(16)}`);
    }
    left -= GATES;
    if (left <= 0) break;
  }
}

function auditGate(view: View, word: number, gate: number, subject: string): void {
  if ((gate & 255 & ~ANY_GATE) !== 0)
    view.find("value", subject, `a gate holds 0x${(gate >>> 0).toString(16)}, which none can`);
  if ((gate & Gate.changing) !== 0)
    view.find("unfinished", subject, "where a gate leads to is being changed");
  const producer = producerOf(view.host, gate);
  if (producer === 0 || !view.names("producer", producer, subject, "gate's producer")) return;
  if (view.words.get(producer + Producer.gate) !== word) {
    view.find(
      "partner",
      subject,
      `a gate leads to ${view.name("producer", producer)}, which is not its producer`,
    );
  }
}
