/** A KVM guest and a software VM to which a test does the same. */
import assert from "node:assert/strict";
import { Host, Vm } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { linux } from "irqbypass/linux";
import { noRelay, smallHost } from "../support/host.js";

export function guestOf({ pic = false }: { pic?: boolean } = {}) {
  const host = Host.create({ kinds: [linux(), kvm()] });
  const guest = new KvmVm(host, { vcpus: 2, pic });
  const end = async () => {
    await guest.stop();
    guest.dispose();
    host.dispose();
  };
  return { host, guest, end };
}

/** Does the same to a guest of KVM and to a software VM; what `act` returns must be the same. */
export async function onEither(act: (vm: Vm | KvmVm) => unknown): Promise<void> {
  const { guest, end } = guestOf();
  const software = new Vm(smallHost({ spawn: noRelay }), { vcpus: 2 });
  const there = act(guest);
  await end();
  assert.deepEqual(act(software), there);
}
