/** Where there is no record, and no descriptor, left. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Eventfd, VfioPciDevice } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { kvmTests } from "../kvm/available.js";
import { linux as linuxTests } from "../linux/available.js";
import { smallHost } from "../support/host.js";
import { wordsOf } from "./words.js";

const unmask = (eventfd: Eventfd) =>
  ({ index: "intx", start: 0, count: 1, action: "unmask", data: "eventfd", eventfds: [eventfd] }) as const;

describe("no record left", () => {
  it("an unmask eventfd that cannot be listened to is refused, and listened to when there is room (d6)", async () => {
    const host = smallHost({ capacity: { eventfd: 8, reference: 3 } });
    const [trigger, asked] = [Eventfd.create(host), Eventfd.create(host)];
    const device = new VfioPciDevice(host, { intx: true });
    device.setTrigger("intx", 0, trigger);
    const third = Eventfd.create(host);
    asked.write(5);
    const before = wordsOf(host);
    assert.throws(() => device.setIrqs(unmask(asked)), { code: "ENOMEM", subject: "reference" });
    assert.deepEqual(wordsOf(host).compare(before), []);
    assert.equal(asked.tryRead(), 5n);
    third.close();
    device.setIrqs(unmask(asked));
    device.intx.assert();
    assert.deepEqual([trigger.tryRead(), device.intx.masked], [1n, true]);
    asked.write(1);
    while (trigger.count === 0n) await new Promise((resolve) => setTimeout(resolve, 1));
    device.dispose();
    for (const one of [trigger, asked]) one.close();
    await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(host.audit().live.reference, 0);
    host.dispose();
  });

  it("a table of a KVM guest stays that could not have all of its injections (d20)", kvmTests, () => {
    const host = smallHost({ kinds: [linux(), kvm()], capacity: { injection: 1 } });
    const vm = new KvmVm(host);
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x40 } }]);
    const eventfds = [0, 1].map(() => LinuxEventfd.create(host));
    const irqfds = eventfds.map((eventfd, i) => vm.irqfd(eventfd, 24 + i));
    const two = [0, 1].map((i) => ({ gsi: 24 + i, msi: { vcpu: 0, vector: 0x41 + i } }));
    const before = wordsOf(host);
    assert.throws(() => vm.setGsiRouting(two), { code: "ENOMEM", subject: "injection" });
    assert.deepEqual(wordsOf(host).compare(before), []);
    assert.deepEqual(
      irqfds.map(({ reasons }) => reasons),
      [["no-producer"], ["no-route", "no-producer"]],
    );
    vm.setGsiRouting([two[1]!]); // the one that there is goes from the one to the other
    assert.deepEqual(
      irqfds.map(({ reason }) => reason),
      ["no-route", "no-producer"],
    );
    vm.setGsiRouting([{ gsi: 25, msi: { vcpu: 0, vector: 0x50 } }]);
    vm.setGsiRouting([]);
    assert.equal(host.audit().live.injection, 0);
    vm.dispose();
    for (const eventfd of eventfds) eventfd.close();
    host.dispose();
  });
});

describe("no descriptor left", linuxTests, () => {
  it("is EMFILE for each call that takes one, with nothing changed and none left open (d21)", () => {
    const child = fileURLToPath(new URL("./descriptors.js", import.meta.url));
    const { stdout, stderr, status } = spawnSync(
      "bash",
      ["-c", `ulimit -n 128 && exec "${process.execPath}" "${child}"`],
      { encoding: "utf8" },
    );
    assert.equal(status, 0, stderr);
    const found = JSON.parse(stdout) as Record<string, unknown>[];
    assert.ok(found.length >= 7);
    for (const { what, ...came } of found)
      assert.deepEqual(
        came,
        { typed: true, code: "EMFILE", advice: true, words: [], descriptors: 0 },
        String(what),
      );
  });
});
