/** Each kind of finding: a sound host is damaged by hand, and the audit says exactly that. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FINDING_KINDS } from "irqbypass";
import { Consumer, Header, Routing, Vm as V } from "#src/host/layout.js";
import { DEVICES } from "./device-damage.js";
import { ENDS } from "./ends-damage.js";
import { EPOLLS } from "./epoll-damage.js";
import { GROUND } from "./ground-damage.js";
import { IOEVENTFDS } from "./ioeventfd-damage.js";
import { Sound } from "./sound.js";
import { VMS } from "./vm-damage.js";

const CASES = [...GROUND, ...ENDS, ...VMS, ...IOEVENTFDS, ...EPOLLS, ...DEVICES];

describe("the audit of a damaged host", () => {
  for (const { what, damage, found } of CASES) {
    it(`finds ${what}`, () => {
      const sound = new Sound();
      assert.deepEqual(sound.host.audit().findings, []);
      damage(sound);
      const { findings } = sound.host.audit();
      assert.deepEqual(
        findings.map(({ kind, subject }) => `${kind} ${subject}`).sort(),
        [...found].sort(),
        findings.map(({ message }) => message).join("\n"),
      );
      for (const { subject, message } of findings) assert.ok(message.startsWith(`${subject}: `));
    });
  }

  it("finds a mutex that nobody lets go of, and says what it can without it", () => {
    const sound = new Sound();
    sound.set(sound.at("vm", 0) + V.mutex, 5 << 1);
    sound.set(sound.at("consumer", 3) + Consumer.refusal, 70);
    const ofVm = sound.host.audit().findings.map(({ kind, subject }) => `${kind} ${subject}`);
    assert.deepEqual(ofVm, ["mutex the mutex of VM 0", "value irqfd 3"]);
    sound.set(Header.mutex, 5 << 1);
    const ofHost = sound.host.audit().findings.map(({ kind, subject }) => `${kind} ${subject}`);
    assert.deepEqual(ofHost, ["mutex the host mutex", "value irqfd 3"]);
  });

  it("says how many findings it has left out", () => {
    const sound = new Sound();
    for (let pin = 0; pin < 24; pin++) sound.set(sound.at("routing", 1) + Routing.pins + pin, 7);
    for (let gsi = 100; gsi < 1500; gsi++) sound.set(sound.at("routing", 1) + Routing.gsi + gsi, 7);
    const { findings, more } = sound.host.audit();
    assert.equal(findings.length, 1000);
    assert.ok(more > 400);
  });

  it("is tried with every kind of finding", () => {
    const kinds = new Set(CASES.flatMap(({ found }) => found.map((one) => one.split(" ")[0])));
    kinds.add("mutex"); // above
    assert.deepEqual([...kinds].sort(), [...FINDING_KINDS].sort());
  });

  it("ends on memory full of random words", () => {
    let seed = 1;
    const random = () => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 1;
    };
    for (let run = 0; run < 40; run++) {
      const sound = new Sound();
      const { host } = sound;
      const length = host.handle.memory.buffer.byteLength / 4;
      for (let hit = 0; hit < 2000; hit++) {
        // Words that look like references, and any.
        const word = Header.words + (random() % (length - Header.words));
        const other = host.pools.consumer.at(random() % 8);
        if (word !== sound.at("vm", 0) + V.mutex) sound.set(word, hit % 2 === 0 ? random() | 0 : other);
      }
      const { findings, more } = host.audit();
      assert.ok(findings.length + more > 0);
    }
  });
});
