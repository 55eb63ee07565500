/** The posted-interrupt descriptor: who may set, clear and read what, state by state. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import {
  Descriptor,
  EVENT,
  FILE_HEADER,
  KICKED,
  NOTIFICATION_VECTOR,
  ON,
  SN,
  WAKEUP_VECTOR,
} from "#src/host/layout.js";
import { SharedWords } from "#src/host/words.js";
import * as descriptor from "#src/posting/descriptor.js";

const FILE = 64;
const IRR = FILE + Descriptor.words;

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
  descriptor.initialiseSuspended(words, FILE);
});

const state = () => descriptor.inspect(words, FILE);
const post = (vector: number) => descriptor.post(words, FILE, vector);
const pirWord = (bank: number) => FILE + Descriptor.pir + bank;
const CONTROL = FILE + Descriptor.control;
/** Vectors that a harvest finds, in order. */
function harvest(): number[] {
  descriptor.harvest(words, FILE, IRR);
  const found: number[] = [];
  for (let vector = 0; vector < 256; vector++)
    if (words.get(IRR + (vector >>> 5)) & (1 << (vector & 31))) found.push(vector);
  for (let bank = 0; bank < 8; bank++) words.set(IRR + bank, 0);
  return found;
}

describe("the descriptor", () => {
  it("has the layout of VT-d: PIR, then ON, SN and NV, then NDST, on a line of its own", () => {
    assert.equal(FILE % 16, 0);
    descriptor.load(words, FILE, 7);
    for (const vector of [0, 31, 32, 255]) post(vector);
    assert.deepEqual(
      Array.from({ length: 8 }, (_, bank) => words.load(pirWord(bank)) >>> 0),
      [0x80000001, 1, 0, 0, 0, 0, 0, 0x80000000],
    );
    assert.equal(words.load(CONTROL) >>> 0, 1 | (NOTIFICATION_VECTOR << 16));
    assert.equal(words.load(CONTROL + 1), 7);
    descriptor.suspend(words, FILE);
    assert.equal(words.load(CONTROL) & 3, 3);
  });

  it("of a vCPU that nobody runs has SN set", () => {
    assert.deepEqual(state(), { on: false, sn: true, nv: NOTIFICATION_VECTOR, ndst: 0 });
    descriptor.load(words, FILE, 3);
    assert.deepEqual(state(), { on: false, sn: false, nv: NOTIFICATION_VECTOR, ndst: 3 });
    descriptor.suspend(words, FILE);
    assert.deepEqual(state(), { on: false, sn: true, nv: NOTIFICATION_VECTOR, ndst: 3 });
    descriptor.load(words, FILE, 5);
    assert.equal(state().ndst, 5);
  });

  it("gives every vector once, and any number of posts of one vector as one", () => {
    descriptor.load(words, FILE, 1);
    const all = Array.from({ length: 256 }, (_, vector) => vector);
    for (const vector of all) for (let twice = 0; twice < 2; twice++) post(vector);
    assert.deepEqual(harvest(), all);
    assert.deepEqual(harvest(), []);
    assert.equal(descriptor.pending(words, FILE), false);
  });

  it("adds to what the vCPU has requested already", () => {
    descriptor.load(words, FILE, 1);
    post(40);
    assert.equal(descriptor.harvest(words, FILE, IRR), 1 << 1);
    post(41);
    post(255);
    assert.equal(descriptor.harvest(words, FILE, IRR), (1 << 1) | (1 << 7));
    assert.equal(descriptor.harvest(words, FILE, IRR), 0);
    assert.deepEqual(harvest(), [40, 41, 255]);
  });

  it("can be put back, beside what was posted since", () => {
    descriptor.load(words, FILE, 1);
    for (const vector of [40, 255]) post(vector);
    descriptor.harvest(words, FILE, IRR);
    descriptor.suspend(words, FILE);
    post(41);
    descriptor.unharvest(words, FILE, IRR);
    assert.equal(descriptor.pending(words, FILE), true);
    assert.deepEqual(
      Array.from({ length: 8 }, (_, i) => words.get(IRR + i)),
      Array(8).fill(0),
    );
    descriptor.load(words, FILE, 1);
    assert.deepEqual(harvest(), [40, 41, 255]);
  });
});

