/** A device with INTx in a thread that has opened the guest: its pin is up and down as it is told, and its event loop hears of each EOI. */
import { parentPort, workerData } from "node:worker_threads";
import { type Handle, Host, type HostHandle, VfioPciDevice } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { setUnmask } from "../support/intx.js";

export interface IntxWork {
  readonly host: HostHandle;
  readonly vm: Handle<"kvm-vm">;
  readonly pin: number;
}

export type Told = "assert" | "deassert" | "look" | "end";

/** How its pin is, and how often it has signalled so far. */
export interface Said {
  readonly masked: boolean;
  readonly signals: number;
}

const { host: handle, vm: guest, pin } = workerData as IntxWork;
const kind = linux();
const ffi = kind.ffi();
const { eventfdWrite } = ffi;
let signals = 0;
ffi.eventfdWrite = (fd, value) => {
  if (fd === trigger.fd) signals += 1;
  return eventfdWrite(fd, value);
};
const host = Host.attach(handle, { kinds: [kind, kvm()] });
const vm = KvmVm.open(host, guest);
const [trigger, resample] = [LinuxEventfd.create(host), LinuxEventfd.create(host)];
const irqfd = vm.irqfd(trigger, pin, { resample });
const card = new VfioPciDevice(host, { intx: true });
card.setTrigger("intx", 0, trigger);
setUnmask(card, resample);

const acts: Record<Told, () => void> = {
  assert: () => card.intx.assert(),
  deassert: () => card.intx.deassert(),
  look() {},
  end() {
    card.dispose();
    irqfd.dispose();
    trigger.close();
    resample.close();
    host.dispose();
    parentPort!.close();
  },
};
parentPort!.on("message", (told: Told) => {
  acts[told]();
  if (told !== "end") parentPort!.postMessage({ masked: card.intx.masked, signals } satisfies Said);
});
parentPort!.postMessage("ready");
