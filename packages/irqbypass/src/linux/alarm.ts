/**
 * A timer that ends a blocking system call of its thread, so that the thread can look whether it is to go on.
 *
 * Nothing else ends such a call when the thread's worker is terminated: Node asks it to stop and waits, and so does the
 * thread that started it when it is ended itself, and so does the process. The kernel frees a timer only with the process.
 * A thread that is terminated leaves its own behind, disarmed; {@link removeOrphans} is for whoever repairs after it.
 */
import { checked } from "./checked.js";
import type { Ffi } from "./ffi.js";
import { files } from "./node.js";
import { KICK_SIGNAL, threadId } from "./signal.js";
import { systemCall } from "./system-call.js";

const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;
const SIGEVENT_BYTES = 64;
const NS_PER_MS = 1e6;
/** By what a timer of ours is known: "irqb", where a signal handler would find it. */
const OURS = 0x69727162;

/** The calling thread's timer. It sends {@link KICK_SIGNAL}, which the thread has blocked outside of the calls to end. */
export class Alarm implements Disposable {
  readonly #ffi: Ffi;
  readonly #id: number;
  /** struct itimerspec: no interval, then the time until it fires. */
  readonly #time: BigInt64Array;
  readonly #timeAt: number;
  readonly #settime = systemCall("timer_settime");

  /** Makes the timer, not running yet. Throws what timer_create(2) says. */
  constructor(ffi: Ffi, afterMs: number) {
    const event = new Int32Array(SIGEVENT_BYTES / 4);
    event.set([OURS, 0, KICK_SIGNAL, SIGEV_THREAD_ID, threadId()]);
    const id = new Int32Array(1);
    checked(
      ffi.syscall(systemCall("timer_create"), CLOCK_MONOTONIC, ffi.addressOf(event), ffi.addressOf(id)),
      "timer_create",
      "this thread's alarm",
    );
    this.#ffi = ffi;
    this.#id = id[0]!;
    this.#time = new BigInt64Array([0n, 0n, 0n, BigInt(afterMs * NS_PER_MS)]);
    this.#timeAt = ffi.addressOf(this.#time);
  }

  /** Lets it ring once, after the time that it was made with. */
  set(): void {
    checked(this.#ffi.syscall(this.#settime, this.#id, 0, this.#timeAt), "timer_settime", "an alarm");
  }

  [Symbol.dispose](): void {
    removeTimer(this.#ffi, this.#id);
  }
}

function removeTimer(ffi: Ffi, id: number): void {
  checked(ffi.syscall(systemCall("timer_delete"), id), "timer_delete", "an alarm");
}

/**
 * Deletes the alarms of this process whose threads are gone. Where the kernel does not list timers (it was built without
 * CONFIG_CHECKPOINT_RESTORE) they stay, some hundred bytes each.
 */
export function removeOrphans(ffi: Ffi): void {
  for (const { id, tid } of alarms()) if (!files().existsSync(`/proc/self/task/${tid}`)) removeTimer(ffi, id);
}

/** The alarms of this process, and whose they are. */
export function alarms(): { readonly id: number; readonly tid: number }[] {
  let list: string;
  try {
    list = files().readFileSync("/proc/self/timers", "latin1");
  } catch {
    return [];
  }
  const ours = new RegExp(
    `^signal: ${KICK_SIGNAL}/0*${OURS.toString(16)}\nnotify: signal/tid\\.(\\d+)$`,
    "m",
  );
  return list
    .split(/^ID: /m)
    .map((timer) => ({ id: Number.parseInt(timer, 10), tid: Number(ours.exec(timer)?.[1]) }))
    .filter(({ tid }) => tid > 0);
}
