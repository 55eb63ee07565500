import { sizeOf } from "../../host/header.js";
import {
  Asked,
  Header,
  LAYOUT_VERSION,
  MAGIC,
  POOLS,
  RelayState,
  Thread,
  ThreadState,
  WAITED,
} from "../../host/layout.js";
import type { View } from "./view.js";

const THE_HEADER = "the header";

/** The header: what is constant, and what has few values. */
export function auditHeader(view: View): void {
  const { words, host } = view;
  const wrong = (sentence: string) => view.find("header", THE_HEADER, sentence);
  if (words.load(Header.magic) !== MAGIC) wrong("its magic number is gone");
  const version = words.get(Header.version);
  if (version !== LAYOUT_VERSION) wrong(`its layout version is ${version}, and was ${LAYOUT_VERSION}`);
  const size = sizeOf((pool) => host.pools[pool].capacity);
  if (words.get(Header.size) !== size) wrong(`its size is ${words.get(Header.size)} words, and was ${size}`);
  POOLS.forEach(({ name }, index) => {
    const capacity = words.get(Header.capacities + index);
    const was = host.pools[name].capacity;
    if (capacity !== was) wrong(`its capacity of ${name} is ${capacity}, and was ${was}`);
  });
  const kinds = host.kinds.map(({ name }) => name).join("\n");
  for (let at = 0; at <= kinds.length; at++) {
    const expected = at === 0 ? kinds.length : kinds.charCodeAt(at - 1);
    if (words.get(Header.kinds + at) === expected) continue;
    wrong("the names of its kinds were changed");
    break;
  }
  for (let at = Header.kinds + kinds.length + 1; at < Header.kindsEnd; at++) {
    if (words.get(at) !== 0) wrong(`word ${at}, behind the names of its kinds, holds ${words.get(at)}`);
  }
  const stray = view.fields.strayInHeader();
  if (stray !== undefined) wrong(`word ${stray} has no meaning, and holds ${words.get(stray)}`);

  const bypass = words.load(Header.bypass);
  if (bypass !== 0 && bypass !== 1) wrong(`its bypass switch is ${bypass}, neither on nor off`);
  if (words.get(Header.changing) !== 0) wrong(`a connection is being changed, and by nobody`);
  if (words.load(Header.repair) !== 0) wrong(`a repair is under way, and nobody makes it`);
  for (const epoll of [Header.epoll, Header.readersEpoll]) {
    if (words.load(epoll) < 0) wrong(`its epoll descriptor is ${words.load(epoll)}`);
  }
  for (let kind = 0; kind < Header.kinds - Header.relays; kind++) {
    const word = words.load(Header.relays + kind);
    const state = word & RelayState.mask;
    // A relay's own thread names the kinds and no more, so it cannot tell which have a relay.
    const isOne = kind < host.kinds.length && state <= RelayState.stopping;
    const thread = word & ~RelayState.mask;
    const isThread = state === RelayState.running ? host.pools.thread.has(thread) : thread === 0;
    if (word !== 0 && !(isOne && isThread)) wrong(`the relay of kind ${kind} has state ${word}`);
  }
}

/** What a thread may say that it is in the middle of. */
const IN_FLIGHT = [
  {
    inflight: Thread.signalling,
    pools: ["producer", "device"],
    what: ["signals", "no producer or device"],
  },
  {
    inflight: Thread.writing,
    pools: ["eventfd", "consumer", "epoll", "vm", "vcpu"],
    what: ["uses", "no eventfd, irqfd, epoll, VM or vCPU"],
  },
] as const;

/** The threads: they are in no free list, so their state words say everything. */
export function auditThreads(view: View, ended: ReadonlySet<number>): void {
  const { words, host } = view;
  const { thread: pool } = host.pools;
  const threads = words.load(Header.threads);
  if (threads < 0 || threads > pool.capacity) {
    view.find(
      "count",
      THE_HEADER,
      `${threads} threads have attached, and there is room for ${pool.capacity}`,
    );
  }
  for (let place: number = Header.looking; place < Header.lookingEnd; place++) {
    const looking = words.load(place);
    // Whoever lives may look at any moment, and the relay does: nothing of that is damage. The calling thread does not, it audits.
    if (looking !== 0 && (looking < 0 || looking === host.thread.lockId || host.thread.isGone(looking)))
      view.find(
        "unfinished",
        THE_HEADER,
        `thread ${looking - 1} looks for what it waits for, and nothing goes on`,
      );
  }
  for (let slot = 0; slot < pool.capacity; slot++) {
    const thread = pool.at(slot);
    const subject = `thread ${slot}`;
    const state = words.load(thread + Thread.state);
    if (state === ThreadState.free) auditFree(view, thread, subject);
    else auditAttached(view, thread, subject, slot < threads, ended);
  }
}

function auditFree(view: View, thread: number, subject: string): void {
  const { words } = view;
  for (const { inflight } of IN_FLIGHT) {
    if (words.load(thread + inflight) !== 0)
      view.find("in-flight", subject, "is free, and its in-flight word is not 0");
  }
  if (words.load(thread + Thread.asked) !== 0)
    view.find("unfinished", subject, "is free, and asks for a change of a route");
  for (let word = Thread.pid; word <= Thread.capable; word++) {
    const value = word === Thread.tid ? words.load(thread + word) : words.get(thread + word);
    if (value !== 0) view.find("value", subject, `is free, and its word ${word} holds ${value}`);
  }
}

function auditAttached(
  view: View,
  thread: number,
  subject: string,
  counted: boolean,
  ended: ReadonlySet<number>,
): void {
  const { words, host } = view;
  if (!counted) view.find("count", subject, "is attached, and fences would not look at it");
  view.live.thread.push(thread);
  if ((words.load(thread + Thread.state) & ThreadState.attached) === 0)
    view.find("value", subject, `its state is ${words.load(thread + Thread.state)}, which no thread has`);
  else if (words.load(thread + Thread.state) & ThreadState.lost)
    view.find("orphan", subject, "is lost, and what it held stays held");
  else if (ended.has(thread)) {
    view.find("orphan", subject, "has ended without leaving the host: what it held stays held");
  }
  const kinds = host.kinds.length;
  if (kinds < 32)
    view.within(words.get(thread + Thread.capable) >>> 0, 0, 2 ** kinds - 1, subject, "capable");
  const asked = words.load(thread + Thread.asked);
  // It may wait for the mutex of a VM that has gone, to be told so.
  if (asked !== 0 && ((asked & Asked.mask) > Asked.alone || !host.pools.vm.has(asked & ~Asked.mask)))
    view.find("value", subject, `asks for a change of a route by ${asked}, which is no VM's`);
  for (const { inflight, pools, what } of IN_FLIGHT) {
    const record = words.load(thread + inflight) & ~WAITED;
    // Of the pool is enough: a thread announces first and looks then whether it is there, so what it names may have gone.
    if (record !== 0 && !pools.some((pool) => view.slotOf(pool, record) !== undefined))
      view.find("in-flight", subject, `it ${what[0]} word ${record}, which is ${what[1]}`);
  }
}

/** Threads that are attached and have provably ended. May make system calls, so it is asked before the mutexes. */
export function endedThreads({ words, host }: View): Set<number> {
  const { pools, thread, platform } = host;
  const ended = new Set<number>();
  for (let slot = 0; slot < pools.thread.capacity; slot++) {
    const record = pools.thread.at(slot);
    if (record === thread.record || words.load(record + Thread.state) === ThreadState.free) continue;
    if (platform.alive(thread.osThread(record)) === false) ended.add(record);
  }
  return ended;
}
