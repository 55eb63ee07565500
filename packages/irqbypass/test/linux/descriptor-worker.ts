/**
 * A thread that opens and closes descriptors of a host in one of the ways, and stays, right after one of the system calls that do so,
 * in native code until it is told to go on: if it is terminated meanwhile, it sees that at the next place where a thread can.
 */
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { Epoll, Host, type HostHandle } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { type Ffi, LinuxEventfd, linux } from "irqbypass/linux";

export interface DescriptorWork {
  readonly host: HostHandle;
  /** A Linux eventfd that nobody has slept on. */
  readonly eventfd: number;
  readonly way: Way;
  /** It stays after so many of the calls that open or close. */
  readonly after: number;
  /** An eventfd that can be read once it is to go on. */
  readonly go: number;
  /** Word 0 is 1 while it stays. */
  readonly words: Int32Array;
}

const KVM_CREATE_VM = 0xae01;
const KVM_CREATE_VCPU = 0xae41;
const POLLIN = 1;

/** A read that goes to sleep once, for which it makes the descriptor of the kicks: what it waits for comes then. */
function sleepOn(eventfd: LinuxEventfd, ffi: Ffi): void {
  ffi.poll = () => {
    eventfd.write();
    return 0;
  };
  eventfd.read();
}

const ways = {
  "sleeps on an eventfd": (host: Host, eventfd: number, ffi: Ffi) =>
    sleepOn(LinuxEventfd.open(host, eventfd), ffi),
  "makes an eventfd, sleeps on it and closes it"(host: Host, _eventfd: number, ffi: Ffi) {
    using eventfd = LinuxEventfd.create(host);
    sleepOn(eventfd, ffi);
  },
  "adopts an eventfd that the host has"(host: Host, eventfd: number) {
    using known = LinuxEventfd.open(host, eventfd);
    using _again = LinuxEventfd.adopt(host, known.fd);
  },
  "watches an eventfd, and ends that"(host: Host, eventfd: number) {
    using epoll = Epoll.create(host);
    using watched = LinuxEventfd.open(host, eventfd);
    epoll.add(watched);
  },
  "makes a guest, and disposes of it"(host: Host) {
    using _guest = new KvmVm(host, { vcpus: 2 });
  },
} as const;
export type Way = keyof typeof ways;

/** Those that need no KVM. */
export const LINUX_WAYS = Object.keys(ways).filter((way) => !way.includes("guest")) as readonly Way[];
export const KVM_WAYS = Object.keys(ways).filter((way) => way.includes("guest")) as readonly Way[];

function main({ host: handle, eventfd, way, after, go, words }: DescriptorWork): void {
  const kind = linux();
  const ffi = kind.ffi();
  const koffi = createRequire(import.meta.url)("koffi");
  const poll: (fds: Int32Array, count: number, timeoutMs: number) => number = koffi
    .load(null)
    .func("int poll(void *fds, unsigned long count, int timeout)");
  const pollfd = new Int32Array([go, POLLIN]);
  let left = after;
  // From the return of a system call to that of what stands for it here no function is entered but native ones.
  const stays = <Arguments extends readonly number[] | readonly [string, number, number]>(
    call: (...args: Arguments) => number,
    counts: (...args: Arguments) => boolean = () => true,
  ) => {
    return (...args: Arguments) => {
      const isLast = counts(...args) && --left === 0;
      const result = call(...args);
      if (isLast) {
        Atomics.store(words, 0, 1);
        poll(pollfd, 1, -1);
      }
      return result;
    };
  };
  ffi.open = stays(ffi.open);
  ffi.close = stays(ffi.close);
  ffi.fcntl = stays(ffi.fcntl);
  ffi.eventfd = stays(ffi.eventfd);
  ffi.epollCreate = stays(ffi.epollCreate);
  ffi.ioctl = stays(ffi.ioctl, (_fd, request) => request === KVM_CREATE_VM || request === KVM_CREATE_VCPU);
  const host = Host.attach(handle, { kinds: [kind, kvm()] });
  ways[way](host, eventfd, ffi);
  host.dispose();
  parentPort!.postMessage("done");
}

if (parentPort !== null && workerData !== null) main(workerData as DescriptorWork);
