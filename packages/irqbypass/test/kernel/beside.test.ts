/**
 * A write of another thread beside an end or a change, on a real kernel and on the software VM with either kind of eventfd: what
 * may come of it is a set of outcomes, and the kernel is the judge that it is the right one. In none of them the write is lost.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BesideRounds } from "./beside-rounds.js";
import type { Attached } from "./beside-work.js";
import { KernelWorld } from "./kernel.js";
import { msi, type Operation, type World } from "./operation.js";
import { sidesOf } from "./sides.js";
import { SoftwareWorld } from "./software.js";

const ROUNDS = 100;
const GSI = 24;
const [OLD, NEW] = [0x41, 0x42];

/** Which vectors were requested, and what was in the counter: "41 +0". */
type Outcome = string;

interface Beside {
  readonly name: string;
  /** Is there an irqfd when it begins? */
  readonly assigned: boolean;
  readonly acts: readonly Operation[];
  readonly allowed: readonly Outcome[];
  /** Is what is consumed seen somewhere? Default yes. */
  readonly seen?: boolean;
}

const off: Operation = { op: "deassign", vm: 0, e: 0, gsi: GSI };
const on: Operation = { op: "assign", vm: 0, e: 0, gsi: GSI };
const routes = (...list: ReturnType<typeof msi>[]): Operation => ({ op: "routes", vm: 0, routes: list });

const CASES: readonly Beside[] = [
  { name: "a deassign", assigned: true, acts: [off], allowed: ["41 +0", "- +1"] },
  // Counted before it, the write is an interrupt of the assign, and stays in the counter.
  { name: "an assign", assigned: false, acts: [on], allowed: ["41 +0", "41 +1"] },
  { name: "a deassign and an assign at once", assigned: true, acts: [off, on], allowed: ["41 +0", "41 +1"] },
  {
    name: "a deassign, an assign and a deassign",
    assigned: true,
    acts: [off, on, off],
    allowed: ["41 +0", "- +1"],
  },
  {
    name: "a route to another vector",
    assigned: true,
    acts: [routes(msi(GSI, 0, NEW))],
    allowed: ["41 +0", "42 +0"],
  },
  { name: "the end of its route", assigned: true, acts: [routes()], allowed: ["41 +0", "- +0"] },
  // What the guest that is gone had then, nobody sees any more.
  {
    name: "the end of its VM",
    assigned: true,
    acts: [{ op: "renew", vm: 0, irqchip: "full" }],
    allowed: ["- +0", "- +1"],
    seen: false,
  },
  // The writer closes its own right after the write: whoever comes last hangs up.
  { name: "the last close", assigned: true, acts: [{ op: "close", e: 0 }], allowed: ["41 +0"] },
];

/** One side, with what another thread needs to write to its eventfds. */
type Side = World & { readonly attached: Attached | undefined; target(e: number): number };

/** Runs the rounds of a case on one side; returns how often each outcome came. */
async function outcomes(world: Side, { assigned, acts, seen = true }: Beside): Promise<Map<Outcome, number>> {
  await using rounds = new BesideRounds("./beside-writer.js", world.attached);
  await rounds.start();
  const found = new Map<Outcome, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const before: Operation[] = [routes(msi(GSI, 0, OLD)), ...(assigned ? [on] : [])];
    world.perform({ op: "at once", operations: before });
    const dropped = world instanceof SoftwareWorld ? world.dropped(0) : 0;
    rounds.play(world.target(0), 0, () => world.perform({ op: "at once", operations: acts }));
    world.perform({ op: "at once", operations: [] }); // all of its effects are there
    const { irr, counts } = world.state();
    const vectors = irr[0]![0]!.map((vector) => vector.toString(16)).join(" ") || "-";
    const outcome = `${vectors} +${counts[0]}`;
    found.set(outcome, (found.get(outcome) ?? 0) + 1);
    // What the kernel loses for want of a route, the software VM counts.
    if (seen && world instanceof SoftwareWorld && outcome === "- +0")
      assert.equal(world.dropped(0), dropped + 1);
    world.perform({ op: "at once", operations: [off, { op: "read", e: 0 }] });
    while (world.perform({ op: "serve", vm: 0, vcpu: 0 }) !== "none");
  }
  return found;
}

const SIDES = sidesOf<Side>(
  "a real kernel",
  (kvm, barrier) => new KernelWorld(kvm, barrier),
  (eventfds) => new SoftwareWorld(eventfds),
);

describe("a write beside", () => {
  for (const one of CASES) {
    for (const { name: side, skip, run } of SIDES) {
      it(`${one.name}, on ${side}, is ${one.allowed.join(" or ")}`, { skip }, async (t) => {
        const found = await run((world) => outcomes(world, one));
        t.diagnostic([...found].map(([outcome, times]) => `${outcome}: ${times}`).join(", "));
        for (const outcome of found.keys())
          assert.ok(one.allowed.includes(outcome), `${outcome} is not allowed`);
      });
    }
  }
});
