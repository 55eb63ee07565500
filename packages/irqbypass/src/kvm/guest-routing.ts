import type { BypassHost } from "../bypass/bypass-host.js";
import { Vm } from "../host/layout.js";
import { linuxKindOf } from "../linux/kind.js";
import type { Apics } from "../vm/route.js";
import type { VmLife } from "../vm/vm-mutex.js";
import { ioctl, KVM_SET_GSI_ROUTING } from "./ioctl.js";
import { KvmRouting } from "./routing.js";

/** The routes of a guest whose irqfds are of that kind, with KVM's own table. */
export function guestRouting(host: BypassHost, life: VmLife, kind: number, apics: () => Apics): KvmRouting {
  const table = {
    get fd() {
      return host.words.get(life.record + Vm.fd) - 1;
    },
    replace(routes: Uint32Array) {
      const subject = `VM ${life.id}, table of ${routes[0]} routes`;
      ioctl(linuxKindOf(host).kind.ffi(), this.fd, KVM_SET_GSI_ROUTING, routes, subject);
    },
  };
  return new KvmRouting(host, life, kind, table, apics);
}
