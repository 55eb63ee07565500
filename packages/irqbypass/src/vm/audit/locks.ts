import type { BypassHost } from "../../bypass/bypass-host.js";
import { deviceMutex } from "../../device/device-life.js";
import { IrqBypassError } from "../../host/errors.js";
import type { Mutex } from "../../host/mutex.js";
import { vmMutex } from "../vm-mutex.js";
import type { View } from "./view.js";

const NAP_MS = 2;
/** About a second: then an audit looks without the mutexes that it could not get. */
const NAPS = 500;
const LOOKS_WITHOUT_SLEEP = 10_000;

/**
 * Calls `look` while no other thread changes anything, as far as that can be had: under the host mutex and the mutex of
 * each VM and device. The order of locks is VM or device, then host; and a VM may go while its mutex is waited for. So this takes the host
 * mutex, under which none can go, and waits for no other: it tries them all, and if one is busy gives all back and naps.
 * A mutex that stays busy is a finding, and `look` goes on without it. Throws EDEADLK where the thread holds one itself.
 */
export function underAllMutexes(view: View, look: () => void): void {
  const { thread } = view.host;
  for (let left = thread.mayBlock ? NAPS : LOOKS_WITHOUT_SLEEP; ; left--) {
    const held: Mutex[] = [];
    try {
      const busy = takeAll(view.host, held);
      if (busy.length === 0 || left === 0) {
        for (const { name, owner } of busy) {
          view.find(
            "mutex",
            name,
            `thread ${owner - 1} holds it and has not let go of it for a second: what it guards was audited without it`,
          );
        }
        look();
        return;
      }
    } finally {
      for (const mutex of held.reverse()) mutex.give();
    }
    nap(view.host, NAP_MS);
  }
}

/** Lets other threads go on for a moment. */
export function nap({ thread, words }: BypassHost, ms: number): void {
  // On a word of this very thread, which nobody else wakes it by.
  if (thread.mayBlock) thread.park(thread.writing, words.load(thread.writing), ms);
  else words.relax();
}

/** Takes every mutex that is free into `held`; returns the others. */
function takeAll(host: BypassHost, held: Mutex[]): Mutex[] {
  const { mutex, pools } = host;
  const wanted = [mutex];
  // Without the host mutex a VM may go, and its mutex with it: so its mutex is not taken then.
  const isMine = mutex.take();
  if (isMine) held.push(mutex);
  for (let slot = 0; slot < Math.min(pools.vm.used, pools.vm.capacity); slot++) {
    const vm = pools.vm.at(slot);
    if (pools.vm.lives(vm)) wanted.push(vmMutex(host, vm));
  }
  for (let slot = 0; slot < Math.min(pools.device.used, pools.device.capacity); slot++) {
    const device = pools.device.at(slot);
    if (pools.device.lives(device)) wanted.push(deviceMutex(host, device));
  }
  for (const one of wanted.slice(1)) if (isMine && one.take()) held.push(one);
  const missing = wanted.filter((one) => !held.includes(one));
  const own = missing.find((one) => one.held());
  if (own !== undefined) {
    throw new IrqBypassError("EDEADLK", `${own.name} is held by this very thread: audit after the callback`, {
      subject: own.name,
    });
  }
  return isMine ? missing : [mutex];
}
