/**
 * A process of its own: every vCPU is halted inside KVM_RUN, then the process ends in the way that its argument
 * says. Prints "halted" when it is so far.
 */
import { bootGuest, guestPages, guestTables } from "#src/kvm/guest.js";
import { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine } from "#src/kvm/machine.js";
import { msiTo } from "#src/kvm/structs.js";
import { eventually } from "./eventually.js";

const VCPUS = 2;
using kvm = Kvm.open();
const machine = new KvmMachine(kvm, { pages: guestPages(VCPUS) });
bootGuest(machine, VCPUS);
for (const vcpu of machine.vcpus) {
  vcpu.start();
  machine.signalMsi(msiTo(vcpu.index, 0x41));
  const { count } = guestTables(machine.memory, vcpu.index);
  eventually(
    () => Atomics.load(count, 0x41) === 1,
    () => `vCPU ${vcpu.index} runs`,
  );
}

const endings: Readonly<Record<string, () => void>> = {
  "a SIGINT that nobody handles": () => {},
  "a SIGINT whose handler exits": () => {
    process.once("SIGINT", () => process.exit(130));
  },
  "a SIGINT whose handler disposes": () => {
    process.once("SIGINT", () => machine[Symbol.dispose]());
  },
  "a throw on the main thread": () => {
    setImmediate(() => {
      throw new Error("on purpose");
    });
  },
  "a rejection that nobody handles": () => {
    void Promise.reject(new Error("on purpose"));
  },
  "process.exit": () => {
    setImmediate(() => process.exit(3));
  },
};
const ending = endings[process.argv[2] ?? ""];
if (ending === undefined) throw new Error(`no such ending: ${process.argv[2]}`);
// Let main finish, and the vCPUs reach their hlt, before the parent sends its signal.
setTimeout(() => {
  ending();
  console.log("halted");
}, 50);
