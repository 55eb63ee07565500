/**
 * What a thread has when it leaves the host: each thing is refused by its name, or ends with the thread, or stays for others. The
 * creator is another one here; of what it is refused for `vcpu.test.ts` tells.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Epoll,
  Eventfd,
  Host,
  Msix,
  Producer,
  Vcpu,
  VdpaDevice,
  VfioPciDevice,
  VIRTIO_STATUS,
  Vm,
} from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { kvmTests } from "../kvm/available.js";
import { linux as linuxTests } from "../linux/available.js";
import { smallHost } from "../support/host.js";
import { setUnmask } from "../support/intx.js";

const READY = VIRTIO_STATUS.acknowledge | VIRTIO_STATUS.driver | VIRTIO_STATUS.driverOk;
/** Of these nothing is left in the end; the creator has eventfds. */
const POOLS = [
  "producer",
  "consumer",
  "vm",
  "vcpu",
  "injection",
  "ioeventfd",
  "epoll",
  "watch",
  "device",
] as const;

/** A host, and the view of it as the thread has it that leaves. */
class Scene {
  readonly host: Host;
  readonly there: Host;
  /** Those that the thread waits for. */
  readonly waits: Promise<unknown>[] = [];

  constructor(kinds: Host["kinds"]) {
    this.host = smallHost({ kinds });
    this.there = Host.attach(this.host.handle, { kinds });
  }

  /** An asynchronous wait, which must end with the thread. */
  awaits(wait: Promise<unknown>): void {
    this.waits.push(wait.then(String, ({ code }) => code));
  }
}

interface Case {
  readonly what: string;
  /** Makes it in `there`. Returns how the thread ends it, a function, where it has to. */
  readonly make: (scene: Scene) => unknown;
  /** What the refusal says, where there is one. */
  readonly refused?: string;
  /** What another one does with it afterwards, where it stays. */
  after?(scene: Scene): void;
}

/** The record of the only VM, device or the like, by its handle: for another thread. */
const only = (host: Host, pool: "vm" | "device") => {
  let handle = 0;
  host.forEachLive(host.pools[pool], (record) => {
    handle ||= host.pools[pool].handle(record);
  });
  return handle;
};

const anywhere = (create: (host: Host) => Eventfd | LinuxEventfd): Case[] => [
  {
    what: "a producer that is registered",
    make({ there }) {
      const producer = Producer.create(there);
      producer.register(create(there));
      return () => producer.dispose();
    },
    refused: "producer 0",
  },
  { what: "a producer that is not", make: ({ there }) => void Producer.create(there) },
  {
    what: "a device with a trigger",
    make({ there }) {
      const nic = new VfioPciDevice(there, { msix: 2 });
      nic.setTrigger("msix", 1, create(there));
      return () => nic.dispose();
    },
    refused: "device 0",
  },
  { what: "a device without one", make: ({ there }) => void new VfioPciDevice(there, { msix: 2 }) },
  {
    what: "a device of its own whose INTx an eventfd unmasks",
    make({ there }) {
      const nic = new VfioPciDevice(there, { intx: true });
      nic.setTrigger("intx", 0, create(there));
      setUnmask(nic, create(there));
    },
  },
  {
    what: "the listener to the unmask eventfd of another's device",
    make({ host, there }) {
      const nic = new VfioPciDevice(host, { intx: true });
      nic.setTrigger("intx", 0, create(host));
      setUnmask(VfioPciDevice.open(there, nic.handle), create(there));
    },
    after({ host }) {
      const nic = VfioPciDevice.open(host, only(host, "device"));
      const eventfd = create(host);
      setUnmask(nic, eventfd); // EBUSY, did the thread listen still
      nic.mask("intx");
      eventfd.write();
      nic.intx.poll();
      assert.equal(nic.intx.masked, false);
      nic.dispose();
    },
  },
  {
    what: "a vDPA device of its own, open under DRIVER_OK",
    make({ there }) {
      const disk = new VdpaDevice(there, { queues: 1, ops: { getVqIrq: () => 1 } });
      const session = disk.open();
      session.setVringCall(0, create(there));
      session.setStatus(READY);
      return () => disk.dispose();
    },
    refused: "device 0",
  },
  {
    what: "the session of another's vDPA device, under DRIVER_OK",
    make({ host, there }) {
      const disk = new VdpaDevice(host, { queues: 1 });
      const session = VdpaDevice.open(there, disk.handle, { ops: { getVqIrq: () => 1 } }).open();
      session.setVringCall(0, create(there));
      session.setStatus(READY);
    },
    after({ host }) {
      const disk = VdpaDevice.open(host, only(host, "device"));
      disk.open(); // EBUSY, had the thread it open still
      disk.dispose();
    },
  },
  {
    what: "an eventfd that it reads, and an epoll that it waits on",
    make(scene) {
      const { there } = scene;
      const [read, watched, epoll] = [create(there), create(there), Epoll.create(there)];
      epoll.add(watched, { data: 1 });
      scene.awaits(read.readAsync());
      scene.awaits(epoll.waitAsync());
    },
  },
  {
    what: "a wait for a path, and a call for when a mutex is free",
    make(scene) {
      const { host, there } = scene;
      const vm = new Vm(host);
      const eventfd = create(host);
      scene.awaits(Vm.open(there, vm.handle).irqfd(create(there), 24).bypassed());
      scene.awaits(there.whenFree(() => new Promise((resolve) => setTimeout(resolve, 5, "called"))));
      eventfd.close();
    },
    after: ({ host }) => Vm.open(host, only(host, "vm")).dispose(),
  },
  {
    what: "a software VM, its irqfds, routes and ioeventfds",
    make({ there }) {
      const vm = new Vm(there, { vcpus: 2 });
      vm.irqfd(create(there), vm.routeMsi({ vcpu: 0, vector: 0x41 }).gsi);
      vm.ioeventfd({ address: 0xfe003000, length: 2 }, create(there));
    },
    after({ host }) {
      const vm = Vm.open(host, only(host, "vm"));
      assert.equal(vm.write("mmio", 0xfe003000, 2, 1), true, "the doorbell keeps its eventfd");
      vm.dispose();
    },
  },
  {
    what: "a vCPU of its own VM that it runs",
    make({ there }) {
      const vm = new Vm(there, { vcpus: 2 });
      const vcpu = Vcpu.open(there, vm.vcpu(1).handle);
      return () => vcpu.put();
    },
    refused: "vCPU 1 of VM 0",
    after: ({ host }) => Vm.open(host, only(host, "vm")).dispose(),
  },
  {
    what: "a vCPU of another's VM, armed and with a wait",
    make(scene) {
      const { host, there } = scene;
      const vm = new Vm(host, { vcpus: 2 });
      const [armed, waiting] = [0, 1].map((n) => Vcpu.open(there, vm.vcpu(n).handle));
      armed!.arm(() => assert.fail("it is called"));
      scene.awaits(waiting!.waitAsync());
      return () => {
        armed!.disarm();
        armed!.put();
        waiting!.put();
      };
    },
    refused: "vCPU 0 of VM 0, vCPU 1 of VM 0",
    after: ({ host }) => Vm.open(host, only(host, "vm")).dispose(),
  },
  {
    what: "an Msix that is connected",
    make({ host, there }) {
      const nic = new VfioPciDevice(there, { msix: 2 });
      const msix = new Msix(new Vm(host), nic, () => create(there));
      msix.control = 0x8000;
      msix.table.write(0, new Uint8Array(Uint32Array.of(0xfee00000, 0, 0x41, 0).buffer));
      return () => nic.dispose();
    },
    refused: "device 0",
    after: ({ host }) => Vm.open(host, only(host, "vm")).dispose(),
  },
  {
    what: "an Msix that is not",
    make({ host, there }) {
      new Msix(new Vm(host), new VfioPciDevice(there, { msix: 2 }), () => create(there));
    },
    after: ({ host }) => Vm.open(host, only(host, "vm")).dispose(),
  },
];

