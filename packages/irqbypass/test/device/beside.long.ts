import { it } from "node:test";
import { besideStress } from "./beside-stress.js";

it("10,000 masks, re-routes, disables and resets beside 10,000,000 signals of another thread", async (t) => {
  const tally = await besideStress(10_000, 10_000_000, Date.now() | 1);
  for (const [name, { rounds, signals, counted, interrupts }] of tally)
    t.diagnostic(
      `${name}: ${rounds} beside ${signals} signals, ${counted} counted, ${interrupts} interrupts`,
    );
});
