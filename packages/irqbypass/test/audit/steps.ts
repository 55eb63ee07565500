/** What users do with a host, as small steps that can be drawn at random: for the audit, which must find nothing. */
import {
  Epoll,
  Eventfd,
  type GsiRoute,
  Host,
  type Ioeventfd,
  IrqBypassError,
  type Irqfd,
  POLICIES,
  Producer,
  Vcpu,
  VfioPciDevice,
  Vm,
} from "irqbypass";

/** The things of one host that the steps go through. */
export class Things {
  readonly hosts: Host[];
  readonly eventfds: Eventfd[] = [];
  readonly epolls: Epoll[] = [];
  readonly producers: Producer[] = [];
  readonly devices: VfioPciDevice[] = [];
  readonly vms: Vm[] = [];
  readonly irqfds: Irqfd[] = [];
  readonly ioeventfds: Ioeventfd[] = [];
  readonly vcpus: Vcpu[] = [];

  constructor(host: Host) {
    // A second view, as another thread has it.
    this.hosts = [host, Host.attach(host.handle)];
  }

  get host(): Host {
    return this.hosts[0]!;
  }

  /** Everything goes, in an order that users have: what listens first, then what signals. */
  dispose(): void {
    for (const vcpu of this.vcpus) vcpu.put();
    for (const vm of this.vms) vm.dispose();
    for (const producer of this.producers) producer.dispose();
    for (const device of this.devices) device.dispose();
    for (const eventfd of this.eventfds) eventfd.close();
    for (const epoll of this.epolls) epoll.close();
    this.hosts[1]!.dispose();
  }
}

