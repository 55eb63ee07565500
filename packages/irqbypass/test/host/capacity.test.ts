/** What a host has room for: the sizes, single capacities beside them, and what is said where there is no room. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Epoll, Eventfd, Host, IrqBypassError, Producer, type Size, VfioPciDevice, Vm } from "irqbypass";
import { CAPACITIES, type Capacity, capacityOf, noRoom, ownRecords, SIZES } from "#src/host/capacity.js";
import type { PoolName } from "#src/host/layout.js";
import { createMemory } from "#src/host/wasm.js";
import { SMALL } from "../support/host.js";

/** What is given to `capacity`, and what else follows from it. */
function roomOf(host: Host): Capacity {
  const room = Object.values(host.pools).map(({ name, capacity }) => [name, capacity - ownRecords(name)]);
  return Object.fromEntries(room) as Capacity;
}

describe("the size of a host", () => {
  it("is small by default: at most 1 MiB reserved in all", () => {
    const host = Host.create();
    assert.ok(
      host.handle.memory.buffer.byteLength <= 2 ** 20,
      `${host.handle.memory.buffer.byteLength} bytes`,
    );
    assert.deepEqual(roomOf(host), roomOf(Host.create({ size: "small" })));
    host.dispose();
  });

  it("has more room for everything, the larger it is", () => {
    const rooms = SIZES.map((size) => roomOf(Host.create({ size })));
    for (const name of CAPACITIES) {
      const [small, medium, large] = rooms.map((room) => room[name]);
      assert.ok(small! < medium! && medium! < large!, `${name}: ${small}, ${medium}, ${large}`);
    }
    const [small, medium, large] = SIZES.map((size) => Host.bytes(undefined, size));
    assert.ok(medium! > 2 * small! && large! > 2 * medium!, `${small}, ${medium}, ${large} bytes`);
    assert.ok(large! < 2 ** 27, "128 MiB, which a page can have");
  });

  it("holds what it is for: a VM of 255 vCPUs with every GSI routed anew, and 2,000 VMs with routes of their own", () => {
    const msi = { vcpu: 0, vector: 64 };
    const wide = new Vm(Host.create({ size: "medium" }), { vcpus: 255 });
    for (let turn = 0; turn < 2; turn++)
      wide.setGsiRouting(Array.from({ length: 4096 }, (_, gsi) => ({ gsi, msi })));
    const large = Host.create({ size: "large" });
    const vms = Array.from({ length: 2000 }, () => new Vm(large));
    for (const vm of vms) vm.setGsiRouting([{ gsi: 24, msi }]);
  });

  it("gives way to single capacities, each of which changes nothing else", () => {
    for (const size of SIZES) {
      const room = capacityOf(size);
      for (const name of CAPACITIES) {
        const less = room[name] - 1;
        assert.deepEqual(roomOf(Host.create({ size, capacity: { [name]: less } })), {
          ...room,
          [name]: less,
        });
      }
    }
  });

  it("brings references and nodes for more eventfds than it has", () => {
    const { eventfd, reference, node } = roomOf(Host.create({ capacity: { eventfd: 100_000 } }));
    assert.deepEqual([eventfd, reference], [100_000, 200_000]);
    assert.ok(node > 100_000 / 64);
  });

  it("has to be one that there is", () => {
    for (const size of ["tiny", "Small", "", 1, null, {}]) {
      assert.throws(() => Host.create({ size: size as Size }), {
        code: "EINVAL",
        message: /size is .*: use "small", "medium" or "large"/,
      });
    }
  });

  it("is at most what handles can name, the host's own records among them", () => {
    for (const name of CAPACITIES) {
      const most = 2 ** 21 - 1 - ownRecords(name);
      assert.throws(() => Host.bytes({ [name]: most + 1 }), {
        code: "EINVAL",
        message: new RegExp(`capacity\\.${name} is ${most + 1}: give a whole number from 1 to ${most}`),
      });
    }
    assert.ok(
      Host.create({ capacity: { route: 2 ** 21 - 1 - ownRecords("route") } }).pools.route.capacity < 2 ** 21,
    );
  });
});

