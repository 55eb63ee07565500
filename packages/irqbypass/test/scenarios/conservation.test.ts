// No signal is lost beside what ends or changes: every scenario of such a thing accounts for its signals, or says that there are
// none. What it does is seen in the words of the memory, not taken from its name.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { Cast, Subject, World } from "atomics-explorer";
import { doings } from "#scenarios/support/ends-and-changes.js";
import { SCENARIOS, scenarios } from "#scenarios/support/scenarios.js";

/** Why a scenario has no signals to account for, by the name of the scenario. */
const reasons = new Map<string, string>();
for (const file of readdirSync(SCENARIOS).filter((name) => name.endsWith(".mjs"))) {
  const exported = (await import(new URL(file, `file://${SCENARIOS}`).href)) as Record<
    string,
    { conserves?: string }
  >;
  for (const [name, { conserves }] of Object.entries(exported))
    if (conserves !== undefined) reasons.set(`${file.slice(0, -".mjs".length)}/${name}`, conserves);
}

/** What is wrong with what a scenario says of its signals; undefined where nothing is. */
async function faultOf(subject: Subject, reason: string | undefined): Promise<string | undefined> {
  const { ends, signals, hosted, cast } = await doings(subject);
  const changes = hosted && subject.settings.kills !== undefined ? [...ends, "a thread dies"] : ends;
  const accounts = (cast.end as { conserves?: true } | undefined)?.conserves === true;
  if (reason !== undefined) {
    if (accounts) return "says why it accounts for no signal, and accounts for some";
    if (changes.length === 0) return `says "${reason}", and nothing ends or changes in it`;
    return signals.length === 0
      ? undefined
      : `says "${reason}", and there are signals: ${signals.join(", ")}`;
  }
  if (accounts || changes.length === 0) return undefined;
  return `something ends or changes (${changes.join(", ")}): account for its signals with conserves()`;
}

const shipped = (await scenarios()).filter(({ twin }) => !twin);
for (const subject of shipped) {
  test(`${subject.name} accounts for its signals`, async () => {
    assert.equal(await faultOf(subject, reasons.get(subject.name)), undefined);
  });
}

test("a scenario that says nothing, or what is not so, is found", async () => {
  const named = (name: string) => shipped.find((one) => one.name === name)!;
  const silent = (subject: Subject): Subject => ({
    ...subject,
    setup(world: World): Cast {
      const { end, ...cast } = subject.setup(world);
      return end === undefined ? cast : { ...cast, end: (results) => end(results) };
    },
  });
  const NONE = "nothing is signalled";
  for (const [subject, reason, wanted] of [
    [silent(named("signal/deassign")), undefined, /ends or changes \(.*eventfd\.irqfd/],
    [silent(named("signal/switched")), undefined, /ends or changes \(.*header\.bypass/],
    [silent(named("signal/reroute")), undefined, /ends or changes \(.*vm\.routing/],
    [silent(named("death-signal/vcpu")), undefined, /ends or changes \(a thread dies\)/],
    [silent(named("signal/deassign")), NONE, /and there are signals: .*eventfd\.counter/],
    [silent(named("posting/halt")), NONE, /nothing ends or changes in it/],
    [named("signal/deassign"), NONE, /and accounts for some/],
  ] as const)
    assert.match((await faultOf(subject, reason)) ?? "nothing", wanted);
});
