/** Devices that a thread leaves behind, or that end with it. */
import type { BypassHost } from "../bypass/bypass-host.js";
import { Device } from "../host/layout.js";
import type { DeviceLife } from "./device-life.js";
import { endDevice, isDevice, lifeAt } from "./device-record.js";
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
  const { words, pools } = host;
  const found: number[] = [];
  host.forEachLive(pools.device, (device) => {
    if (isDevice(host, device)) found.push(device);
  });
  for (const record of found) {
    const life = lifeAt(host, record);
    if (life === undefined) continue;
    if (words.load(record + Device.owner) === thread) endDevice(life, end);
    else
      life.mutex.enclose(() => {
        if (life.isLive()) leaveDevice(life, thread);
      });
  }
}

function leaveDevice(life: DeviceLife, thread: number): void {
  const { words } = life.host;
  if (life.read(Device.listener) === thread) {
    words.add(life.record + Device.enabling, 1);
    words.store(life.record + Device.listener, 0);
    life.setEventfd(Device.unmask, 0);
  }
  if (Math.abs(life.read(Device.opener)) === thread) endSession(life);
}
