/** Hosts for tests: small ones, and second views of one as another thread would have. */
import { Worker } from "node:worker_threads";
import { Host, type HostOptions, type Irqfd, type Reason, type Spawn } from "irqbypass";

/** Room for a test, a few hundred kilobytes. */
export const SMALL = {
  thread: 16,
  eventfd: 128,
  producer: 64,
  consumer: 64,
  vm: 8,
  vcpu: 32,
  route: 64,
  routing: 6,
  injection: 8,
  ioeventfd: 64,
  device: 16,
};

export function smallHost({ capacity, ...options }: HostOptions = {}): Host {
  return Host.create({ ...options, capacity: { ...SMALL, ...capacity } });
}

/** A host's way to start workers that starts no relay: for tests in which the calling thread is the relay, or nobody. */
export const noRelay: Spawn = (name) =>
  name === "irqbypass/kvm-vcpu-worker"
    ? new Worker(new URL(import.meta.resolve(name)))
    : { postMessage() {}, once() {} };

/**
 * How many records of each pool live: what must be as before when everything is torn down. But for threads, of which a relay is
 * one, which attaches when it comes to that.
 */
export function liveRecords(host: Host): Record<string, number> {
  const { thread: _, ...pools } = host.pools;
  return Object.fromEntries(Object.values(pools).map((pool) => [pool.name, pool.live]));
}

/** The same with threads, where the relays run already, or none starts. */
export function liveThreadsAndRecords(host: Host): Record<string, number> {
  return { ...liveRecords(host), thread: host.pools.thread.live };
}

/** Why an irqfd's interrupts are not bypassed, whether its relay runs by now or not. */
export function whyRelayed(irqfd: Irqfd): Reason | undefined {
  return irqfd.reasons.find((reason) => reason !== "relay-not-running");
}
