/** Devices that a thread leaves behind, or that end with it. */
import type { BypassHost } from "../bypass/bypass-host.js";
import { isDevice } from "../bypass/live-records.js";
import { Device } from "../host/layout.js";
import { DeviceLife } from "./device-life.js";
import { finishDevice } from "./device-record.js";
import { endSession } from "./session-end.js";

/**
 * A thread has died or leaves: the devices that it may signal end, and what it did for others (listening to what unmasks INTx, having a vDPA
 * device open) ends. `end` ends a producer.
 */
export function loseDevices(
  host: BypassHost,
  thread: number,
  end: (host: BypassHost, producer: number) => void,
): void {
  const { words, pools, mutex } = host;
  const found: DeviceLife[] = [];
  host.forEachLive(pools.device, (device) => {
    if (isDevice(host, device)) found.push(new DeviceLife(host, device));
  });
  for (const life of found) {
    let table = 0;
    life.mutex.enclose(() => {
      mutex.enclose(() => {}); // who may not wait for it is refused here
      if (!life.isLive()) return;
      // Looked at here: another thread may have adopted the device, or have been ending it, and its record is free by now.
      if (words.load(life.record + Device.owner) !== thread) {
        leaveDevice(life, thread);
        return;
      }
      table = words.load(life.record + Device.table);
      finishDevice(life, end);
    });
    if (table !== 0) host.repair?.table(table); // as where a device is disposed
  }
}

function leaveDevice(life: DeviceLife, thread: number): void {
  const { words } = life.host;
  if (life.read(Device.listener) === thread) {
    words.add(life.record + Device.enabling, 1);
    life.setEventfd(Device.unmask, 0);
    words.store(life.record + Device.listener, 0);
  }
  if (Math.abs(life.read(Device.opener)) === thread) endSession(life);
}
