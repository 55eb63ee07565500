/** What the entry points for Linux say in a browser's worker: they load, and each refusal is one. */
import { Host, IrqBypassError } from "irqbypass";
import { Kvm, KvmVm, kvm, whyNoKvm } from "irqbypass/kvm";
import { eventfdInfo, LinuxEventfd, linux, loadFfi } from "irqbypass/linux";

/** The worker scope, of which the DOM types would claim names that Node lacks. */
const scope = globalThis as unknown as { postMessage(message: unknown): void };

const saying = (call: () => unknown): string => {
  try {
    call();
    return "nothing";
  } catch (error) {
    return error instanceof IrqBypassError ? error.message : `${error}`;
  }
};

const host = Host.create({ kinds: [linux(), kvm()] });
scope.postMessage({
  whyNoKvm: whyNoKvm()?.message,
  "Kvm.open": saying(() => Kvm.open()),
  KvmVm: saying(() => new KvmVm(host)),
  loadFfi: saying(() => loadFfi()),
  eventfdInfo: saying(() => eventfdInfo(0)),
  "LinuxEventfd.create": saying(() => LinuxEventfd.create(host)),
  "LinuxEventfd.adopt": saying(() => LinuxEventfd.adopt(host, 0)),
  findings: host.audit().findings,
});
host.dispose();
