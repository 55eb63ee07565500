import { it } from "node:test";
import { kvmTests } from "../kvm/available.js";
import { msixDeaths, msixStress } from "./msix-machine.js";

it("10,000 rounds of stores of two threads beside 10,000,000 signals of three MSI-X vectors", async (t) => {
  const { signals } = await msixStress(10_000, 10_000_000);
  t.diagnostic(`${signals} signals`);
});

it("1,000 ends of a thread that stores to MSI-X entries", async (t) => {
  t.diagnostic(`${await msixDeaths(false, 1_000)} rounds of stores`);
});

it("300 of one that stores to those of a KVM guest", kvmTests, async (t) => {
  t.diagnostic(`${await msixDeaths(true, 300)} rounds of stores`);
});