const guests: Case[] = [
  {
    what: "a KVM guest that runs",
    make({ there }) {
      const vm = new KvmVm(there, { vcpus: 3 });
      vm.start();
      return () => vm.dispose();
    },
    refused: "VM 0 (3 vCPUs)",
  },
  {
    what: "a KVM guest that has not begun",
    make({ there }) {
      const vm = new KvmVm(there);
      return () => vm.dispose();
    },
    refused: "VM 0 (1 vCPU)",
  },
  {
    what: "another's KVM guest that it has opened, with a route and an irqfd",
    make({ host, there }) {
      const vm = new KvmVm(host);
      own.push(vm);
      const opened = KvmVm.open(there, vm.handle);
      opened.irqfd(LinuxEventfd.create(there), opened.routeMsi({ vcpu: 0, vector: 0x41 }).gsi);
    },
    after: () => own.pop()!.dispose(),
  },
];
const own: KvmVm[] = [];

function leaves(cases: readonly Case[], kinds: () => Host["kinds"]): void {
  for (const { what, make, refused, after } of cases) {
    it(`${what}: ${refused ? `refused as ${refused}` : after ? "stays" : "ends"}`, async () => {
      const scene = new Scene(kinds());
      const { host, there, waits } = scene;
      const end = make(scene);
      if (refused !== undefined) {
        const message = `EBUSY: ${refused} must be disposed or put first`;
        assert.throws(() => there.dispose(), { code: "EBUSY", message });
        assert.deepEqual(host.audit().findings, []);
        (end as () => void)();
      }
      there.dispose();
      assert.deepEqual(host.audit().findings, []);
      for (const wait of waits) assert.match(String(await wait), /^(EBADF|called|kicked)$/);
      after?.(scene);
      const { findings, left, live } = host.audit();
      assert.deepEqual([findings, left], [[], []]);
      for (const name of POOLS) assert.equal(live[name], 0, name);
      host.dispose();
    });
  }
}

describe("a thread that leaves the host with", () => {
  leaves(anywhere(Eventfd.create), () => []);
});

describe("with Linux eventfds, a thread that leaves the host with", linuxTests, () => {
  leaves(anywhere(LinuxEventfd.create), () => [linux()]);
});

describe("of a host with KVM guests, a thread that leaves with", kvmTests, () => {
  leaves(guests, () => [linux(), kvm()]);
});

describe("who created the host", kvmTests, () => {
  it("is told of a KVM guest with the number of its vCPUs", () => {
    const host = Host.create({ kinds: [linux(), kvm()] });
    const guest = new KvmVm(host, { vcpus: 3 });
    assert.throws(() => host.dispose(), { message: /^EBUSY: VM 0 \(3 vCPUs\) must be disposed/ });
    guest.dispose();
    host.dispose();
  });
});
