/** A sound host, to be damaged by hand. */
import { Epoll, Eventfd, type FindingKind, type Host, type Irqfd, Producer, Vm } from "irqbypass";
import { type PoolName, Root } from "#src/host/layout.js";
import { nodePlatform } from "#src/host/platform-node.js";
import { noRelay, smallHost } from "../support/host.js";

/** A host with one of everything, and the records that the cases damage. */
export class Sound {
  /** Nobody repairs it, and nobody looks whether threads live. */
  readonly host: Host = smallHost({
    platform: { ...nodePlatform()!, every: () => () => {} },
    spawn: noRelay,
  });
  readonly eventfds: readonly Eventfd[];
  readonly producer: Producer;
  readonly vm: Vm;
  readonly epoll: Epoll;
  readonly irqfd: Irqfd;

  constructor() {
    const { host } = this;
    // 70 of them, so that the indexes have two levels.
    this.eventfds = Array.from({ length: 70 }, () => Eventfd.create(host));
    this.vm = new Vm(host, { vcpus: 2 });
    this.vm.setGsiRouting([
      { gsi: 3, msi: { vcpu: 0, vector: 0x41 } },
      { gsi: 4, irqchip: { chip: "ioapic", pin: 4 } },
      { gsi: 4, irqchip: { chip: "pic-master", pin: 4 } },
    ]);
    this.irqfd = this.vm.irqfd(this.eventfds[0]!, 3); // irqfd 0: edge, connected
    this.vm.irqfd(this.eventfds[1]!, 4, { resample: this.eventfds[2]! }); // irqfd 1: level
    this.vm.irqfd(this.eventfds[3]!, 3, { bypass: "off" }); // irqfd 2
    this.vm.irqfd(this.eventfds[69]!, 9); // irqfd 3
    this.producer = Producer.create(host);
    this.producer.register(this.eventfds[0]!); // producer 0: connected
    Producer.create(host).register(this.eventfds[5]!); // producer 1: alone
    Producer.create(host); // producer 2: not registered
    Eventfd.create(host).close(); // one that was given back: eventfd 70
    const bare = new Vm(host, { apic: false }); // VM 1
    bare.setGsiRouting([]);
    this.vm.ioeventfd({ address: 0x1000, length: 4, datamatch: 1 }, this.eventfds[6]!); // ioeventfd 0
    this.vm.ioeventfd({ address: 0x1004, length: 4, datamatch: 1 }, this.eventfds[7]!); // ioeventfd 1
    bare.ioeventfd({ address: 0x1000, space: "pio" }, this.eventfds[7]!); // ioeventfd 2
    this.epoll = Epoll.create(host); // epoll 0
    this.epoll.add(this.eventfds[8]!); // watch 0, bit 0
    this.epoll.add(this.eventfds[11]!, { edge: true }); // watch 1, bit 1
  }

  at(pool: PoolName, slot: number): number {
    return this.host.pools[pool].at(slot);
  }

  get(word: number): number {
    return this.host.words.get(word);
  }

  set(word: number, value: number): void {
    this.host.words.set(word, value);
  }

  add(word: number, value: number): void {
    this.set(word, this.get(word) + value);
  }

  /** The top node of an index. */
  top(root: number): number {
    return this.get(root + Root.node);
  }
}

export interface Case {
  readonly what: string;
  readonly damage: (sound: Sound) => void;
  /** "kind subject", in any order. */
  readonly found: readonly `${FindingKind} ${string}`[];
}
