import { Device, DeviceUse, Gate } from "../host/layout.js";
import type { DeviceLife } from "./device-life.js";
import { hold } from "./gate.js";
import { Trigger } from "./trigger.js";
import { setTriggers } from "./trigger-changes.js";

/**
 * Nobody has the device open from here on, or opens it, until the calling thread is through with opening, releasing or ending it: in
 * between it runs the device's own reset, without the mutex. Under the mutex; another thread that was at it finds out.
 */
export function claimSession(life: DeviceLife): void {
  const { words, thread } = life.host;
  words.store(life.record + Device.opener, -thread.record); // first: should this thread die, it is ended
  life.use(DeviceUse.open, true);
}

/** Is it the calling thread's still? Under its mutex. */
export function isClaimed(life: DeviceLife): boolean {
  return life.read(Device.opener) === -life.host.thread.record;
}

/** What is left of an open vDPA device when it has been reset: its eventfds are let go, and it can be opened again. Under its mutex. */
export function endSession(life: DeviceLife): void {
  const { words } = life.host;
  words.store(life.record + Device.status, 0);
  life.setEventfd(Device.config, 0);
  for (const gate of life.gates) hold(life, gate, Gate.disarmed);
  setTriggers(
    life,
    life.gates.map((gate, number) => ({
      name: `queue ${number}`,
      trigger: new Trigger(life, gate),
      eventfd: 0,
      irq: "no-driver-ok",
    })),
  );
  life.use(DeviceUse.configArmed | DeviceUse.open, false);
  words.store(life.record + Device.opener, 0); // last: until then it is ended again, should this thread die
}
