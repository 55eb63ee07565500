/**
 * Changes of single routes that threads ask for, so that one of them carries out those of all. Each is in the record of its thread, and
 * whoever has the VM's mutex finds it there. A thread that dies has its change made whole or not at all: what was taken is made again by
 * whoever repairs, and what was not is given up with the thread.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { Asked, Header, KvmDue, Thread, Vm } from "../host/layout.js";
import type { RouteChange } from "./reroute.js";
import type { MsiWords } from "./route.js";
import { entryChange, entryEnd, isEntry, type RouteEntry, releaseEntry } from "./route-entry.js";
import { lifeOf, type VmLife, vmMutex } from "./vm-mutex.js";

/** Asks for a change of an entry to a message, or for its end. The calling thread asks for one at a time, and has it {@link forget}. */
export function ask(host: BypassHost, vm: number, entry: RouteEntry, message: MsiWords | undefined): void {
  const { words, thread } = host;
  const { record } = thread;
  words.set(record + Thread.askedRoute, entry.record);
  words.set(record + Thread.askedGeneration, entry.generation);
  words.set(record + Thread.askedGsi, entry.gsi);
  words.set(record + Thread.askedEnd, message === undefined ? 1 : 0);
  const { a, b, c } = message ?? { a: 0, b: 0, c: 0 };
  [a, b, c].forEach((value, word) => {
    words.set(record + Thread.askedMessage + word, value);
  });
  words.store(record + Thread.asked, vm | Asked.waiting); // last: from here on anybody makes it
}

/** Has somebody carried it out? No mutex is needed for that. */
export function isCarriedOut({ words, thread }: BypassHost): boolean {
  return words.load(thread.record + Thread.asked) === 0;
}

/** The mirror image of {@link ask}, whatever became of it. */
export function forget(host: BypassHost): void {
  if (!isCarriedOut(host)) host.words.store(host.thread.record + Thread.asked, 0);
}

/**
 * Was it taken by a thread that died? Then it stands in the VM's table, and is carried out once `settle` has KVM follow. Under the VM's mutex.
 */
export function settleTaken({ words, mutex, thread }: BypassHost, vm: number, settle: () => void): boolean {
  const word = thread.record + Thread.asked;
  if (words.load(word) !== (vm | Asked.taken)) return false;
  try {
    settle();
  } finally {
    mutex.guard(() => words.store(word, 0));
  }
  return true;
}

/**
 * What is asked for now, that of the calling thread first: all that wait, or that alone where it has been refused among others. Under the
 * VM's mutex.
 */
export function askedChanges(host: BypassHost, life: VmLife): RouteChange[] {
  const { words, thread } = host;
  const mine = thread.record;
  const alone = words.load(mine + Thread.asked) === (life.record | Asked.alone);
  const others = alone ? [] : threadsAt(host, life.record, Asked.waiting).filter((one) => one !== mine);
  return [mine, ...others].map((record) => changeOf(host, life, record));
}

/** Gives up what a dead thread asked for and nobody has taken. */
export function giveUpAsked(host: BypassHost, gone: number): void {
  const { words, mutex } = host;
  const vm = words.load(gone + Thread.asked) & ~Asked.mask;
  if (vm === 0) return;
  // Under the VM's mutex: nobody is reading it who would go on with the words of the record's next thread.
  vmMutex(host, vm).enclose(() => mutex.guard(() => words.store(gone + Thread.asked, 0)));
}

/** Makes again what was taken by a thread that died: it may have come to it, or not. KVM hears of it next. Under the VM's mutex. */
export function healAsked(host: BypassHost, vm: number): void {
  const life = lifeOf(host, vm);
  host.words.set(vm + Vm.kvmDue, KvmDue.irqfds);
  for (const record of threadsAt(host, vm, Asked.taken)) {
    const { entry, ends, change } = readAsked(host, life, record);
    if (isEntry(host, vm, entry)) change.make();
    if (ends) releaseEntry(host, vm, entry);
  }
}

/** The change that a thread asks for. It is taken first, then made, and in the end it is nobody's. */
function changeOf(host: BypassHost, life: VmLife, record: number): RouteChange {
  const { words, mutex } = host;
  const mark = (state: number) => mutex.guard(() => words.store(record + Thread.asked, state));
  let change: RouteChange | undefined;
  return {
    irqfds: () => change?.irqfds() ?? [],
    make() {
      mark(life.record | Asked.taken); // first: should this thread die, it is made again
      try {
        change = readAsked(host, life, record).change;
        change.make();
      } catch (error) {
        mark(life.record | Asked.alone);
        throw error;
      }
    },
    takeBack() {
      change?.takeBack();
      mark(life.record | Asked.alone);
    },
    end() {
      change?.end?.();
      mark(0); // last: its thread goes on
    },
  };
}

/** What a thread's record says. Under the VM's mutex: while that is held, the thread says nothing else. */
function readAsked(
  host: BypassHost,
  life: VmLife,
  record: number,
): { readonly entry: RouteEntry; readonly ends: boolean; readonly change: RouteChange } {
  const { words, mutex } = host;
  return mutex.guard(() => {
    const word = (at: number) => words.get(record + at);
    const entry = {
      gsi: word(Thread.askedGsi),
      record: word(Thread.askedRoute),
      generation: word(Thread.askedGeneration),
    };
    if (word(Thread.askedEnd) === 1) return { entry, ends: true, change: entryEnd(host, life, entry, false) };
    const at = Thread.askedMessage;
    const message = { a: word(at), b: word(at + 1), c: word(at + 2) };
    return { entry, ends: false, change: entryChange(host, life, entry, message) };
  });
}

/** The threads whose change of a route of this VM is in that state. */
function threadsAt({ words, pools }: BypassHost, vm: number, state: Asked): number[] {
  const found: number[] = [];
  for (let slot = 0; slot < words.load(Header.threads); slot++) {
    const record = pools.thread.at(slot);
    if (words.load(record + Thread.asked) === (vm | state)) found.push(record);
  }
  return found;
}
