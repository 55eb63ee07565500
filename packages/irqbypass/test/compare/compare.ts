/**
 * Random scenes: a VM of KVM and a software VM are made alike, take the same random steps, and must show the same result and the same
 * registers after each. fast-check shrinks what does not.
 */
import fc from "fast-check";
import type { Kvm } from "#src/kvm/kvm.js";
import { accesses, eois, extInts, lines, lint0s, ports, registers, takes } from "./chips.js";
import { looks, states } from "./events.js";
import { ipis, selfIpis } from "./ipis.js";
import { routes, signals } from "./irqfds.js";
import { KernelSide } from "./kernel-side.js";
import { messages } from "./messages.js";
import { boots, ends, loads, modes, readMsrs, services, stores, writeMsrs, writes } from "./registers.js";
import type { Scene } from "./scene.js";
import { SoftwareSide } from "./software-side.js";
import type { Step } from "./step.js";

/** What a run is about, and so which steps it takes more often than others. */
export const SUBJECTS = ["messages", "ipis", "registers", "irqfds", "chips"] as const;
export type Subject = (typeof SUBJECTS)[number];

/** The kinds of steps, with how often each comes by the subject. */
const KINDS: readonly {
  readonly steps: (scene: Scene) => fc.Arbitrary<Step>;
  readonly weight: Partial<Record<Subject, number>>;
}[] = [
  { steps: messages, weight: { messages: 60, ipis: 5, registers: 5, irqfds: 4, chips: 3 } },
  { steps: ipis, weight: { messages: 2, ipis: 60, registers: 3, irqfds: 2 } },
  { steps: selfIpis, weight: { ipis: 6, registers: 2, irqfds: 2 } },
  { steps: writes, weight: { messages: 14, ipis: 14, registers: 40, irqfds: 16, chips: 4 } },
  { steps: writeMsrs, weight: { registers: 14, irqfds: 3 } },
  { steps: readMsrs, weight: { registers: 14 } },
  { steps: stores, weight: { registers: 4 } },
  { steps: loads, weight: { registers: 6 } },
  { steps: modes, weight: { messages: 3, ipis: 3, registers: 6, irqfds: 5, chips: 1 } },
  { steps: services, weight: { messages: 4, ipis: 2, registers: 5, irqfds: 3 } },
  { steps: ends, weight: { messages: 4, ipis: 2, registers: 5, irqfds: 3 } },
  { steps: looks, weight: { messages: 4, ipis: 6, registers: 2, irqfds: 4 } },
  { steps: states, weight: { messages: 1, ipis: 3, registers: 1, irqfds: 1 } },
  { steps: routes, weight: { irqfds: 16 } },
  { steps: signals, weight: { irqfds: 50 } },
  { steps: lines, weight: { chips: 30 } },
  { steps: registers, weight: { chips: 24 } },
  { steps: accesses, weight: { chips: 3 } },
  { steps: ports, weight: { chips: 26 } },
  { steps: extInts, weight: { chips: 8 } },
  { steps: lint0s, weight: { chips: 3 } },
  { steps: takes, weight: { chips: 30 } },
  { steps: eois, weight: { chips: 24 } },
];

const LONGEST = 80;

const scenes: fc.Arbitrary<Omit<Scene, "chips">> = fc.record({
  ids: fc.oneof(
    {
      weight: 6,
      arbitrary: fc.integer({ min: 1, max: 5 }).map((count) => Array.from({ length: count }, (_, id) => id)),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom([0, 1, 256, 300], [0, 2, 17, 18], [3, 1, 0], [0, 255, 259, 515]),
    },
  ),
  longIds: fc.boolean(),
  broadcastQuirk: fc.constantFrom(true, true, false),
});

const plays = (subject: Subject) =>
  scenes.chain((made) => {
    const chips = subject === "chips";
    // Few vCPUs, so that what a pin sends is taken and ended often.
    const scene: Scene = { ...made, ids: chips ? made.ids.slice(0, 2) : made.ids, chips };
    const kinds = KINDS.filter(({ weight }) => (weight[subject] ?? 0) > 0).map(({ steps, weight }) => ({
      arbitrary: steps(scene),
      weight: weight[subject] ?? 0,
    }));
    const steps = fc.array(fc.oneof(...kinds), { minLength: 1, maxLength: LONGEST, size: "max" });
    return fc.record({ scene: fc.constant(scene), boot: boots(scene), steps });
  });

/** Puts a fault into the software side, which a comparison must find. */
export type Plant = (side: SoftwareSide) => void;

/** Takes the steps on both sides; throws at the first that differs, with all of them up to there. Returns how many there were. */
function play(kvm: Kvm, scene: Scene, steps: readonly Step[], plant: Plant): number {
  using kernel = new KernelSide(kvm, scene);
  using software = new SoftwareSide(scene);
  plant(software);
  const trace: string[] = [JSON.stringify(scene)];
  const same = (name: string, there: string, here: string) => {
    if (there !== here) throw new Error([...trace, name, ...differences(there, here)].join("\n  "));
    trace.push(`${name} -> ${there.split("\n", 1)[0]}`);
  };
  for (const step of steps) {
    const result = orThrow(
      () => step.kernel(kernel),
      () => [...trace, step.name],
    );
    const there = [result, ...kernel.state()].join("\n");
    const here = step.software(software);
    software.settle();
    same(step.name, there, [here, ...software.state()].join("\n"));
  }
  const all = scene.ids.map((_, index) => index);
  same(
    "events",
    all.map((index) => kernel.events(index)).join("\n"),
    all.map((index) => software.events(index)).join("\n"),
  );
  same("state", kernel.state().join("\n"), software.state().join("\n"));
  return steps.length;
}

/** A step that the kernel has no result for fails with all of them, too. */
function orThrow(step: () => string, trace: () => readonly string[]): string {
  try {
    return step();
  } catch (error) {
    throw new Error([...trace(), causeOf(error)].join("\n  "), { cause: error });
  }
}

/** The lines that differ, and of each the words. */
function differences(there: string, here: string): string[] {
  const [kernel, software] = [there.split("\n"), here.split("\n")];
  return kernel.flatMap((line, at) =>
    line === software[at] ? [] : [`kernel:   ${line}`, `software: ${software[at]}`],
  );
}

/** Compares until so many steps have agreed. Throws with the shrunk scene where one differs. */
export function compare(kvm: Kvm, subject: Subject, count: number, seed: number, plant?: Plant): number {
  let done = 0;
  for (let round = 0; done < count; round++) {
    const outcome = fc.check(
      fc.property(plays(subject), ({ scene, boot, steps }) => {
        done += play(kvm, scene, [...boot, ...steps], plant ?? (() => {}));
      }),
      // A fault that was planted need not be shrunk.
      { seed: seed + round, numRuns: 10, endOnFailure: plant !== undefined },
    );
    if (outcome.failed)
      throw new Error(`${subject}, seed ${seed + round}: ${causeOf(outcome.errorInstance)}`);
  }
  return done;
}

const causeOf = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error));