export interface Step {
  readonly name: string;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

type Action = (things: Things, a: number, b: number, c: number) => void;

const pick = <T>(list: readonly T[], number: number): T | undefined =>
  list[number % Math.max(list.length, 1)];

function routes(a: number, b: number): GsiRoute[] {
  const table: GsiRoute[] = [];
  for (let gsi = 0; gsi < 24; gsi += 1 + (a % 5)) {
    if ((gsi + b) % 3 === 0) table.push({ gsi, irqchip: { chip: "ioapic", pin: (gsi * 7) % 24 } });
    else if ((gsi + b) % 3 === 1) table.push({ gsi, msi: { vcpu: (a + gsi) % 4, vector: 0x30 + gsi } });
    else
      table.push({ gsi, msi: { address: 0xfee00000 | (((a + gsi) & 0xff) << 12), data: (b << 8) & 0x700 } });
  }
  return table;
}

/** Every step does one thing. What it is refused is an IrqBypassError, and `take` goes on. */
export const ACTIONS: Readonly<Record<string, Action>> = {
  makeEventfd: ({ hosts, eventfds }, a, b, c) => {
    eventfds.push(Eventfd.create(pick(hosts, a)!, { initial: b % 3, semaphore: c % 2 === 0 }));
  },
  openEventfd: ({ hosts, eventfds }, a, b) => {
    const there = pick(eventfds, a);
    if (there !== undefined) eventfds.push(Eventfd.open(pick(hosts, b)!, there.handle));
  },
  closeEventfd: ({ eventfds }, a) => {
    pick(eventfds, a)?.close();
    if (eventfds.length > 0) eventfds.splice(a % eventfds.length, 1);
  },
  write: ({ eventfds }, a, b) => pick(eventfds, a)?.write(b % 3),
  read: ({ eventfds }, a) => {
    pick(eventfds, a)?.tryRead();
  },
  makeEpoll: ({ hosts, epolls }, a, b) => {
    const there = pick(epolls, b);
    epolls.push(
      b % 3 === 0 && there !== undefined
        ? Epoll.open(pick(hosts, a)!, there.handle)
        : Epoll.create(pick(hosts, a)!),
    );
  },
  closeEpoll: ({ epolls }, a) => {
    pick(epolls, a)?.close();
    if (epolls.length > 0) epolls.splice(a % epolls.length, 1);
  },
  watch: ({ epolls, eventfds }, a, b, c) => {
    const eventfd = pick(eventfds, b);
    if (eventfd !== undefined) pick(epolls, a)?.add(eventfd, { data: b, edge: c % 2 === 0 });
  },
  unwatch: ({ epolls, eventfds }, a, b) => {
    const eventfd = pick(eventfds, b);
    if (eventfd !== undefined) pick(epolls, a)?.remove(eventfd);
  },
  wait: ({ epolls }, a, b) => {
    pick(epolls, a)?.tryWait({ maxEvents: 1 + (b % 4) });
  },
  makeProducer: ({ hosts, producers }, a) => {
    producers.push(Producer.create(pick(hosts, a)!));
  },
  register: ({ producers, eventfds }, a, b, c) => {
    const eventfd = pick(eventfds, b);
    if (eventfd !== undefined) pick(producers, a)?.register(eventfd, c);
  },
  move: ({ producers, eventfds }, a, b) => {
    const eventfd = pick(eventfds, b);
    if (eventfd !== undefined) pick(producers, a)?.move(eventfd);
  },
  unregister: ({ producers }, a) => pick(producers, a)?.unregister(),
  disposeProducer: ({ producers }, a) => {
    pick(producers, a)?.dispose();
    if (producers.length > 0) producers.splice(a % producers.length, 1);
  },
  signal: ({ producers }, a) => pick(producers, a)?.signal(),
  makeDevice: ({ host, devices }) => {
    devices.push(new VfioPciDevice(host, { msix: 4, intx: true }));
  },
  trigger: ({ devices, eventfds }, a, b, c) => {
    pick(devices, a)?.setTrigger("msix", c % 4, b % 4 === 0 ? null : (pick(eventfds, b) ?? null));
  },
  fire: ({ devices }, a, b) =>
    pick(devices, a)
      ?.vector("msix", b % 4)
      .signal(),
  disposeDevice: ({ devices }, a) => pick(devices, a)?.dispose(),
  makeVm: ({ host, vms }, a, b) => {
    vms.push(new Vm(host, { vcpus: 1 + (a % 4), apic: b % 3 !== 0 }));
  },
  disposeVm: ({ vms }, a) => {
    const vm = pick(vms, a);
    vm?.dispose();
    if (vm !== undefined) vms.splice(vms.indexOf(vm), 1);
  },
  route: ({ vms }, a, b, c) => pick(vms, a)?.setGsiRouting(routes(b, c)),
  irqfd: ({ vms, eventfds, irqfds }, a, b, c) => {
    const [vm, eventfd, resample] = [pick(vms, a), pick(eventfds, b), pick(eventfds, b + c + 1)];
    if (vm === undefined || eventfd === undefined || resample === undefined) return;
    const bypass = POLICIES[c % POLICIES.length]!;
    irqfds.push(vm.irqfd(eventfd, (a * 7) % 30, c % 4 === 0 ? { bypass, resample } : { bypass }));
  },
  deassign: ({ irqfds }, a) => pick(irqfds, a)?.dispose(),
  ioeventfd: ({ vms, eventfds, ioeventfds }, a, b, c) => {
    const [vm, eventfd] = [pick(vms, a), pick(eventfds, b)];
    if (vm === undefined || eventfd === undefined) return;
    const length = pick([0, 1, 4] as const, c)!;
    const datamatch = length === 0 || c % 2 === 0 ? {} : { datamatch: b % 3 };
    ioeventfds.push(
      vm.ioeventfd({ address: c % 8, length, space: pick(["mmio", "pio"], a)!, ...datamatch }, eventfd),
    );
  },
  deassignIoeventfd: ({ ioeventfds }, a) => pick(ioeventfds, a)?.dispose(),
  store: ({ vms }, a, b, c) => {
    pick(vms, a)?.write(pick(["mmio", "pio"], b)!, c % 8, pick([1, 4], b)!, c % 3);
  },
  line: ({ vms }, a, b, c) => pick(vms, a)?.setIrqLine(b % 30, c % 2 === 0),
  redirect: ({ vms }, a, b, c) => {
    const entry = { vcpu: c % 3, vector: 0x20 + b, level: c % 2 === 0, masked: c % 5 === 0 };
    pick(vms, a)?.ioapic.redirect(b % 24, entry);
  },
  run: ({ hosts, vms, vcpus }, a, b) => {
    const vm = pick(vms, a);
    if (vm !== undefined) vcpus.push(Vcpu.open(pick(hosts, b)!, vm.vcpu(b % vm.vcpus).handle));
  },
  serve: ({ vcpus }, a) => {
    const vcpu = pick(vcpus, a);
    vcpu?.wait({ timeoutMs: 0 });
    if (vcpu?.acknowledge() !== undefined) vcpu.eoi();
  },
  take: ({ vcpus }, a) => {
    pick(vcpus, a)?.take(new Uint32Array(8));
  },
  put: ({ vcpus }, a) => {
    const vcpu = pick(vcpus, a);
    vcpu?.put();
    if (vcpu !== undefined) vcpus.splice(vcpus.indexOf(vcpu), 1);
  },
  kick: ({ vms }, a, b) => {
    const vm = pick(vms, a);
    vm?.vcpu(b % vm.vcpus).kick();
  },
  ipi: ({ vcpus }, a, b, c) => {
    const [to, mode] = [
      pick([0, 1, "self", "all", "others"] as const, b)!,
      pick(["fixed", "nmi"] as const, c)!,
    ];
    pick(vcpus, a)?.sendIpi({ to, mode, vector: 0x30 + b });
  },
  message: ({ vms }, a, b, c) => {
    pick(vms, a)?.signalMsi({ vcpu: b % 2, vector: 0x30 + c });
  },
  mask: ({ devices }, a, b, c) => {
    const vector = pick(devices, a)?.vector("msix", b % 4);
    if (c % 2 === 0) vector?.mask();
    else vector?.unmask();
  },
  level: ({ devices }, a, b) => {
    const device = pick(devices, a);
    if (b % 2 === 0) device?.intx.assert();
    else device?.intx.deassert();
  },
  resetDevice: ({ devices }, a) => pick(devices, a)?.reset(),
  resetVm: ({ vms }, a) => pick(vms, a)?.reset(),
  bypass: ({ hosts }, a, b) => {
    pick(hosts, a)!.bypass = b % 4 !== 0;
  },
};

/** Takes a step. */
export function take(things: Things, { name, a, b, c }: Step): void {
  try {
    ACTIONS[name]!(things, a, b, c);
  } catch (error) {
    if (!(error instanceof IrqBypassError)) throw error;
  }
}
