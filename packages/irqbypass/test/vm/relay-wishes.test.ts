// Whoever created the host starts a relay that others ask for, also in a wait that never sleeps: a loop that only looks, or finds
// something each time, is in no other.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, type Host, type ThreadName, Vcpu, Vm } from "irqbypass";
import { Header, RelayState } from "#src/host/layout.js";
import { noRelay, smallHost } from "../support/host.js";

/** A host whose creator notes what it starts instead of doing so. */
function bench() {
  const started: ThreadName[] = [];
  const host = smallHost({
    spawn(name) {
      started.push(name);
      return noRelay(name);
    },
  });
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: 0x41 } }]);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const eventfd = Eventfd.create(host, { initial: 9, semaphore: true });
  return { host, vm, vcpu, eventfd, started };
}

/** As another thread asks: the creator is in no call of the library, and in no turn of its event loop. */
function ask({ words }: Host): void {
  words.store(Header.relays, RelayState.wanted);
}

describe("a relay that another thread asks for is started", () => {
  type Bench = ReturnType<typeof bench>;
  const waits: Readonly<Record<string, (it: Bench) => unknown>> = {
    "Vcpu.wait that looks": ({ vcpu }) => vcpu.wait({ timeoutMs: 0 }),
    "Vcpu.wait that finds something": ({ vm, vcpu }) => {
      vm.setIrqLine(1, true);
      return vcpu.wait();
    },
    "Vcpu.waitAsync that looks": ({ vcpu }) => vcpu.waitAsync({ timeoutMs: 0 }),
    "Eventfd.read that finds something": ({ eventfd }) => eventfd.read(),
    "Eventfd.readAsync that finds something": ({ eventfd }) => eventfd.readAsync(),
  };
  for (const [name, wait] of Object.entries(waits)) {
    it(`by the creator's ${name}`, async () => {
      const it = bench();
      ask(it.host);
      assert.deepEqual(it.started, []);
      const waited = wait(it);
      assert.deepEqual(it.started, ["irqbypass/relay-worker"]);
      await waited;
      it.vcpu.put();
      it.vm.dispose();
      it.host.dispose();
    });
  }
});
