// The machine and its two devices, the same in Node and in a page: a NIC by an MSI to the local APIC, a disk by line 14.
import { createMachine } from "./adapter.mjs";
import { guest } from "./guest.mjs";

const [NIC, DISK] = [0x41, 0x2e];
const SIZES = { memory_size: 1 << 24, vga_memory_size: 1 << 20 };
const HEADLESS = { disable_keyboard: true, disable_mouse: true, disable_speaker: true };

/** v86's options for a machine that has no more than it needs. */
export function optionsFor({ busy }) {
  return { ...SIZES, ...HEADLESS, bios: { buffer: guest({ busy }).buffer } };
}

/**
 * Runs a guest, busy or idle, beside a worker with both devices, until each of so many interrupts has been taken. `start(data)`
 * starts device.mjs and resolves with what it says; `library` is from where irqbypass is imported. Says what the guest took, by
 * vector, and the median of the microseconds from a signal until the guest's handler said so.
 */
export async function run({ V86, wasm, library, start, busy, interrupts, create = createMachine }) {
  const { Eventfd, Host, Vcpu, Vm } = await import(library);
  const host = Host.create();
  const vm = new Vm(host, { vcpus: 1, apic: false });
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  vm.setGsiRouting([NIC, DISK].map((vector, gsi) => ({ gsi, msi: { vcpu: 0, vector } })));
  const eventfds = [NIC, DISK].map((_, gsi) => {
    const eventfd = Eventfd.create(host);
    vm.irqfd(eventfd, gsi);
    return eventfd;
  });
  const lines = { [DISK]: DISK - 0x20 };
  const machine = await create({ V86, wasm, vcpu, options: optionsFor({ busy }), lines });

  const taken = { [NIC]: 0, [DISK]: 0 };
  const done = new Int32Array(new SharedArrayBuffer(4));
  machine.add_listener("serial0-output-byte", (vector) => {
    taken[vector]++;
    Atomics.add(done, 0, 1);
    Atomics.notify(done, 0);
  });
  await machine.run();
  const handles = eventfds.map((eventfd) => eventfd.handle);
  const medianUs = await start({ library, host: host.handle, eventfds: handles, done, interrupts });

  await machine.destroy();
  vcpu.put();
  vm.dispose();
  for (const eventfd of eventfds) eventfd.close();
  host.dispose();
  return { busy, interrupts, taken, medianUs };
}