describe("a post", () => {
  it("to a running vCPU sets ON and wakes nobody", () => {
    descriptor.load(words, FILE, 1);
    post(64);
    assert.equal(state().on, true);
    post(65);
    assert.equal(words.woken, 0);
    assert.equal(descriptor.pending(words, FILE), true);
    assert.deepEqual(harvest(), [64, 65]);
  });

  it("to a preempted vCPU sets its PIR bit and leaves ON alone", () => {
    post(64);
    assert.deepEqual(state(), { on: false, sn: true, nv: NOTIFICATION_VECTOR, ndst: 0 });
    assert.equal(words.load(pirWord(2)), 1);
    assert.equal(words.woken, 0);
  });

  it("to a blocked vCPU wakes it, once until it has harvested", () => {
    descriptor.load(words, FILE, 1);
    assert.equal(descriptor.block(words, FILE), WAKEUP_VECTOR << 16);
    assert.deepEqual(state(), { on: false, sn: false, nv: WAKEUP_VECTOR, ndst: 1 });
    post(64);
    assert.equal(words.woken, 1);
    assert.equal(words.load(CONTROL), (WAKEUP_VECTOR << 16) | ON); // not what it sleeps on any more
    post(64);
    post(65);
    assert.equal(words.woken, 1);
    descriptor.unblock(words, FILE);
    assert.deepEqual(state(), { on: true, sn: false, nv: NOTIFICATION_VECTOR, ndst: 1 });
    assert.deepEqual(harvest(), [64, 65]);
  });

  it("sets ON even if its PIR bit was set: whoever set it may have died before setting ON", () => {
    descriptor.load(words, FILE, 1);
    words.or(pirWord(2), 1);
    assert.deepEqual(harvest(), []);
    post(64);
    assert.equal(state().on, true);
    assert.deepEqual(harvest(), [64]);
  });
});

describe("a harvest", () => {
  it("does not look at PIR while ON is clear", () => {
    descriptor.load(words, FILE, 1);
    words.or(pirWord(0), 1 << 20);
    assert.deepEqual(harvest(), []);
    assert.equal(words.load(pirWord(0)), 1 << 20);
  });

  it("clears ON before it reads PIR, so that a post in between is not lost", () => {
    descriptor.load(words, FILE, 1);
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
      descriptor.initialiseSuspended(words, FILE);
      descriptor.load(words, FILE, 1);
      post(bank * 32);
      words.after = { word: pirWord(bank), action: () => post(bank * 32 + 1) };
      const found = [...harvest(), ...harvest()];
      assert.equal(words.after, undefined);
      assert.deepEqual(found, [bank * 32, bank * 32 + 1]);
    }
  });

  it("does not lose a post to a word that it has gone past", () => {
    descriptor.load(words, FILE, 1);
    post(255);
    words.after = { word: pirWord(7), action: () => post(3) };
    assert.deepEqual(harvest(), [255]);
    assert.equal(descriptor.pending(words, FILE), true);
    assert.deepEqual(harvest(), [3]);
  });
});

describe("bugs of the kernel's past", () => {
  it("C1: what was posted while SN was set is found when the vCPU is loaded", () => {
    descriptor.load(words, FILE, 1);
    descriptor.suspend(words, FILE);
    post(77);
    assert.equal(state().on, false);
    descriptor.load(words, FILE, 2);
    assert.equal(state().on, true);
    assert.deepEqual(harvest(), [77]);
  });

  it("C1: also when it is posted at the very moment that SN is cleared", () => {
    for (const word of [CONTROL, ...Array.from({ length: 8 }, (_, bank) => pirWord(bank))]) {
      words = new Steps(new SharedArrayBuffer(1024), 0, 256);
      descriptor.initialiseSuspended(words, FILE);
      words.after = { word, action: () => post(9) };
      descriptor.load(words, FILE, 2);
      assert.equal(words.after, undefined, `load does not touch word ${word}`);
      assert.deepEqual(harvest(), [9]);
    }
  });

  it("C3: something is pending while SN is set and PIR is not empty, though ON is clear", () => {
    assert.equal(descriptor.pending(words, FILE), false);
    post(50);
    assert.equal(state().on, false);
    assert.equal(descriptor.pending(words, FILE), true);
  });

  it("C5: a vCPU that blocks is woken by the first post ever, whenever its device came", () => {
    descriptor.load(words, FILE, 1);
    descriptor.block(words, FILE); // nothing is connected yet
    post(33);
    assert.equal(words.woken, 1);
  });

  it("C6: a vCPU does not block on what was posted by its own thread, or just before", () => {
    descriptor.load(words, FILE, 1);
    post(33);
    assert.equal(descriptor.block(words, FILE), 0);
    assert.equal(state().nv, NOTIFICATION_VECTOR);
    assert.deepEqual(harvest(), [33]);
    assert.equal(descriptor.block(words, FILE), WAKEUP_VECTOR << 16);
    post(34); // by the thread that is about to sleep
    assert.equal(words.woken, 1);
  });

  it("C6: nor on what is posted between its look at ON and the switch of NV", () => {
    descriptor.load(words, FILE, 1);
    words.after = { word: CONTROL, action: () => post(33) };
    assert.equal(descriptor.block(words, FILE), 0);
    assert.equal(words.woken, 0);
    assert.deepEqual(harvest(), [33]);
  });

  it("C7: a change of NV does not lose an ON that is set meanwhile", () => {
    descriptor.load(words, FILE, 1);
    descriptor.block(words, FILE);
    words.after = { word: CONTROL, action: () => post(12) };
    descriptor.unblock(words, FILE);
    assert.deepEqual(state(), { on: true, sn: false, nv: NOTIFICATION_VECTOR, ndst: 1 });
  });
});

