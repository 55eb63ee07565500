// A thread that may not block is refused each call that would wait for a signal that does not end, with nothing changed; the same
// call goes through when the signal is past, by whenFree too.
import assert from "node:assert/strict";
import { afterEach, before, describe, it } from "node:test";
import { Consumer, Ioeventfd, Thread, Vm as VmWord } from "#src/host/layout.js";
import { nodePlatform } from "#src/host/platform-node.js";
import type { Pool } from "#src/host/pool.js";
import { Epoll, Eventfd, Host, Producer, Vcpu, VdpaDevice, VfioPciDevice, Vm } from "#src/index.js";

/** Makes what a call is about, in a page's main thread, and returns the call. */
type Prepare = (page: Host) => () => void;

function routed(page: Host): { vm: Vm; eventfd: Eventfd } {
  const vm = new Vm(page, { vcpus: 2 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  return { vm, eventfd: Eventfd.create(page) };
}

function registered(page: Host): Producer {
  const producer = Producer.create(page);
  producer.register(Eventfd.create(page));
  return producer;
}

function armed(page: Host): VfioPciDevice {
  const nic = new VfioPciDevice(page, { msix: 2 });
  nic.setTrigger("msix", 0, Eventfd.create(page));
  return nic;
}

const CALLS: Readonly<Record<string, Prepare>> = {
  "irqfd.dispose": (page) => {
    const { vm, eventfd } = routed(page);
    const irqfd = vm.irqfd(eventfd, 24);
    return () => irqfd.dispose();
  },
  "vm.deassign": (page) => {
    const { vm, eventfd } = routed(page);
    vm.irqfd(eventfd, 24);
    return () => assert.equal(vm.deassign(eventfd, 24), true);
  },
  "vm.irqfd": (page) => {
    const { vm, eventfd } = routed(page);
    return () => void vm.irqfd(eventfd, 24);
  },
  "vm.setGsiRouting": (page) => {
    const { vm } = routed(page);
    return () => vm.setGsiRouting([{ gsi: 25, msi: { vcpu: 1, vector: 0x42 } }]);
  },
  "vm.reset": (page) => {
    const { vm } = routed(page);
    return () => vm.reset();
  },
  "vm.dispose": (page) => {
    const { vm } = routed(page);
    return () => vm.dispose();
  },
  "vm.routeMsi": (page) => {
    const { vm } = routed(page);
    return () => void vm.routeMsi({ vcpu: 0, vector: 0x50 });
  },
  "route.change": (page) => {
    const route = routed(page).vm.routeMsi({ vcpu: 0, vector: 0x50 });
    return () => route.change({ vcpu: 1, vector: 0x51 });
  },
  "route.dispose": (page) => {
    const route = routed(page).vm.routeMsi({ vcpu: 0, vector: 0x50 });
    return () => route.dispose();
  },
  "ioeventfd.dispose": (page) => {
    const { vm, eventfd } = routed(page);
    const doorbell = vm.ioeventfd({ address: 0x1000, length: 4, space: "mmio" }, eventfd);
    return () => doorbell.dispose();
  },
  "apic.write of LDR": (page) => {
    const { vm } = routed(page);
    const vcpu = Vcpu.open(page, vm.vcpu(1).handle);
    vcpu.apic.setBase(0xfee00800); // xAPIC mode
    return () => vcpu.apic.write(0xd0, 0x02000000);
  },
  "producer.register": (page) => {
    const producer = Producer.create(page);
    const eventfd = Eventfd.create(page);
    return () => producer.register(eventfd);
  },
  "producer.move": (page) => {
    const producer = registered(page);
    const eventfd = Eventfd.create(page);
    return () => producer.move(eventfd);
  },
  "producer.unregister": (page) => {
    const producer = registered(page);
    return () => producer.unregister();
  },
  "producer.dispose": (page) => {
    const producer = registered(page);
    return () => producer.dispose();
  },
  "nic.setTrigger": (page) => {
    const nic = armed(page);
    return () => void nic.setTrigger("msix", 0, null);
  },
  "vector.mask": (page) => {
    const vector = armed(page).vector("msix", 0);
    return () => vector.mask();
  },
  "vector.reset": (page) => {
    const vector = armed(page).vector("msix", 0);
    return () => vector.reset();
  },
  "msix.functionMask": (page) => {
    const nic = armed(page);
    return () => {
      nic.functionMask = true;
    };
  },
  "nic.reset": (page) => {
    const nic = armed(page);
    return () => nic.reset();
  },
  "nic.dispose": (page) => {
    const nic = armed(page);
    return () => nic.dispose();
  },
  "session.setVringCall": (page) => {
    const session = new VdpaDevice(page, { queues: 1 }).open();
    return () => session.setVringCall(0, Eventfd.create(page));
  },
  "session.setStatus": (page) => {
    const session = new VdpaDevice(page, { queues: 1 }).open();
    return () => session.setStatus(0);
  },
  "epoll.remove": (page) => {
    const epoll = Epoll.create(page);
    const eventfd = Eventfd.create(page);
    epoll.add(eventfd);
    return () => epoll.remove(eventfd);
  },
  "eventfd.close": (page) => {
    const eventfd = Eventfd.create(page);
    return () => eventfd.close();
  },
  "host.bypass": (page) => () => {
    page.bypass = !page.bypass;
  },
};

describe("a signal that does not end, beside a thread that may not block", () => {
  let host: Host;
  let device: Host;
  let page: Host;
  before(() => {
    host = Host.create();
    device = Host.attach(host.handle);
    Producer.create(device).register(Eventfd.create(device)); // the first of the host
    page = Host.attach(host.handle, { platform: { ...nodePlatform()!, mayBlock: false } });
  });

  afterEach(() => device.words.store(device.thread.signalling, 0));

  for (const [name, prepare] of Object.entries(CALLS)) {
    it(`${name} is refused, and goes through when that is past`, async () => {
      const call = prepare(page);
      const { words, thread } = device;
      // Not the reason: a relay may be starting.
      const ends = () =>
        page.interrupts().map(({ eventfd, producer, consumer }) => ({ eventfd, producer, consumer }));
      const before = ends();
      words.store(thread.record + Thread.signalling, host.pools.producer.at(0));
      assert.throws(call, {
        code: "EAGAIN",
        subject: `thread ${device.threadId}`,
        message: /is in the middle of a signal.*host\.whenFree/,
      });
      assert.deepEqual(ends(), before, "it changed something");
      assert.deepEqual(host.audit().findings, []);
      const done = page.whenFree(call);
      setTimeout(() => words.store(thread.record + Thread.signalling, 0), 5);
      await done;
    });
  }

  it("one that is past by the next look is waited for", () => {
    const { words, thread } = device;
    const { load } = words;
    words.store(thread.signalling, host.pools.producer.at(0));
    let looks = 0;
    const over = Object.assign(Object.create(page.words), {
      load: (word: number) => {
        if (word === thread.signalling && ++looks === 3) words.store(thread.signalling, 0);
        return load.call(words, word);
      },
    });
    Object.defineProperty(page, "words", { value: over, configurable: true });
    page.checkChange();
    assert.ok(looks >= 3);
  });

  it("a VM that another thread is disposing is refused, too, and an irqfd and an ioeventfd that it is deassigning", () => {
    const { words, pools } = host;
    const { record } = device.thread;
    const { vm, eventfd } = routed(page);
    const irqfd = vm.irqfd(eventfd, 24);
    const doorbell = vm.ioeventfd({ address: 0x1000, length: 4, space: "mmio" }, Eventfd.create(page));
    const newest = (pool: Pool) => {
      const live: number[] = [];
      host.forEachLive(pool, (one) => live.push(one));
      return live.at(-1)!;
    };
    const subjects: readonly (readonly [number, () => void, RegExp])[] = [
      [newest(pools.consumer) + Consumer.closing, () => irqfd.dispose(), /an irqfd is being deassigned/],
      [
        newest(pools.ioeventfd) + Ioeventfd.closing,
        () => doorbell.dispose(),
        /an ioeventfd is being deassigned/,
      ],
      [pools.vm.at(vm.id) + VmWord.dying, () => vm.dispose(), /VM \d+ is being disposed by another thread/],
    ];
    for (const [word, call, message] of subjects) {
      words.store(word, record);
      assert.throws(call, { code: "EAGAIN", message });
      words.store(word, 0);
      call();
    }
  });
});
