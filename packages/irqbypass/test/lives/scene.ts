/** What one thread waits on, and what makes that happen. All of it belongs to the thread that ends others. */
import { Eventfd, type Host, Producer, type Vm } from "irqbypass";
import { EventfdFile, LinuxEventfd, loadFfi } from "irqbypass/linux";
import type { Wait, WaiterWork } from "./work.js";

const FULL = 2n ** 64n - 2n;

/** The two ends of one thread's wait. */
export class Scene {
  private readonly shared: Eventfd;
  private readonly linux: LinuxEventfd;
  /** A semaphore, so that one read makes room for one write. */
  private readonly full: EventfdFile;
  private readonly fullToken: LinuxEventfd;
  private readonly zero: EventfdFile;
  private readonly producer: Producer;
  private readonly own: Eventfd;

  constructor(
    private readonly host: Host,
    private readonly vm: Vm,
    private readonly vcpu: number,
    private readonly gsi: number,
  ) {
    const ffi = loadFfi();
    this.shared = Eventfd.create(host);
    this.own = Eventfd.create(host);
    this.linux = LinuxEventfd.create(host);
    this.full = EventfdFile.create(ffi, { semaphore: true, nonblocking: false });
    this.full.write(FULL);
    this.fullToken = LinuxEventfd.adopt(host, this.full.fd);
    this.zero = EventfdFile.create(ffi, { nonblocking: false });
    this.producer = Producer.create(host);
  }

  /** What the thread is told of it. */
  work(): Pick<WaiterWork, "host" | "vm" | "vcpu" | "shared" | "linux" | "full" | "fd"> {
    return {
      host: this.host.handle,
      vm: this.vm.handle,
      vcpu: this.vm.vcpu(this.vcpu).handle,
      shared: this.shared.handle,
      linux: this.linux.handle,
      full: this.fullToken.handle,
      fd: this.zero.fd,
    };
  }

  /** Makes what a thread waits for happen once more. */
  poke(wait: Wait): void {
    switch (wait) {
      case "Eventfd.read":
      case "Eventfd.readAsync":
        this.shared.signal();
        break;
      case "LinuxEventfd.read":
      case "LinuxEventfd.readAsync":
      case "an unmask eventfd":
        this.linux.write();
        break;
      case "LinuxEventfd.write":
        this.full.read();
        break;
      case "EventfdFile.read":
        this.zero.write();
        break;
      case "Vcpu.wait":
      case "Vcpu.waitAsync":
        this.vm.vcpu(this.vcpu).kick();
        break;
      case "Irqfd.bypassed":
        if (this.producer.registered) this.producer.unregister();
        else this.producer.register(this.shared);
        break;
      case "a mutex":
        this.vm.irqfd(this.own, this.gsi).dispose();
        break;
      case "KVM_RUN": // its thread signals the guest itself
        break;
    }
  }

  end(): void {
    this.producer.dispose();
    for (const file of [this.full, this.zero]) file[Symbol.dispose]();
    for (const eventfd of [this.shared, this.own, this.linux, this.fullToken]) eventfd.close();
  }
}
