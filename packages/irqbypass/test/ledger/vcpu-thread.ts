/** A vCPU of the ledger's software VM: takes every interrupt and enters it to its line; now and then it leaves its thread. */
import { workerData } from "node:worker_threads";
import { Host, Vcpu, Vm } from "irqbypass";
import { linux } from "irqbypass/linux";
import { random } from "../death/random.js";
import { LineWord, lineOf, wordOf } from "./board.js";
import { plant } from "./plants.js";
import type { Work } from "./work.js";

const { host: handle, words, lines, seed, vm, vcpu: index, plant: planted } = workerData as Work;
const host = Host.attach(handle, {
  kinds: lines.some(({ kind }) => kind.startsWith("linux")) ? [linux()] : [],
});
plant(planted, "vcpu", host);
const own = Vm.open(host, vm!).vcpu(index!).handle;
const pick = random(seed);
const STAYS = 200;

for (let over = false; !over; ) {
  const vcpu = Vcpu.open(host, own);
  for (let left = 1 + pick(STAYS); left > 0 && !over; left--) {
    over = vcpu.wait() === "kicked"; // the ledger's way to say that it is over
    for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
      Atomics.add(words, wordOf(lineOf(vector), LineWord.taken), 1); // before the EOI: in service is not yet entered
      vcpu.eoi();
    }
  }
  vcpu.put();
}
host.dispose();
