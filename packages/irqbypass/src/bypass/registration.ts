/**
 * Register and unregister in the usual case, compiled to WebAssembly (`scripts/compile.mjs`), so that each is one call: the
 * mutex is free, the two ends have no callbacks but those of an irqfd, the interrupt is bypassed if they meet, nothing is to
 * be refused, and the index gets or loses one node at the most.
 *
 * They write what `manager.ts` writes then, in the same order, so that a thread may die here where it may die there. In any
 * other case they write nothing, and leave it to the manager, with the mutex if they have it. That both do the same is held
 * by `test/bypass/registration.test.ts`, and explored (`scenarios/registration.mjs`).
 *
 * `mine` is the calling thread's lock id as a mutex has it. `plain` has bit n set for a kind n whose producers have no
 * callbacks and whose consumers are irqfds.
 */

import { inFlight } from "../host/in-flight.js";
import { Consumer, Eventfd, Header, NODES, Producer, Rec, Thread, WAITED } from "../host/layout.js";
import { Tried, tryLock, unlock } from "../host/mutex.js";
import { comesOff, entryAt, fits, put, remove } from "../host/node.js";
import type { Words } from "../host/words.js";
import { Mode, modeOf, UNCONNECTED } from "../posting/irte.js";
import { begin, bind, end } from "./connection.js";
import { entryFor } from "./remapping.js";

/** As `Manager.registerProducer`; `thread` is the record of the one that may signal it. Returns 0 where it is done, or a Tried. */
export function registerProducer(
  words: Words,
  mine: number,
  plain: number,
  producer: number,
  eventfd: number,
  irq: number,
  thread: number,
): number {
  if (!tryLock(words, Header.mutex, mine)) return Tried.busy;
  if (words.get(producer + Producer.eventfd) !== 0 || !isOpen(words, eventfd)) return Tried.held;
  const index = indexOf(words, eventfd);
  if (!fits(words, Header.producers, NODES, index)) return Tried.held;
  const consumer = entryAt(words, Header.consumers, index);
  const entry = consumer === 0 ? UNCONNECTED : entryFor(words, thread, consumer);
  if (consumer !== 0 && !isUsual(words, plain, producer, consumer, entry)) return Tried.held;

  put(words, Header.producers, NODES, index, producer);
  words.set(producer + Producer.irq, irq);
  words.set(producer + Producer.owner, thread);
  if (words.load(producer + Producer.irte) !== UNCONNECTED)
    words.store(producer + Producer.irte, UNCONNECTED);
  if (consumer !== 0) connect(words, producer, consumer, entry);
  else words.set(producer + Producer.since, words.load(Header.ticks));
  words.set(producer + Producer.eventfd, eventfd);
  if (consumer !== 0) end(words);
  unlock(words, Header.mutex);
  return 0;
}

/** As `Manager.registerConsumer`. Returns 0 where it is done, or a Tried. */
export function registerConsumer(
  words: Words,
  mine: number,
  plain: number,
  consumer: number,
  eventfd: number,
): number {
  if (!tryLock(words, Header.mutex, mine)) return Tried.busy;
  if (words.get(consumer + Consumer.eventfd) !== 0 || !isOpen(words, eventfd)) return Tried.held;
  if (!isPlain(plain, words.get(consumer + Consumer.kind))) return Tried.held;
  const index = indexOf(words, eventfd);
  if (!fits(words, Header.consumers, NODES, index)) return Tried.held;
  const producer = entryAt(words, Header.producers, index);
  const entry =
    producer === 0 ? UNCONNECTED : entryFor(words, words.get(producer + Producer.owner), consumer);
  if (producer !== 0 && !isUsual(words, plain, producer, consumer, entry)) return Tried.held;

  put(words, Header.consumers, NODES, index, consumer);
  words.set(consumer + Consumer.refusal, 0);
  if (producer !== 0) connect(words, producer, consumer, entry);
  else words.set(consumer + Consumer.since, words.load(Header.ticks));
  words.set(consumer + Consumer.eventfd, eventfd);
  if (producer !== 0) end(words);
  unlock(words, Header.mutex);
  return 0;
}

