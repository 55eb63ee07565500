import { it } from "node:test";
import { msixStress } from "./msix-machine.js";

it("10,000 rounds of stores of two threads beside 10,000,000 signals of three MSI-X vectors", async (t) => {
  const { signals } = await msixStress(10_000, 10_000_000);
  t.diagnostic(`${signals} signals`);
});
