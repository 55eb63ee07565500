/** The posted-interrupt descriptor: who may set, clear and read what, state by state. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Vcpu } from "#src/host/layout.js";
import { SharedWords } from "#src/host/words.js";
import * as descriptor from "#src/posting/descriptor.js";

const VCPU = 64;
const IRR = VCPU + Vcpu.irr;
const { NOTIFICATION_VECTOR, WAKEUP_VECTOR } = descriptor;

/** Words that count wake-ups and can do something at the next step. */
class Steps extends SharedWords {
  woken = 0;
  /** Called once, after the next atomic read-modify-write of a word. */
  after: { readonly word: number; readonly action: () => void } | undefined;

  override notify(): number {
    this.woken += 1;
    return 0;
  }
  override and(word: number, value: number): number {
    const before = super.and(word, value);
    this.interrupt(word);
    return before;
  }
  override exchange(word: number, value: number): number {
    const before = super.exchange(word, value);
    this.interrupt(word);
    return before;
  }
  override load(word: number): number {
    const value = super.load(word);
    this.interrupt(word);
    return value;
  }

  private interrupt(word: number): void {
    if (this.after?.word !== word) return;
    const { action } = this.after;
    this.after = undefined;
    action();
  }
}

let words: Steps;
beforeEach(() => {
  words = new Steps(new SharedArrayBuffer(1024), 0, 256);
  descriptor.initialise(words, VCPU);
});

const state = () => descriptor.inspect(words, VCPU);
const post = (vector: number) => descriptor.post(words, VCPU, vector);
const pirWord = (bank: number) => VCPU + Vcpu.descriptor + bank;
const CONTROL = VCPU + Vcpu.descriptor + 8;
/** Vectors that a harvest finds, in order. */
function harvest(): number[] {
  descriptor.harvest(words, VCPU, IRR);
  const found: number[] = [];
  for (let vector = 0; vector < 256; vector++)
    if (words.get(IRR + (vector >>> 5)) & (1 << (vector & 31))) found.push(vector);
  for (let bank = 0; bank < 8; bank++) words.set(IRR + bank, 0);
  return found;
}

describe("the descriptor", () => {
  it("has the layout of VT-d: PIR, then ON, SN and NV, then NDST, on a line of its own", () => {
    assert.equal((VCPU + Vcpu.descriptor) % 16, 0);
    descriptor.load(words, VCPU, 7);
    for (const vector of [0, 31, 32, 255]) post(vector);
    assert.deepEqual(
      Array.from({ length: 8 }, (_, bank) => words.load(pirWord(bank)) >>> 0),
      [0x80000001, 1, 0, 0, 0, 0, 0, 0x80000000],
    );
    assert.equal(words.load(CONTROL) >>> 0, 1 | (NOTIFICATION_VECTOR << 16));
    assert.equal(words.load(CONTROL + 1), 7);
    descriptor.put(words, VCPU);
    assert.equal(words.load(CONTROL) & 3, 3);
  });

  it("of a vCPU that nobody runs has SN set", () => {
    assert.deepEqual(state(), { on: false, sn: true, nv: NOTIFICATION_VECTOR, ndst: 0 });
    descriptor.load(words, VCPU, 3);
    assert.deepEqual(state(), { on: false, sn: false, nv: NOTIFICATION_VECTOR, ndst: 3 });
    descriptor.put(words, VCPU);
    assert.deepEqual(state(), { on: false, sn: true, nv: NOTIFICATION_VECTOR, ndst: 3 });
    descriptor.load(words, VCPU, 5);
    assert.equal(state().ndst, 5);
  });

  it("gives every vector once, and any number of posts of one vector as one", () => {
    descriptor.load(words, VCPU, 1);
    const all = Array.from({ length: 256 }, (_, vector) => vector);
    for (const vector of all) for (let twice = 0; twice < 2; twice++) post(vector);
    assert.deepEqual(harvest(), all);
    assert.deepEqual(harvest(), []);
    assert.equal(descriptor.pending(words, VCPU), false);
  });

  it("adds to what the vCPU has requested already", () => {
    descriptor.load(words, VCPU, 1);
    post(40);
    assert.equal(descriptor.harvest(words, VCPU, IRR), 1 << 1);
    post(41);
    post(255);
    assert.equal(descriptor.harvest(words, VCPU, IRR), (1 << 1) | (1 << 7));
    assert.equal(descriptor.harvest(words, VCPU, IRR), 0);
    assert.deepEqual(harvest(), [40, 41, 255]);
  });

  it("can be put back, beside what was posted since", () => {
    descriptor.load(words, VCPU, 1);
    for (const vector of [40, 255]) post(vector);
    descriptor.harvest(words, VCPU, IRR);
    descriptor.put(words, VCPU);
    post(41);
    descriptor.unharvest(words, VCPU, IRR);
    assert.equal(descriptor.pending(words, VCPU), true);
    assert.deepEqual(
      Array.from({ length: 8 }, (_, i) => words.get(IRR + i)),
      Array(8).fill(0),
    );
    descriptor.load(words, VCPU, 1);
    assert.deepEqual(harvest(), [40, 41, 255]);
  });
});

