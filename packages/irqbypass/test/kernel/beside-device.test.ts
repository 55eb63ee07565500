/**
 * A device that signals in its own thread, and is masked, disabled, reset or given another trigger beside that, while a VMM ends or
 * changes the other end: on a KVM guest of a host, whose interrupts the kernel delivers, and on software VMs with either kind of
 * eventfd. Nowhere the signal is lost.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { random } from "../death/random.js";
import { BesideRounds } from "./beside-rounds.js";
import type { DeviceAct, DeviceSide } from "./device-acts.js";
import { PLAYS } from "./device-plays.js";
import { KvmGuest } from "./kvm-guest.js";
import { sidesOf } from "./sides.js";
import { SoftwareGuest } from "./software-guest.js";

const ROUNDS = 200;
const GSI = 24;
const [OLD, NEW] = [0x41, 0x42];

const on: DeviceAct = { assign: true, gsi: GSI };
const off: DeviceAct = { assign: false, gsi: GSI };
const route = (vector?: number): DeviceAct => ({ gsi: GSI, vector });

/** Which vectors were requested, and what was in the counter: "41 +0"; "dropped" where it went nowhere. */
type Outcome = string;

interface Beside {
  readonly name: string;
  /** Is there an irqfd when it begins? */
  readonly assigned: boolean;
  readonly acts: readonly DeviceAct[];
  readonly allowed: readonly Outcome[];
}

const CASES: readonly Beside[] = [
  { name: "nothing", assigned: true, acts: [], allowed: ["41 +0"] },
  { name: "a deassign", assigned: true, acts: [off], allowed: ["41 +0", "- +1"] },
  { name: "an assign", assigned: false, acts: [on], allowed: ["41 +0", "41 +1"] },
  { name: "a deassign and an assign at once", assigned: true, acts: [off, on], allowed: ["41 +0", "41 +1"] },
  { name: "a route to another vector", assigned: true, acts: [route(NEW)], allowed: ["41 +0", "42 +0"] },
  { name: "the end of its route", assigned: true, acts: [route()], allowed: ["41 +0", "dropped"] },
  {
    name: "the switch, off and on",
    assigned: true,
    acts: [{ bypass: false }, { bypass: true }],
    allowed: ["41 +0"],
  },
  {
    name: "the switch, and a deassign and an assign",
    assigned: true,
    acts: [{ bypass: false }, off, on, { bypass: true }],
    allowed: ["41 +0", "41 +1"],
  },
];

/** Runs the rounds of a case on one side; returns how often each outcome came, and of which plays. */
async function outcomes(side: DeviceSide, { assigned, acts }: Beside): Promise<Map<Outcome, Set<string>>> {
  await using rounds = new BesideRounds("./beside-device.js", side.attached);
  await rounds.start();
  const pick = random(3);
  const found = new Map<Outcome, Set<string>>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const act of [route(OLD), assigned ? on : off]) side.act(act);
    const play = pick(PLAYS.length);
    rounds.play(side.target, play, () => {
      for (const act of acts) side.act(act);
    });
    const { vectors, count, dropped } = side.take();
    // What the kernel drops for want of a route it tells nobody.
    const isDropped = vectors.length === 0 && count === 0n && dropped !== 0;
    const names = vectors.map((vector) => vector.toString(16)).join(" ") || "-";
    const outcome = isDropped ? "dropped" : `${names} +${count}`;
    found.set(outcome, (found.get(outcome) ?? new Set()).add(PLAYS[play]!));
    side.act(off);
    side.take();
  }
  return found;
}

const SIDES = sidesOf<DeviceSide & Disposable>(
  "a KVM guest",
  (_kvm, barrier) => new KvmGuest(barrier),
  (eventfds) => new SoftwareGuest(eventfds),
);

describe("a device beside", () => {
  for (const one of CASES) {
    for (const { name, skip, run } of SIDES) {
      it(`${one.name}, on ${name}, is ${one.allowed.join(" or ")}`, { skip }, async (t) => {
        const found = await run((side) => outcomes(side, one));
        t.diagnostic([...found].map(([outcome, { size }]) => `${outcome} of ${size} plays`).join(", "));
        for (const [outcome, plays] of found)
          assert.ok(one.allowed.includes(outcome), `${outcome} of ${[...plays].join(", ")}`);
      });
    }
  }
});
