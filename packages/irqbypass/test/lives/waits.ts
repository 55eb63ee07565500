/** The waits of the library, as a thread does them until it has done so many. */
import { Eventfd, Host, type Irqfd, Producer, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { EventfdFile, LinuxEventfd, linux, loadFfi } from "irqbypass/linux";
import { setUnmask } from "../support/intx.js";
import type { Wait, WaiterWork } from "./work.js";

/** Any GSI that no other irqfd of the VM has. */
export const GSI = 30;

/** What a thread that waits has; it gives back what it can when it ends well. */
export interface Waiter {
  /** Begins; `waited` is called after each wait, and says whether to go on. Resolves when it does not. */
  run(waited: () => boolean): Promise<void>;
  /** A descriptor of its own that the host does not know of. */
  readonly descriptor?: number;
  /** Gives everything back but the host. */
  end(): Promise<void> | void;
}

export function attach(work: Pick<WaiterWork, "host">): Host {
  return Host.attach(work.host, { kinds: [linux(), kvm()] });
}

/** A wait that blocks the thread, on something that is closed in the end. */
function blocking(wait: () => void, close: () => void = () => {}): Waiter {
  return {
    async run(waited) {
      do wait();
      while (waited());
    },
    end: close,
  };
}

/** Three of the same at once, none of which blocks. `stop` ends those that wait when enough have been waited for. */
function async_(wait: (signal: AbortSignal) => Promise<unknown>, close: () => void = () => {}): Waiter {
  return {
    async run(waited) {
      const stop = new AbortController();
      const one = async () => {
        while (!stop.signal.aborted) {
          try {
            await wait(stop.signal);
          } catch (error) {
            if (!stop.signal.aborted) throw error;
          }
          if (!waited()) stop.abort(new Error("enough"));
        }
      };
      await Promise.all([one(), one(), one()]);
    },
    end: close,
  };
}

const ways: Readonly<Record<Wait, (host: Host, work: WaiterWork) => Waiter>> = {
  "Eventfd.read"(host, { shared }) {
    const eventfd = Eventfd.open(host, shared);
    return blocking(
      () => eventfd.read(),
      () => eventfd.close(),
    );
  },
  "Eventfd.readAsync"(host, { shared }) {
    const eventfd = Eventfd.open(host, shared);
    return async_(
      (signal) => eventfd.readAsync({ signal }),
      () => eventfd.close(),
    );
  },
  "LinuxEventfd.read"(host, { linux: handle }) {
    const eventfd = LinuxEventfd.open(host, handle);
    return blocking(
      () => eventfd.read(),
      () => eventfd.close(),
    );
  },
  "LinuxEventfd.readAsync"(host, { linux: handle }) {
    const eventfd = LinuxEventfd.open(host, handle);
    return async_(
      (signal) => eventfd.readAsync({ signal }),
      () => eventfd.close(),
    );
  },
  "LinuxEventfd.write"(host, { full }) {
    const eventfd = LinuxEventfd.open(host, full);
    return blocking(
      () => eventfd.write(),
      () => eventfd.close(),
    );
  },
  "EventfdFile.read"(_host, { fd }) {
    const file = EventfdFile.dup(loadFfi(), fd);
    return {
      ...blocking(
        () => file.read(),
        () => file[Symbol.dispose](),
      ),
      descriptor: file.fd,
    };
  },
  "Vcpu.wait"(host, { vcpu: handle }) {
    const vcpu = Vcpu.open(host, handle);
    return blocking(
      () => vcpu.wait(),
      () => vcpu.put(),
    );
  },
  "Vcpu.waitAsync"(host, { vcpu: handle }) {
    const vcpu = Vcpu.open(host, handle);
    return {
      async run(waited) {
        do await vcpu.waitAsync();
        while (waited());
      },
      end: () => vcpu.put(),
    };
  },
  "Irqfd.bypassed"(host, { vm: handle, shared }) {
    const eventfd = Eventfd.open(host, shared);
    const irqfd: Irqfd = Vm.open(host, handle).irqfd(eventfd, GSI);
    return async_(
      async (signal) => {
        await irqfd.bypassed({ signal });
        await irqfd.relayed({ signal });
      },
      () => {
        irqfd.dispose();
        eventfd.close();
      },
    );
  },
  "an unmask eventfd"(host, { linux: handle }) {
    const device = new VfioPciDevice(host, { intx: true });
    const trigger = Eventfd.create(host);
    const unmask = LinuxEventfd.open(host, handle);
    device.setTrigger("intx", 0, trigger);
    setUnmask(device, unmask);
    device.intx.assert();
    return {
      // Each unmask of a line that is up is a trigger.
      async run(waited) {
        do await trigger.readAsync();
        while (waited());
        // The listener keeps the thread alive.
        device.setIrqs({ index: "intx", start: 0, count: 0, action: "trigger", data: "none" });
      },
      end() {
        trigger.close();
        unmask.close();
      },
    };
  },
  "a mutex"(host, { vm: handle, shared }) {
    const vm = Vm.open(host, handle);
    const eventfd = Eventfd.open(host, shared);
    return blocking(
      () => vm.irqfd(eventfd, GSI).dispose(),
      () => eventfd.close(),
    );
  },
  KVM_RUN(host) {
    const vm = new KvmVm(host);
    const eventfd = LinuxEventfd.create(host);
    vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
    vm.irqfd(eventfd, 24);
    const producer = Producer.create(host);
    producer.register(eventfd);
    vm.start();
    const { count } = vm.tables(0);
    return {
      async run(waited) {
        do {
          const before = Atomics.load(count, 0x41);
          producer.signal();
          while (Atomics.load(count, 0x41) === before) await new Promise((resolve) => setTimeout(resolve, 1));
        } while (waited());
        await vm.stop();
      },
      end() {
        producer.dispose();
        vm.dispose();
        eventfd.close();
      },
    };
  },
};

/** Gets what the thread needs for its wait. */
export function waiterOf(host: Host, work: WaiterWork): Waiter {
  return ways[work.wait](host, work);
}
