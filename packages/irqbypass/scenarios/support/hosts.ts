import type { World } from "atomics-explorer";
import type { Kind } from "#src/bypass/kind.js";
import type { Capacity } from "#src/host/capacity.js";
import { Header, RelayState } from "#src/host/layout.js";
import type { Platform, WatchableWorker } from "#src/host/platform.js";
import { ThisThread } from "#src/host/thread.js";
import type { Words } from "#src/host/words.js";
import { Host } from "#src/vm/host.js";
import { compiledOver } from "./compiled.js";
import { HostDiscipline } from "./discipline.js";
import { HostScene, workerOf } from "./host-scene.js";
import { keepTables } from "./transitions.js";

/** Room for a scenario: what is not needed would only be more memory to set up. */
const CAPACITY: Capacity = {
  thread: 8,
  eventfd: 4,
  producer: 4,
  consumer: 4,
  vm: 2,
  vcpu: 4,
  route: 8,
  routing: 4,
  injection: 2,
  ioeventfd: 2,
  reference: 12,
  epoll: 2,
  watch: 4,
  device: 2,
  node: 66,
};

/**
 * One host in the world's memory, as each of these threads sees it; the first one created it. Its accesses are held to
 * the classes of the layout, and charts name its words.
 */
export function hosts<Name extends string>(
  world: World,
  names: readonly [Name, ...Name[]],
  {
    kinds = [],
    capacity = {},
  }: {
    /** The same for every thread, or what each has for itself. */
    readonly kinds?: readonly Kind[] | ((name: Name) => readonly Kind[]);
    readonly capacity?: Partial<Capacity>;
  } = {},
): Record<Name, Host> {
  const options = (name: Name) => ({
    kinds: typeof kinds === "function" ? kinds(name) : kinds,
    platform: platformOf(world, name),
    words: (buffer: SharedArrayBuffer, byteOffset: number, length: number) =>
      world.adopt(name, buffer, byteOffset, length),
  });
  const [first, ...others] = names;
  const creator = Host.create({
    ...options(first),
    capacity: { ...CAPACITY, thread: names.length, ...capacity },
  });
  creator.thread.serve = undefined; // a scenario starts no threads
  creator.words.store(Header.relays, RelayState.running | creator.thread.record);
  const found = [
    [first, creator] as const,
    ...others.map((name) => [name, Host.attach(creator.handle, options(name))] as const),
  ];
  for (const [, { thread }] of found) waitsUnsaid(thread);
  const module = modules.get(world);
  for (const [, host] of module === undefined ? [] : found)
    host.compiled = compiledOver(() => host.words, host.base, module);
  const scene = new HostScene(creator);
  world.discipline = new HostDiscipline(scene);
  keepTables(world, scene);
  return Object.fromEntries(found) as Record<Name, Host>;
}

/** What a thread says of its waits is for tools, and nothing goes by it: it would only be more states. */
function waitsUnsaid(thread: object): void {
  (thread as { readonly standing: { say(): void } }).standing.say = () => {};
}

/** What a thread of this name does to attach to the host of another: for scenarios in which it comes and goes. */
export function attaching(
  world: World,
  name: string,
  { pools }: Host,
  words: Words = world.words(name),
): () => ThisThread {
  const platform = platformOf(world, name);
  return () => new ThisThread(words, pools.thread, platform);
}

/** The module that the hosts of a world run, where that is not the TypeScript. */
const modules = new WeakMap<World, Uint8Array>();

/** From now on `hosts` gives this module to each host of the world: the shipped one, rewritten, or a broken one. */
export function runCompiled(world: World, module: Uint8Array): void {
  modules.set(world, module);
}

/** A platform where no other thread runs at the same time, and threads die as the schedule says. */
function platformOf(world: World, name: string): Platform {
  const thread = world.thread(name);
  return {
    name: "explorer",
    mayBlock: true,
    cores: 0, // more threads than cores: nobody spins before it sleeps
    self: () => ({ pid: 1, tid: thread.index + 1, startTime: 0, worker: workerOf(thread.index) }),
    alive: ({ tid }) => thread.alive(tid - 1),
    spawn: () => {
      throw new Error("a scenario starts no threads: name them in `threads`");
    },
    messages: () => () => {},
    leave() {},
    isWorker: (_value): _value is WatchableWorker => false,
    hold: () => () => {},
    onExit: () => () => {},
    every: () => () => {},
  };
}