/** As `Manager.unregisterProducer` without its fence. Returns the thread to fence, or a Tried. */
export function unregisterProducer(words: Words, mine: number, plain: number, producer: number): number {
  if (!tryLock(words, Header.mutex, mine)) return Tried.busy;
  const eventfd = words.get(producer + Producer.eventfd);
  if (eventfd === 0) return Tried.held;
  const index = indexOf(words, eventfd);
  if (!comesOff(words, Header.producers, index, producer)) return Tried.held;
  const consumer = words.get(producer + Producer.consumer);
  if (consumer !== 0 && !arePlain(words, plain, producer, consumer)) return Tried.held;

  if (consumer !== 0) disconnect(words, producer, consumer);
  remove(words, Header.producers, NODES, index);
  words.set(producer + Producer.eventfd, 0);
  if (consumer !== 0) end(words);
  const owner = words.get(producer + Producer.owner);
  unlock(words, Header.mutex);
  return owner;
}

/**
 * As `Manager.unregisterConsumer`. Returns 0 where it is through, 1 where a signal is under way that the caller waits for
 * (`ThisThread.quiesce`), or a Tried.
 */
export function unregisterConsumer(
  words: Words,
  mine: number,
  plain: number,
  consumer: number,
  thread: number,
): number {
  if (!tryLock(words, Header.mutex, mine)) return Tried.busy;
  const eventfd = words.get(consumer + Consumer.eventfd);
  if (eventfd === 0) return Tried.held;
  const index = indexOf(words, eventfd);
  if (!comesOff(words, Header.consumers, index, consumer)) return Tried.held;
  const producer = words.get(consumer + Consumer.producer);
  if (producer !== 0 && !arePlain(words, plain, producer, consumer)) return Tried.held;

  const owner = producer === 0 ? 0 : words.get(producer + Producer.owner);
  if (producer !== 0) disconnect(words, producer, consumer);
  remove(words, Header.consumers, NODES, index);
  words.set(consumer + Consumer.eventfd, 0);
  if (producer !== 0) end(words);
  unlock(words, Header.mutex);
  if (producer === 0) return inFlight(words, thread) ? 1 : 0;
  return owner !== thread && (words.load(owner + Thread.signalling) & ~WAITED) === producer ? 1 : 0;
}

/** `entry` is what the irqfd's addProducer gives the producer. */
function connect(words: Words, producer: number, consumer: number, entry: number): void {
  begin(words, producer, consumer);
  words.store(producer + Producer.irte, entry);
  words.set(consumer + Consumer.refusal, 0);
  bind(words, producer, consumer, consumer, producer);
}

function disconnect(words: Words, producer: number, consumer: number): void {
  begin(words, producer, consumer);
  words.store(producer + Producer.irte, UNCONNECTED);
  bind(words, producer, consumer, 0, 0);
}

/** Can the two be connected without a callback to call or a refusal to tell of? */
function isUsual(words: Words, plain: number, producer: number, consumer: number, entry: number): boolean {
  return modeOf(entry) !== Mode.relayed && arePlain(words, plain, producer, consumer);
}

function arePlain(words: Words, plain: number, producer: number, consumer: number): boolean {
  return (
    isPlain(plain, words.get(producer + Producer.kind)) && isPlain(plain, words.get(consumer + Consumer.kind))
  );
}

function isPlain(plain: number, kind: number): boolean {
  return ((plain >>> kind) & 1) !== 0;
}

function isOpen(words: Words, eventfd: number): boolean {
  return eventfd !== 0 && (words.get(eventfd + Rec.generation) & 1) !== 0;
}

/** The number of an eventfd in its pool, which is the second one: the first has the threads. */
function indexOf(words: Words, eventfd: number): number {
  return (eventfd - Header.words - words.get(Header.capacities) * Thread.words) / Eventfd.words;
}