describe("a post", () => {
  it("to a running vCPU sets ON and wakes nobody", () => {
    descriptor.load(words, VCPU, 1);
    post(64);
    assert.equal(state().on, true);
    post(65);
    assert.equal(words.woken, 0);
    assert.equal(descriptor.pending(words, VCPU), true);
    assert.deepEqual(harvest(), [64, 65]);
  });

  it("to a preempted vCPU sets its PIR bit and leaves ON alone", () => {
    post(64);
    assert.deepEqual(state(), { on: false, sn: true, nv: NOTIFICATION_VECTOR, ndst: 0 });
    assert.equal(words.load(pirWord(2)), 1);
    assert.equal(words.woken, 0);
  });

  it("to a blocked vCPU wakes it, once until it has harvested", () => {
    descriptor.load(words, VCPU, 1);
    assert.equal(descriptor.block(words, VCPU), true);
    assert.deepEqual(state(), { on: false, sn: false, nv: WAKEUP_VECTOR, ndst: 1 });
    const wake = words.load(VCPU + Vcpu.wake);
    post(64);
    assert.equal(words.woken, 1);
    assert.notEqual(words.load(VCPU + Vcpu.wake), wake);
    post(64);
    post(65);
    assert.equal(words.woken, 1);
    descriptor.unblock(words, VCPU);
    assert.deepEqual(state(), { on: true, sn: false, nv: NOTIFICATION_VECTOR, ndst: 1 });
    assert.deepEqual(harvest(), [64, 65]);
  });

  it("sets ON even if its PIR bit was set: whoever set it may have died before setting ON", () => {
    descriptor.load(words, VCPU, 1);
    words.or(pirWord(2), 1);
    assert.deepEqual(harvest(), []);
    post(64);
    assert.equal(state().on, true);
    assert.deepEqual(harvest(), [64]);
  });
});

describe("a harvest", () => {
  it("does not look at PIR while ON is clear", () => {
    descriptor.load(words, VCPU, 1);
    words.or(pirWord(0), 1 << 20);
    assert.deepEqual(harvest(), []);
    assert.equal(words.load(pirWord(0)), 1 << 20);
  });

  it("clears ON before it reads PIR, so that a post in between is not lost", () => {
    descriptor.load(words, VCPU, 1);
    post(200);
    const { and } = words;
    words.and = (word, value) => {
      const before = and.call(words, word, value);
      if (word === CONTROL) post(201); // right after ON was cleared
      return before;
    };
    const first = harvest();
    words.and = and;
    const second = harvest();
    assert.deepEqual([...first, ...second].sort(), [200, 201]);
  });

  it("does not lose a post that comes after it has read the word", () => {
    for (let bank = 0; bank < 8; bank++) {
      words = new Steps(new SharedArrayBuffer(1024), 0, 256);
      descriptor.initialise(words, VCPU);
      descriptor.load(words, VCPU, 1);
      post(bank * 32);
      words.after = { word: pirWord(bank), action: () => post(bank * 32 + 1) };
      const found = [...harvest(), ...harvest()];
      assert.equal(words.after, undefined);
      assert.deepEqual(found, [bank * 32, bank * 32 + 1]);
    }
  });

  it("does not lose a post to a word that it has gone past", () => {
    descriptor.load(words, VCPU, 1);
    post(255);
    words.after = { word: pirWord(7), action: () => post(3) };
    assert.deepEqual(harvest(), [255]);
    assert.equal(descriptor.pending(words, VCPU), true);
    assert.deepEqual(harvest(), [3]);
  });
});

