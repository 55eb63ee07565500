import type { Attached } from "./beside-work.js";
import type { DeviceAct, DeviceSide } from "./device-acts.js";
import { msi, type Operation } from "./operation.js";
import { SoftwareWorld } from "./software.js";

/** The software VM as a side of the tests of a device. */
export class SoftwareGuest implements DeviceSide {
  private readonly world: SoftwareWorld;
  private dropped = 0;

  constructor(eventfds: "shared" | "linux") {
    this.world = new SoftwareWorld(eventfds);
  }

  get attached(): Attached {
    return this.world.attached;
  }

  get target(): number {
    return this.world.target(0);
  }

  act(act: DeviceAct): void {
    if ("bypass" in act) {
      this.world.bypass = act.bypass;
      return;
    }
    const { gsi } = act;
    const operation: Operation =
      "vector" in act
        ? { op: "routes", vm: 0, routes: act.vector === undefined ? [] : [msi(gsi, 0, act.vector)] }
        : { op: act.assign ? "assign" : "deassign", vm: 0, e: 0, gsi };
    this.world.perform({ op: "at once", operations: [operation] });
  }

  take(): { vectors: readonly number[]; count: bigint; dropped: number } {
    const { world } = this;
    world.perform({ op: "at once", operations: [] }); // all of its effects are there
    const { irr } = world.state();
    const count = world.perform({ op: "read", e: 0 });
    while (world.perform({ op: "serve", vm: 0, vcpu: 0 }) !== "none");
    const before = this.dropped;
    this.dropped = world.dropped(0);
    return {
      vectors: irr[0]![0]!,
      count: count === "EAGAIN" ? 0n : BigInt(count),
      dropped: this.dropped - before,
    };
  }

  [Symbol.dispose](): void {
    this.world[Symbol.dispose]();
  }
}
