import type { BypassHost } from "../bypass/bypass-host.js";
import { healHost } from "../bypass/heal.js";
import { healDevice } from "../device/device-repair.js";
import type { Repair } from "../host/memory.js";
import { loseAll, loseThread } from "./lost-thread.js";
import { endLostTable, healTable } from "./msix/end.js";
import { healVm, leaveForIt, notifyForIt, recoverMutexes } from "./repair.js";

/** What a host does when a thread has died. */
export class HostRepair implements Repair {
  constructor(private readonly memory: BypassHost) {}

  host(dead: number): void {
    healHost(this.memory, dead);
  }

  vm(vm: number): void {
    healVm(this.memory, vm);
  }

  device(device: number, dead: number): void {
    const { thread } = this.memory;
    const gone = thread.recordOf(dead);
    // One that has been repaired after has given its record back: what that asks for is another thread's.
    const isTables = healTable(this.memory, device, thread.lockIdOf(gone) === dead ? gone : 0);
    if (!isTables) healDevice(this.memory, device, gone);
  }

  table(table: number): void {
    endLostTable(this.memory, table);
  }

  thread(gone: number): void {
    recoverMutexes(this.memory, gone);
    notifyForIt(this.memory, gone);
    leaveForIt(this.memory, gone);
  }

  lose(gone: number): boolean {
    return loseThread(this.memory, gone);
  }

  loseAll(exited?: number): void {
    loseAll(this.memory, exited);
  }
}
