import { Device, DeviceUse, Gate } from "../host/layout.js";
import type { DeviceLife } from "./device-life.js";
import { hold } from "./gate.js";
import { Trigger } from "./trigger.js";
import { setTriggers } from "./trigger-changes.js";

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
