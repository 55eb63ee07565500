import { Consumer, Header, Producer } from "../host/layout.js";
import type { Words } from "../host/words.js";
import { announceChange } from "./changes.js";

/*
 * The steps of a connection that are no callbacks: of every change of one, and compiled to WebAssembly as well. All of them
 * under the host mutex.
 */

/**
 * Names the two ends before the first callback, for whoever finds them half connected; `end` comes after the end that
 * arrives or leaves is registered or is not.
 */
export function begin(words: Words, producer: number, consumer: number): void {
  words.set(Header.changingTo, consumer);
  words.set(Header.changing, producer);
}

/** The mirror image of {@link begin}. */
export function end(words: Words): void {
  words.set(Header.changing, 0);
}

/** Records the partners, or that there are none, and when. */
export function bind(
  words: Words,
  producer: number,
  consumer: number,
  itsConsumer: number,
  itsProducer: number,
): void {
  const now = words.load(Header.ticks);
  words.set(producer + Producer.consumer, itsConsumer);
  words.set(consumer + Consumer.producer, itsProducer);
  words.set(producer + Producer.since, now);
  words.set(consumer + Consumer.since, now);
  announceChange(words);
}
