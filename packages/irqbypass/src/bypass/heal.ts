/**
 * What the host mutex guards, made whole after a thread has died while it held it.
 *
 * There is no journal. Each record says by single words what is so (its generation, its owner, the eventfd it is
 * registered under or keeps alive), and all else (free records, both indexes, the counts) follows from those, so it is
 * made anew. O(records used); nobody else can get in meanwhile.
 */
import { closerOf, holdContext, recount, releaseUnused, setCloser } from "../eventfd/reference.js";
import {
  Consumer,
  DEVICE_EVENTFDS,
  Device,
  Eventfd,
  Header,
  Injection,
  Ioeventfd,
  Producer,
  Reference,
  Root,
  Route,
  Routing,
  Vcpu,
  Vm,
  Watch,
} from "../host/layout.js";
import type { Pool } from "../host/pool.js";
import { XArray } from "../host/xarray.js";
import { Mode, modeOf, relayed, targetOf } from "../posting/irte.js";
import type { BypassHost } from "./bypass-host.js";
import { isDevice, liveRecords } from "./live-records.js";

/** Repairs all of it. The caller holds the host mutex; `dead` is the record of the thread that held it. */
export function healHost(host: BypassHost, dead: number): void {
  dropHalfMade(host, dead);
  for (const [name, pool] of Object.entries(host.pools)) if (name !== "thread") pool.rebuild();
  rebuildIndexes(host);
  host.manager.abandonChange();
  recountContexts(host, dead);
}

/** Records that were being made: their owner, which is written last, is not there yet. */
function dropHalfMade(host: BypassHost, dead: number): void {
  const { words, pools } = host;
  for (const eventfd of liveRecords(pools.eventfd)) {
    if (words.get(eventfd + Eventfd.owner) !== 0) continue;
    if (words.get(eventfd + Eventfd.fd) === 0) {
      pools.eventfd.end(eventfd);
    } else {
      words.set(eventfd + Eventfd.owner, dead);
      setCloser(words, eventfd, dead); // its descriptor is still to be closed, not under the mutex
    }
  }
  dropUnowned(host, pools.producer, Producer.owner);
  dropUnowned(host, pools.consumer, Consumer.owner);
  dropUnowned(host, pools.ioeventfd, Ioeventfd.owner);
  dropUnowned(host, pools.vm, Vm.owner);
  dropUnowned(host, pools.injection, Injection.owner);
  dropUnowned(host, pools.reference, Reference.owner);
  dropUnowned(host, pools.watch, Watch.epoll);
  dropUnowned(host, pools.route, Route.table);
  for (const device of liveRecords(pools.device)) if (!isWhole(host, device)) pools.device.end(device);
  for (const device of liveRecords(pools.device)) {
    const table = isDevice(host, device) ? words.load(device + Device.table) : 0;
    if (table !== 0 && !pools.device.lives(table)) words.store(device + Device.table, 0);
  }
  for (const table of liveRecords(pools.routing))
    if (words.load(table + Routing.owner) === 0) pools.routing.end(table);
  for (const vcpu of liveRecords(pools.vcpu)) if (!isListed(host, vcpu)) pools.vcpu.end(vcpu);
  for (const consumer of liveRecords(pools.consumer)) {
    const target = words.load(consumer + Consumer.target);
    if (modeOf(target) === Mode.injected && !pools.injection.lives(pools.injection.at(targetOf(target))))
      words.store(consumer + Consumer.target, relayed("none")); // its consumer was about to follow it
  }
}

function dropUnowned({ words }: BypassHost, pool: Pool, owner: number): void {
  for (const record of liveRecords(pool)) if (words.get(record + owner) === 0) pool.end(record);
}

/** Is a record of a device one of a device that is there, and was made whole? */
function isWhole({ words, pools }: BypassHost, record: number): boolean {
  const head = words.get(record + Device.head);
  return head !== 0 && pools.device.lives(head) && words.load(head + Device.owner) !== 0;
}

/** Is the vCPU one that its VM names? */
function isListed({ words, pools }: BypassHost, vcpu: number): boolean {
  const vm = words.get(vcpu + Vcpu.vm);
  const index = words.get(vcpu + Vcpu.index);
  return (
    vm !== 0 &&
    pools.vm.lives(vm) &&
    index < words.get(vm + Vm.vcpus) &&
    words.get(vm + Vm.vcpu + index) === vcpu
  );
}

/** Counts anew who keeps which eventfd alive. Under the host mutex. */
export function recountContexts(host: BypassHost, dead: number): void {
  const { words, pools } = host;
  recount(host, (name) => liveRecords(pools[name]));
  const hold = (eventfd: number) => {
    if (eventfd !== 0) holdContext(host, eventfd);
  };
  for (const producer of liveRecords(pools.producer)) {
    // A dead thread may have moved it, and not said yet what it holds now.
    const registered = words.get(producer + Producer.eventfd);
    if (registered !== 0) words.store(producer + Producer.holds, registered);
    hold(words.load(producer + Producer.holds));
  }
  for (const consumer of liveRecords(pools.consumer)) {
    hold(words.get(consumer + Consumer.holds));
    hold(words.get(consumer + Consumer.resample));
  }
  for (const ioeventfd of liveRecords(pools.ioeventfd)) hold(words.get(ioeventfd + Ioeventfd.eventfd));
  for (const device of liveRecords(pools.device)) {
    if (isDevice(host, device)) for (const at of DEVICE_EVENTFDS) hold(words.load(device + at));
  }
  for (const watch of liveRecords(pools.watch)) {
    hold(words.get(watch + Watch.eventfd));
    hold(words.get(watch + Watch.epoll));
  }
  for (const context of [...liveRecords(pools.eventfd), ...liveRecords(pools.epoll)]) {
    if (closerOf(words, context) !== 0) continue;
    // Not closed from here, under the mutex, but with the rest of what the dead thread had.
    if (releaseUnused(host, context) !== undefined) setCloser(words, context, dead);
  }
}

function rebuildIndexes(host: BypassHost): void {
  const { words, pools } = host;
  for (const node of liveRecords(pools.node)) pools.node.end(node);
  pools.node.rebuild(); // zeroes them, too
  const index = (root: number) => {
    words.set(root + Root.node, 0);
    words.set(root + Root.levels, 0);
    return new XArray(words, root, pools.node);
  };
  const producers = index(Header.producers);
  for (const producer of liveRecords(pools.producer)) {
    const eventfd = words.get(producer + Producer.eventfd);
    if (eventfd !== 0) producers.insert(pools.eventfd.slot(eventfd), producer);
  }
  const consumers = index(Header.consumers);
  for (const consumer of liveRecords(pools.consumer)) {
    const eventfd = words.get(consumer + Consumer.eventfd);
    if (eventfd !== 0) consumers.insert(pools.eventfd.slot(eventfd), consumer);
  }
  const linux = index(Header.linuxEventfds);
  for (const eventfd of liveRecords(pools.eventfd)) {
    const listed = words.get(eventfd + Eventfd.fd) !== 0 && closerOf(words, eventfd) === 0;
    if (listed) linux.insert(words.get(eventfd + Eventfd.kernelId), eventfd);
  }
}