/** A call that takes one record of a pool, and may be made once in a host with room for one; `injection` takes a real guest. */
const TAKE_ONE: Readonly<Record<Exclude<PoolName, "injection">, (host: Host, turn: number) => unknown>> = {
  thread: (host, turn) => turn > 0 && Host.attach(host.handle), // the first one is the creator's
  eventfd: (host) => Eventfd.create(host),
  producer: (host) => Producer.create(host),
  consumer: (host) => new Vm(host).irqfd(Eventfd.create(host), 1),
  vm: (host) => new Vm(host),
  vcpu: (host) => new Vm(host),
  route: (host) => new Vm(host).setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 64 } }]),
  routing: (host) => new Vm(host).setGsiRouting([]),
  reference: (host) => Eventfd.create(host),
  ioeventfd: (host) => new Vm(host).ioeventfd({ address: 1 }, Eventfd.create(host)),
  epoll: (host) => Epoll.create(host),
  watch: (host) => Epoll.create(host).add(Eventfd.create(host)),
  device: (host) => new VfioPciDevice(host),
  node(host, turn) {
    const eventfd = Eventfd.create(host); // each index begins with a node of its own
    if (turn === 0) new Vm(host).irqfd(eventfd, 1);
    else Producer.create(host).register(eventfd);
  },
};

describe("a capacity that is used up", () => {
  for (const [name, takeOne] of Object.entries(TAKE_ONE)) {
    it(`is named with its value and the size that would do: ${name}`, () => {
      const host = Host.create({ capacity: { ...SMALL, [name]: 1 } });
      takeOne(host, 0);
      assert.throws(
        () => takeOne(host, 1),
        (error) => {
          assert.ok(error instanceof IrqBypassError, String(error));
          assert.equal(error.code, "ENOMEM");
          assert.equal(error.subject, name);
          const { [name as PoolName]: small } = capacityOf("small");
          assert.equal(
            error.message,
            `ENOMEM: capacity.${name} is 1, and all are in use: create the host with size "small", which has ${small}, ` +
              `or with a larger capacity.${name}`,
          );
          return true;
        },
      );
    });
  }

  it("names the smallest size with room for all that the call wants", () => {
    assert.match(
      noRoom("vm", 16).message,
      /capacity\.vm is 16, and all are in use: .* size "medium", which has 64/,
    );
    assert.match(noRoom("vm", 64).message, /size "large", which has 2048/);
    const small = Host.create();
    assert.throws(() => new Vm(small, { vcpus: 255 }), {
      message:
        /capacity\.vcpu is 64, and 191 more are needed: create the host with size "medium", which has 512/,
    });
    const few = Host.create({ capacity: { vcpu: 4, route: 50 } });
    assert.throws(() => new Vm(few, { vcpus: 255 }), { message: /size "medium"/ });
    const routes = Array.from({ length: 4096 }, (_, gsi) => ({ gsi, msi: { vcpu: 0, vector: 64 } }));
    assert.throws(() => new Vm(few).setGsiRouting(routes), {
      message:
        /capacity\.route is 50, and 4046 more are needed: create the host with size "medium", which has 16384/,
    });
  });

  it("is to be raised where no size has as many", () => {
    assert.match(
      noRoom("eventfd", 65_536).message,
      /capacity\.eventfd is 65536, and all are in use: create the host with capacity\.eventfd of 65537 or more$/,
    );
    assert.match(noRoom("eventfd", 2 ** 21 - 1).message, /a host can have no more: use a second one$/);
  });

  it("is named in bytes where the caller's memory is too small, with the size that fits", () => {
    const pages = (bytes: number) => Math.ceil(bytes / 65536);
    const room = pages(Host.bytes(undefined, "medium"));
    const memory = createMemory(room);
    assert.throws(() => Host.create({ memory, size: "large" }), {
      code: "ENOMEM",
      message: /the memory has \d+ bytes .*, this host takes \d+: pass a larger memory or size "medium"$/,
    });
    assert.throws(() => Host.create({ memory, capacity: { vm: 100_000 } }), {
      message: /pass a larger memory or a smaller capacity$/,
    });
  });
});
