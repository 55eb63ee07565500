// Every interleaving of the shipped mutex, by re-execution: replay a thread's logged results, perform one access, throw a
// constant at the next, restore on backtrack. A state (memory and logs) seen before is counted, not walked again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Mutex } from "#src/host/mutex.js";
import type { Words } from "#src/host/words.js";

const STOP = { stop: true };
const [MUTEX, COUNTER] = [0, 1];
/** Explores `threads` threads that enter the mutex `rounds` times each; returns how many schedules there are. */
function everySchedule(threads: number, rounds: number, twin: (words: Words) => Partial<Words> = () => ({})) {
  const memory = [0, 0];
  const logs: unknown[][] = Array.from({ length: threads }, () => []);
  const asleep = logs.map(() => -1);
  const done = logs.map(() => false);
  const visited = new Map<string, number>();
  let [current, cursor, performed] = [0, 0, false];
  function access<T>(real: () => T): T {
    const log = logs[current]!;
    if (cursor < log.length) return log[cursor++] as T;
    if (performed) throw STOP;
    performed = true;
    log.push(real());
    return log[cursor++] as T;
  }
  const change = (word: number, next: (old: number) => number) =>
    access(() => {
      const old = memory[word]!;
      memory[word] = next(old);
      return old;
    });
  function wait(word: number, expected: number): "ok" | "not-equal" {
    return access(() => {
      if (memory[word] !== expected) return "not-equal";
      asleep[current] = word;
      throw STOP;
    });
  }
  function notify(word: number, count = threads): number {
    return access(() => {
      const woken = logs.flatMap((_, thread) => (asleep[thread] === word ? [thread] : [])).slice(0, count);
      for (const thread of woken) logs[thread]!.push("ok");
      for (const thread of woken) asleep[thread] = -1;
      return woken.length;
    });
  }
  const load = (word: number) => change(word, (old) => old);
  const exchange = (word: number, value: number) => change(word, () => value);
  const compareExchange = (word: number, expected: number, value: number) =>
    change(word, (old) => (old === expected ? value : old));
  const shipped = { load, exchange, compareExchange, wait, notify, relax() {} } as unknown as Words;
  const words = { ...shipped, ...twin(shipped) };
  function body(index: number): void {
    const thread = { lockId: index + 1, mayBlock: true, spin: () => false, park: wait, isGone: () => false };
    const mutex = new Mutex(words, MUTEX, thread, "the mutex", () => {});
    for (let i = 0; i < rounds; i++) mutex.guard(() => exchange(COUNTER, load(COUNTER) + 1));
  }
  function visit(): number {
    const state = JSON.stringify([memory, asleep, done, logs]);
    if (visited.has(state)) return visited.get(state)!;
    const ready = logs.flatMap((_, t) => (done[t] || asleep[t] !== -1 ? [] : [t]));
    let schedules = ready.length === 0 ? 1 : 0;
    if (ready.length === 0) assert.ok(done.every(Boolean), "asleep for ever");
    if (ready.length === 0)
      assert.equal(memory[COUNTER], threads * rounds, "two threads were inside at once");
    for (const thread of ready) {
      const [values, sleepers, lengths] = [[...memory], [...asleep], logs.map((log) => log.length)];
      [current, cursor, performed] = [thread, 0, false];
      try {
        body(thread);
        done[thread] = true;
      } catch (error) {
        if (error !== STOP) throw error;
      }
      schedules += visit();
      done[thread] = false;
      memory.splice(0, values.length, ...values);
      asleep.splice(0, threads, ...sleepers);
      for (const [t, length] of lengths.entries()) logs[t]!.length = length;
    }
    visited.set(state, schedules);
    return schedules;
  }
  return visit();
}
test("one is inside at a time, and nobody sleeps for ever", (t) => {
  for (const [threads, rounds] of [[2, 1] as const, [2, 2] as const, [3, 1] as const]) {
    t.diagnostic(`${threads} threads x ${rounds}: ${everySchedule(threads, rounds)} schedules`);
  }
});
test("the broken twins, the shipped code with one instruction changed, are caught", () => {
  const forgetsWaiters = ({ compareExchange }: Words): Partial<Words> => ({
    compareExchange: (word, old, value) => compareExchange(word, old, old === 0 ? value & ~1 : value),
  });
  assert.throws(() => everySchedule(3, 1, forgetsWaiters), /asleep for ever/);
  const looksThenWrites = ({ load, exchange }: Words): Partial<Words> => ({
    compareExchange: (word, old, value) => (load(word) === old ? exchange(word, value) : load(word)),
  });
  assert.throws(() => everySchedule(2, 1, looksThenWrites), /inside at once|not its owner|asleep for ever/);
});
