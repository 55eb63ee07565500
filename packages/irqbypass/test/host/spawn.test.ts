/** Threads that the library starts: what they are told, how they end, and the caller's own way to start them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, type EventfdContext, Host, type Spawn, type ThreadName, Vcpu, Vm } from "irqbypass";
import { Kvm, KvmMachine } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { platformHere } from "#src/host/platform-here.js";
import { SpawnedThread, type ThreadModule } from "#src/host/spawn.js";
import { bootGuest, guestPages } from "#src/kvm/guest.js";
import { kvmTests } from "../kvm/available.js";
import { eventually } from "../kvm/eventually.js";
import { linux as linuxTests } from "../linux/available.js";
import { smallHost } from "../support/host.js";
import { PATIENCE_MS } from "../support/worker.js";

const RELAY: ThreadName = "irqbypass/relay-worker";
const LINUX_RELAY: ThreadName = "irqbypass/linux-relay-worker";
const OWN = new URL("./own-worker.js", import.meta.url);

/** A caller's own way to start workers, which notes what was asked for. */
class Own {
  readonly names: ThreadName[] = [];
  private readonly workers: Worker[] = [];
  readonly spawn: Spawn = (name) => {
    this.names.push(name);
    const worker = new Worker(OWN);
    worker.postMessage("the caller's own message"); // comes first, and is none of the library's business
    this.workers.push(worker);
    return worker;
  };

  /** Resolves when every worker has ended by itself. */
  async ended(): Promise<void> {
    for (const worker of this.workers) {
      if (worker.threadId < 0) continue;
      worker.ref(); // the library lets the process end before it
      await once(worker, "exit");
    }
  }
}

/** Has a signal of an eventfd relayed to a vCPU, then takes everything down. */
async function relay(host: Host, eventfd: EventfdContext): Promise<void> {
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 5, msi: { vcpu: 0, vector: 0x41 } }]);
  vm.irqfd(eventfd, 5);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  eventfd.signal();
  assert.equal(await vcpu.waitAsync({ timeoutMs: PATIENCE_MS }), "interrupt");
  assert.equal(vcpu.acknowledge(), 0x41);
  vcpu.put();
  vm.dispose();
}

/** A thread's module for tests of what becomes of it. */
function moduleOf(code: string): ThreadModule {
  const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  return { name: RELAY, start: () => new Worker(url) };
}

const here = { platform: platformHere() };
const ended = (thread: SpawnedThread) => new Promise<Error | undefined>((resolve) => thread.onExit(resolve));

describe("the caller's own way to start a worker", () => {
  it("is asked for the relay by name, and the relay ends with the host", async () => {
    const own = new Own();
    const host = smallHost({ spawn: own.spawn });
    await relay(host, Eventfd.create(host));
    host.dispose();
    await own.ended();
    assert.deepEqual(own.names, [RELAY]);
  });

  it("is asked for the relay of each kind; one module may run all of them", linuxTests, async () => {
    const own = new Own();
    const host = smallHost({ spawn: own.spawn, kinds: [linux()] });
    await relay(host, LinuxEventfd.create(host));
    await relay(host, Eventfd.create(host));
    host.dispose();
    await own.ended();
    assert.deepEqual(own.names.sort(), [LINUX_RELAY, RELAY]);
  });

  it("starts the threads of a KVM guest", kvmTests, async () => {
    const own = new Own();
    using kvm = Kvm.open();
    using machine = new KvmMachine(kvm, { pages: guestPages(1), spawn: own.spawn });
    bootGuest(machine, 1);
    const thread = machine.vcpus[0]!.start();
    await eventually(
      () => thread.tid !== 0,
      () => "the vCPU's thread has not begun",
    );
    await machine.stop();
    await own.ended();
    assert.deepEqual(own.names, ["irqbypass/kvm-vcpu-worker"]);
  });

  it("is each thread's own, and is not asked by one that needs no worker", () => {
    const own = new Own();
    const host = smallHost();
    const other = Host.attach(host.handle, { spawn: own.spawn });
    assert.equal(other.spawn, own.spawn);
    assert.equal(host.spawn, undefined);
    other.dispose();
    host.dispose();
    assert.deepEqual(own.names, []);
  });

  it("is refused where it is no function", () => {
    const host = smallHost();
    for (const spawn of [null, "worker.js", { spawn: 1 }] as unknown as Spawn[]) {
      const refusal = { code: "EINVAL", message: /spawn is .*: give a function that returns a new Worker/ };
      assert.throws(() => Host.create({ spawn }), refusal);
      assert.throws(() => Host.attach(host.handle, { spawn }), refusal);
    }
  });

  it("is told from a kind's own, which is looked at too", () => {
    for (const thread of [undefined, 1, {}, { name: "mine" }, { start() {} }] as unknown as ThreadModule[]) {
      const kinds = [{ name: "mine", relay: { thread, wake() {} } }];
      assert.throws(() => Host.create({ kinds }), { code: "EINVAL" });
    }
  });

  it("is refused for what is no worker", () => {
    for (const answer of [undefined, null, 7, {}, { postMessage() {} }, { once() {} }]) {
      const spawn = (() => answer) as unknown as Spawn;
      assert.throws(() => new SpawnedThread(moduleOf(""), 0, { ...here, spawn }), {
        code: "EINVAL",
        message: /spawn returned .* for irqbypass\/relay-worker: return a new Worker/,
      });
    }
  });
});

describe("a thread of the library", () => {
  it("says when it ended, and with which error", async () => {
    assert.equal(await ended(new SpawnedThread(moduleOf(""), 0, here)), undefined);
    const failure = await ended(new SpawnedThread(moduleOf('throw new Error("no luck")'), 0, here));
    assert.equal(failure?.message, "no luck");
  });

  it("has a number, also when it has ended", async () => {
    const thread = new SpawnedThread(moduleOf(""), 0, here);
    const { number } = thread;
    assert.ok(number > 0);
    await ended(thread);
    assert.equal(thread.number, number);
  });

  it("reports the error of a page's worker once, and names the module that could not be loaded", () => {
    const events: ((event: unknown) => void)[] = [];
    const spawn: Spawn = () => ({
      postMessage() {},
      addEventListener: (_: string, listener: (event: unknown) => void) => events.push(listener),
    });
    const heard: (string | undefined)[] = [];
    for (const event of [{}, { message: "no luck" }]) {
      new SpawnedThread(moduleOf(""), 0, { ...here, spawn }).onExit((error) => heard.push(error?.message));
      const fire = events.pop()!;
      fire(event);
      fire(event);
    }
    assert.equal(heard.length, 2);
    assert.match(
      heard[0] ?? "",
      /^EIO: the worker of irqbypass\/relay-worker did not start from where spawn has it: /,
    );
    assert.equal(heard[1], "no luck");
  });
});
