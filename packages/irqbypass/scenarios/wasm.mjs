// The scenarios of posting and of signals that the fast path is in, once more with its compiled version, as hosts run it: each
// of its instructions that touches memory is an access.

import { rewrittenModule } from "#scenarios/support/compiled.js";
import * as epolls from "./epoll.mjs";
import * as posting from "./posting.mjs";
import * as signals from "./signal.mjs";
import { compiled, expect, withModule } from "./support/guest.mjs";

/** A twin of `scenario` whose module has other bytes wherever `from` stands. */
const patched = (scenario, sentence, from, to) => ({
  sentence,
  setup: (world) => withModule(scenario.setup, replaced(rewrittenModule(), from, to))(world),
});

function replaced(module, from, to) {
  const bytes = module.slice();
  let found = 0;
  for (let at = 0; at + from.length <= bytes.length; at++) {
    if (!from.every((byte, i) => bytes[at + i] === byte)) continue;
    bytes.set(to, at);
    found += 1;
  }
  expect(found > 0, "the module has no such instructions: has the code changed?");
  return bytes;
}

// Instructions as bytes: i32.const is 0x41, call 0x10, i32.and 0x71, i32.eq 0x46, i32.atomic.rmw.xchg is the call of import 5.
const IS_WAKEUP_VECTOR = [0x41, 0xf1, 0x01, 0x46];
const IS_NOTIFICATION_VECTOR = [0x41, 0xf2, 0x01, 0x46];
const EXCHANGE_AND_LOOK = [0x10, 5, 0x41, 1, 0x71];
const EXCHANGE_AND_LOOK_AWAY = [0x10, 5, 0x41, 0, 0x71];
const OR_ON = [0x41, 1, 0x10, 2, 0x22];
const OR_NOTHING = [0x41, 0, 0x10, 2, 0x22];

export const halt = compiled(posting.halt, {
  twins: {
    "other-vector": patched(
      posting.halt,
      "wakes a vCPU that asks for the notification vector, and not one that asks for the wake-up vector",
      IS_WAKEUP_VECTOR,
      IS_NOTIFICATION_VECTOR,
    ),
  },
});
export const harvest = compiled(posting.harvest, {
  twins: { "sets-no-on": patched(posting.harvest, "posts without setting ON", OR_ON, OR_NOTHING) },
});
export const migration = compiled(posting.migration);
export const death = compiled(posting.death);

export const add = compiled(epolls.add);
export const level = compiled(epolls.level);

export const deassign = compiled(signals.deassign);
export const fence = compiled(signals.fence, {
  twins: {
    "looks-away": patched(
      signals.fence,
      "clears the in-flight word without looking whether a fence waits for it",
      EXCHANGE_AND_LOOK,
      EXCHANGE_AND_LOOK_AWAY,
    ),
  },
});
export const unregister = compiled(signals.unregister);
export const reroute = compiled(signals.reroute);
export const switched = compiled(signals.switched);