describe("a kick", () => {
  it("stays in the control word, where nobody goes to sleep with it, until it is taken", () => {
    descriptor.load(words, FILE, 1);
    for (const what of [KICKED, EVENT]) {
      descriptor.kick(words, FILE, what);
      assert.equal(words.woken, 0, "nobody sleeps");
      assert.equal(descriptor.pending(words, FILE), false);
      assert.equal(descriptor.isNews(words.load(CONTROL)), true);
      assert.equal(descriptor.block(words, FILE), 0);
      assert.equal(descriptor.takeKick(words, FILE, what), true);
      assert.equal(descriptor.takeKick(words, FILE, what), false);
    }
    assert.equal(descriptor.isNews(words.load(CONTROL)), false);
  });

  it("wakes a blocked owner, and changes the word that it sleeps on", () => {
    descriptor.load(words, FILE, 1);
    const asleep = descriptor.block(words, FILE);
    descriptor.kick(words, FILE, KICKED);
    assert.equal(words.woken, 1);
    assert.equal(words.load(CONTROL), asleep | KICKED);
    post(40);
    assert.equal(words.woken, 2);
    descriptor.unblock(words, FILE);
    assert.equal(words.load(CONTROL), (NOTIFICATION_VECTOR << 16) | KICKED | ON);
  });
});

describe("a file", () => {
  it("has a header, says how often it was suspended, and starts with its owner there where it is no vCPU's", () => {
    assert.equal(words.load(FILE + Descriptor.header), FILE_HEADER);
    descriptor.load(words, FILE, 1);
    descriptor.suspend(words, FILE);
    descriptor.resume(words, FILE);
    descriptor.suspend(words, FILE);
    assert.equal(words.load(FILE + Descriptor.suspensions), 2);
    words = new Steps(new SharedArrayBuffer(1024), 0, 256);
    descriptor.initialise(words, FILE);
    assert.equal(words.load(CONTROL), NOTIFICATION_VECTOR << 16);
  });

  it("that is suspended wakes who waits for it, and lets nobody sleep on it", () => {
    descriptor.load(words, FILE, 1);
    descriptor.block(words, FILE);
    descriptor.suspend(words, FILE);
    assert.equal(words.woken, 1);
    assert.equal(words.load(CONTROL), (WAKEUP_VECTOR << 16) | SN);
    assert.equal(descriptor.block(words, FILE), 0);
    descriptor.resume(words, FILE);
    assert.equal(words.load(CONTROL), NOTIFICATION_VECTOR << 16);
  });

  it("is notified once more of what is in PIR, and of a kick, by whoever finds its poster dead", () => {
    descriptor.load(words, FILE, 1);
    const asleep = descriptor.block(words, FILE);
    descriptor.renotify(words, FILE);
    assert.deepEqual([words.woken, words.load(CONTROL)], [1, asleep]); // a kick may be in the word already
    words.or(pirWord(3), 1);
    descriptor.renotify(words, FILE);
    assert.deepEqual([words.woken, words.load(CONTROL)], [2, asleep | ON]);
  });
});
