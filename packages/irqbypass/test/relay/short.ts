/**
 * A process of its own that has few descriptors (its test sees to that): an irqfd is assigned while no more than so many are free,
 * then some more become free. Prints what the irqfd said, whether the interrupt came by itself, and what the irqfd says in the end.
 */
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Eventfd, Host, IrqBypassError, Vcpu, Vm } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { PATIENCE_MS, until } from "../support/worker.js";

const GSI = 24;
/** So many are free then: as Node's import opens all files of a thread at once, enough for the few that are shipped, and too few for the workshop's. */
const ENOUGH = 30;
const free = Number(process.argv[2]);
const host = Host.create({ kinds: [linux()] });
const vm = new Vm(host);
vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: 0x41 } }]);
const eventfd = process.argv[3] === "linux" ? LinuxEventfd.create(host) : Eventfd.create(host);

const held: number[] = [];
for (;;) {
  try {
    held.push(openSync("/dev/null", "r"));
  } catch {
    break;
  }
}
for (let left = free; left > 0; left--) closeSync(held.pop()!);

let refused: string | undefined;
try {
  vm.irqfd(eventfd, GSI);
} catch (error) {
  if (!(error instanceof IrqBypassError)) throw error;
  refused = error.code;
}
const irqfd = refused === undefined ? () => host.interrupts()[0]! : undefined;
if (irqfd !== undefined) eventfd.write();
await sleep(700); // longer than it takes until a start that failed is tried again
const meanwhile = irqfd?.().reason;
const { waiting } = host.audit();
for (const fd of held.slice(0, ENOUGH - free)) closeSync(fd);
if (irqfd === undefined) {
  vm.irqfd(eventfd, GSI);
  eventfd.write();
}
const came = await Vcpu.open(host, vm.vcpu(0).handle).waitAsync({ timeoutMs: PATIENCE_MS });
await until("the relay runs", () => host.interrupts()[0]?.reason === "no-producer");
console.log(JSON.stringify({ refused, meanwhile, waiting, came, findings: host.audit().findings.length }));
process.exit(0);
