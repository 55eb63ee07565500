// Register and unregister as the compiled fast path has them: the scenarios that register, beside a connected interrupt that
// stays. Without that the index would have to get its first node each time, which is left to TypeScript.
import * as deaths from "./death.mjs";
import * as ends from "./ends.mjs";
import * as fences from "./fence.mjs";
import * as signals from "./signal.mjs";
import { compiled, neighbour, withBeside, withModule } from "./support/guest.mjs";

/** The same, in hosts that go on in TypeScript with what the compiled function has done. */
function doneTwice(made) {
  neighbour(made);
  for (const host of Object.values(made.hosts)) {
    const { registerConsumer } = host.compiled;
    const not = -1; // it has not tried
    host.compiled = {
      ...host.compiled,
      registerConsumer: (...args) => registerConsumer(...args) || not,
    };
  }
}

const beside = neighbour;

export const two = compiled(ends.two, {
  beside,
  twins: {
    "done-twice": {
      sentence: "goes on in TypeScript with what the compiled function has done",
      setup: withBeside(withModule(ends.two.setup), doneTwice),
    },
  },
});
export const four = compiled(ends.four, { beside });
export const refused = compiled(ends.refused, { beside });

export const unregister = compiled(signals.unregister, { beside });
export const deassign = compiled(signals.deassign, { beside });
export const both = compiled(fences.both, { beside });

export const deathInRegister = compiled(deaths.register);
export const deathInUnregister = compiled(deaths.unregister);
