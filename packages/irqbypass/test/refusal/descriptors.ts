/** A process that may have few descriptors: what each call says that takes one, where none is left. Prints it as JSON. */
import { closeSync, openSync, readdirSync } from "node:fs";
import { IrqBypassError, Vm } from "irqbypass";
import { KvmVm, kvm, whyNoKvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { smallHost } from "../support/host.js";
import { wordsOf } from "./words.js";

const isKvm = whyNoKvm() === undefined;
const host = smallHost({ kinds: isKvm ? [linux(), kvm()] : [linux()] });
const vm = new Vm(host);
const eventfd = LinuxEventfd.create(host);
const guest = isKvm ? new KvmVm(host, { vcpus: 2 }) : undefined;

/** Name, how many descriptors are left, the call. */
const calls: (readonly [string, number, () => unknown])[] = [
  ["create", 0, () => LinuxEventfd.create(host)],
  ["create, looked at", 1, () => LinuxEventfd.create(host)],
  ["adopt", 0, () => LinuxEventfd.adopt(host, eventfd.fd)],
  ["adopt, looked at", 1, () => LinuxEventfd.adopt(host, eventfd.fd)],
  ["count", 0, () => eventfd.count],
  ["irqfd", 0, () => vm.irqfd(eventfd, 24)],
  ["irqfd, the relay's", 1, () => vm.irqfd(eventfd, 24)],
];
if (guest !== undefined) {
  for (const left of [0, 1, 2])
    calls.push([`a guest, ${left} left`, left, () => new KvmVm(host, { vcpus: 2 })]);
  for (const left of [0, 5, 10]) calls.push([`start, ${left} left`, left, () => guest.start()]);
}

const open = () => readdirSync("/proc/self/fd").length;

function withDescriptors(left: number, call: () => unknown): unknown {
  const held: number[] = [];
  try {
    for (;;) held.push(openSync("/dev/null", "r"));
  } catch {
    // full
  }
  for (let i = 0; i < left; i++) closeSync(held.pop()!);
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

const found = calls.map(([what, left, call]) => {
  const [before, descriptors] = [wordsOf(host), open()];
  const error = withDescriptors(left, call);
  const typed = error instanceof IrqBypassError;
  return {
    what: `${what}: ${error instanceof Error ? error.message : "it succeeded"}`,
    typed,
    code: typed ? error.code : undefined,
    advice: typed && /no descriptor left|descriptors/.test(error.message),
    words: wordsOf(host).compare(before),
    descriptors: open() - descriptors,
  };
});
console.log(JSON.stringify(found));
process.exit(); // whatever runs