describe("bugs of the kernel's past", () => {
  it("C1: what was posted while SN was set is found when the vCPU is loaded", () => {
    descriptor.load(words, VCPU, 1);
    descriptor.put(words, VCPU);
    post(77);
    assert.equal(state().on, false);
    descriptor.load(words, VCPU, 2);
    assert.equal(state().on, true);
    assert.deepEqual(harvest(), [77]);
  });

  it("C1: also when it is posted at the very moment that SN is cleared", () => {
    for (const word of [CONTROL, ...Array.from({ length: 8 }, (_, bank) => pirWord(bank))]) {
      words = new Steps(new SharedArrayBuffer(1024), 0, 256);
      descriptor.initialise(words, VCPU);
      words.after = { word, action: () => post(9) };
      descriptor.load(words, VCPU, 2);
      assert.equal(words.after, undefined, `load does not touch word ${word}`);
      assert.deepEqual(harvest(), [9]);
    }
  });

  it("C3: something is pending while SN is set and PIR is not empty, though ON is clear", () => {
    assert.equal(descriptor.pending(words, VCPU), false);
    post(50);
    assert.equal(state().on, false);
    assert.equal(descriptor.pending(words, VCPU), true);
  });

  it("C5: a vCPU that blocks is woken by the first post ever, whenever its device came", () => {
    descriptor.load(words, VCPU, 1);
    descriptor.block(words, VCPU); // nothing is connected yet
    post(33);
    assert.equal(words.woken, 1);
  });

  it("C6: a vCPU does not block on what was posted by its own thread, or just before", () => {
    descriptor.load(words, VCPU, 1);
    post(33);
    assert.equal(descriptor.block(words, VCPU), false);
    assert.equal(state().nv, NOTIFICATION_VECTOR);
    assert.deepEqual(harvest(), [33]);
    assert.equal(descriptor.block(words, VCPU), true);
    post(34); // by the thread that is about to sleep
    assert.equal(words.woken, 1);
  });

  it("C6: nor on what is posted between its look at ON and the switch of NV", () => {
    descriptor.load(words, VCPU, 1);
    words.after = { word: CONTROL, action: () => post(33) };
    assert.equal(descriptor.block(words, VCPU), false);
    assert.equal(words.woken, 0);
    assert.deepEqual(harvest(), [33]);
  });

  it("C7: a change of NV does not lose an ON that is set meanwhile", () => {
    descriptor.load(words, VCPU, 1);
    descriptor.block(words, VCPU);
    words.after = { word: CONTROL, action: () => post(12) };
    descriptor.unblock(words, VCPU);
    assert.deepEqual(state(), { on: true, sn: false, nv: NOTIFICATION_VECTOR, ndst: 1 });
  });
});

describe("a kick", () => {
  it("changes the wake word and wakes, without an interrupt", () => {
    descriptor.load(words, VCPU, 1);
    descriptor.kick(words, VCPU, descriptor.KICKED);
    assert.equal(words.woken, 1);
    assert.equal(words.load(VCPU + Vcpu.wake) & descriptor.KICKED, descriptor.KICKED);
    descriptor.kick(words, VCPU, descriptor.KICKED);
    assert.equal(descriptor.pending(words, VCPU), false);
    // Wake-ups count above it and leave it alone.
    descriptor.wake(words, VCPU);
    assert.equal(words.load(VCPU + Vcpu.wake) & descriptor.KICKED, descriptor.KICKED);
  });
});
