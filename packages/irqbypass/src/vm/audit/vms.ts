import { Consumer, IOAPIC_PINS, IRQFD_LISTS, LEVEL, MAX_VCPUS, Vcpu, Vm, VmFlag } from "../../host/layout.js";
import { irqfdList } from "../irqfd-list.js";
import { hasPics } from "../pic-lines.js";
import { resolveFor } from "../routing.js";
import type { FindingKind } from "./finding.js";
import { tell } from "./producers.js";
import type { View } from "./view.js";

/** The bit of a redirection entry that is never set: a message is delivered at once. */
const DELIVERY_STATUS = 1 << 12;
const REMOTE_IRR = 1 << 14;
const LEVEL_ENTRY = 1 << 15;
/** Who may assert a line: user space, and the level-triggered irqfds. */
const MOST_SOURCES = 3;
const KVM_FLAGS = VmFlag.kvm | VmFlag.pic;
const ALL_FLAGS =
  KVM_FLAGS | VmFlag.bare | VmFlag.shortIds | VmFlag.noBroadcastQuirk | VmFlag.noVectorHashing;

/** The VMs: their vCPUs, their irqfds, their lines. */
export function auditVms(view: View): void {
  const { words } = view;
  for (const vm of view.live.vm) {
    const before = view.count;
    const subject = view.name("vm", vm);
    auditVm(view, vm, subject);
    auditVcpus(view, vm, subject);
    auditIoapic(view, vm, subject);
    auditPics(view, vm, subject);
    const irqfds = auditIrqfdLists(view, vm, subject);
    auditResamplers(view, vm, irqfds, subject);
    view.madeBy(words.get(vm + Vm.owner), subject);
    const sound = view.count === before && (words.get(vm + Vm.flags) & VmFlag.kvm) === 0;
    if (sound) auditTargets(view, vm, irqfds);
  }
  view.findUnowned("vcpu", "no VM has it");
  view.findUnowned("consumer", "it is in a list of no VM");
}

function auditVm(view: View, vm: number, subject: string): void {
  const { words } = view;
  const flags = words.get(vm + Vm.flags);
  const kvm = (flags & VmFlag.kvm) !== 0;
  const bare = (flags & VmFlag.bare) !== 0;
  if (flags & ~ALL_FLAGS || (kvm && flags & ~KVM_FLAGS) || (bare && flags !== VmFlag.bare))
    view.find("value", subject, `its flags are ${flags}, which no VM has`);
  const fd = words.get(vm + Vm.fd);
  if (kvm !== fd > 0)
    view.find("value", subject, `its descriptor is ${fd - 1}, and it is ${kvm ? "" : "not "}a KVM guest`);
  view.within(words.get(vm + Vm.vcpus), kvm ? 0 : 1, kvm ? 0 : MAX_VCPUS, subject, "number of vCPUs");
  const routing = words.get(vm + Vm.routing);
  if ((flags & VmFlag.bare) === 0 && routing === 0)
    view.find("value", subject, "has an I/O APIC, and no routing table");
  if (words.get(vm + Vm.pulse) !== 0) view.find("unfinished", subject, "has a line that is being pulsed");
  if (words.get(vm + Vm.redo) !== 0 || words.get(vm + Vm.looseRoute) !== 0)
    view.find("unfinished", subject, "has a route that is being added, changed or released");
  if (words.get(vm + Vm.dying) !== 0) view.find("unfinished", subject, "is being disposed, and by nobody");
}

function auditVcpus(view: View, vm: number, subject: string): void {
  const { words } = view;
  const count = words.get(vm + Vm.vcpus);
  for (let index = 0; index < Vm.words - Vm.vcpu; index++) {
    const vcpu = words.get(vm + Vm.vcpu + index);
    if (index >= count || index >= MAX_VCPUS) {
      const kvms = (words.get(vm + Vm.flags) & VmFlag.kvm) !== 0; // which keeps descriptors there
      if (vcpu !== 0 && !kvms) view.find("list", subject, `has ${count} vCPUs, and another one at ${index}`);
      continue;
    }
    if (!view.names("vcpu", vcpu, subject, `vCPU ${index}`) || !view.own("vcpu", vcpu, subject)) continue;
    if (words.get(vcpu + Vcpu.vm) !== vm || words.get(vcpu + Vcpu.index) !== index) {
      const says = `vCPU ${words.get(vcpu + Vcpu.index)} of ${view.name("vm", words.get(vcpu + Vcpu.vm))}`;
      view.find(
        "partner",
        subject,
        `its vCPU ${index} is ${view.name("vcpu", vcpu)}, which says that it is ${says}`,
      );
    }
  }
}

function auditIoapic(view: View, vm: number, subject: string): void {
  const { words } = view;
  const none = (words.get(vm + Vm.flags) & (VmFlag.bare | VmFlag.kvm)) !== 0;
  const lines = words.get(vm + Vm.lines);
  if (lines >>> IOAPIC_PINS !== 0) view.find("value", subject, "asserts lines that its I/O APIC has not");
  for (let pin = 0; pin < IOAPIC_PINS; pin++) {
    const low = words.get(vm + Vm.ioapic + pin * 2);
    const high = words.get(vm + Vm.ioapic + pin * 2 + 1);
    const sources = words.get(vm + Vm.sources + pin);
    const name = `${subject}, pin ${pin}`;
    if (none && (low | high | sources | lines) !== 0) {
      view.find("value", name, "is in use, and the VM has no I/O APIC");
      continue;
    }
    const remote = (low & REMOTE_IRR) !== 0 && (low & LEVEL_ENTRY) === 0;
    if ((low & DELIVERY_STATUS) !== 0 || remote) {
      view.find(
        "value",
        name,
        `its redirection entry is 0x${(low >>> 0).toString(16)}, which no pin can have`,
      );
    }
    view.within(sources, 0, MOST_SOURCES, name, "sources");
    // The other way round it may be: an unmask lets go of a line whose irqfds are asked whether it is still up.
    if ((lines & (1 << pin)) !== 0 && sources === 0) view.find("list", name, "is asserted, and by nobody");
  }
}

/** The 8259s: each register fits a byte; nothing of it where there are none. */
function auditPics(view: View, vm: number, subject: string): void {
  const { words } = view;
  const has = hasPics(words, vm);
  const most = (word: number) => (word < Vm.picLines ? 0xff : 0xffff);
  for (let word: number = Vm.pics; word < Vm.picLinesEnd; word++) {
    const value = words.get(vm + word);
    if (value !== 0 && !has) {
      view.find("value", subject, "uses 8259s that it has not");
      return;
    }
    view.within(value, 0, most(word), subject, `word ${word - Vm.pics} of its 8259s`);
  }
  view.within(words.load(vm + Vm.picOutput), 0, has ? 1 : 0, subject, "output of its 8259s");
  const server = words.load(vm + Vm.picServer);
  if (server !== 0 && view.names("vcpu", server, subject, "vCPU that serves its 8259s"))
    if (words.get(server + Vcpu.vm) !== vm)
      view.find("partner", subject, `its 8259s are served by ${view.name("vcpu", server)}, of another VM`);
}

/** Walks the lists of irqfds; returns those that were found on them. */
function auditIrqfdLists(view: View, vm: number, subject: string): number[] {
  const { words } = view;
  const found: number[] = [];
  for (let list = 0; list < IRQFD_LISTS; list++) found.push(...auditIrqfdList(view, vm, list, subject));
  const count = words.get(vm + Vm.irqfdCount);
  if (count !== found.length)
    view.find("count", subject, `counts ${count} irqfds, and ${found.length} are in its lists`);
  return found;
}

function auditIrqfdList(view: View, vm: number, list: number, subject: string): number[] {
  const { words } = view;
  const found: number[] = [];
  for (
    let irqfd = words.get(irqfdList(vm, list)), previous = 0;
    irqfd !== 0;
    irqfd = words.get(irqfd + Consumer.next)
  ) {
    const after = previous === 0 ? "first irqfd" : `irqfd after ${view.name("consumer", previous)}`;
    if (!view.names("consumer", irqfd, subject, after)) break;
    if (!view.own("consumer", irqfd, subject)) break; // in a circle too
    found.push(irqfd);
    const name = view.name("consumer", irqfd);
    const finds = (wrong: boolean, kind: FindingKind, what: string) => {
      if (wrong) view.find(kind, subject, `${name} is in a list of it, and ${what}`);
    };
    finds(words.get(irqfd + Consumer.linked) !== 1, "list", "says that it is not");
    const gsi = words.get(irqfd + Consumer.gsi);
    finds(irqfdList(vm, gsi) !== irqfdList(vm, list), "list", `that is not the one of GSI ${gsi >>> 0}`);
    const itsVm = words.get(irqfd + Consumer.vm);
    finds(itsVm !== vm, "partner", `says that it is of ${view.name("vm", itsVm)}`);
    finds(words.get(irqfd + Consumer.previous) !== previous, "list", "does not lead back to the one before");
    previous = irqfd;
  }
  return found;
}

/** The list of level-triggered irqfds: those of the other list that are, each once. */
function auditResamplers(view: View, vm: number, irqfds: readonly number[], subject: string): void {
  const { words } = view;
  const missing = new Set(irqfds.filter((irqfd) => (words.get(irqfd + Consumer.flags) & LEVEL) !== 0));
  for (let one = words.load(vm + Vm.resamplers); one !== 0; one = words.load(one + Consumer.nextResampler)) {
    if (!missing.delete(one)) {
      view.find(
        "list",
        subject,
        `its list of level-triggered irqfds leads to ${view.name("consumer", one)}, which is none of them, or twice`,
      );
      break;
    }
  }
  for (const irqfd of missing) {
    view.find(
      "list",
      subject,
      `${view.name("consumer", irqfd)} is level-triggered, and nobody would tell it of an EOI`,
    );
  }
}

/** Each target is what the GSI comes to now. Only with a VM that is sound otherwise, since this follows its table. */
function auditTargets(view: View, vm: number, irqfds: readonly number[]): void {
  const { words, host } = view;
  for (const irqfd of irqfds) {
    const target = words.load(irqfd + Consumer.target);
    const expected = resolveFor(host, vm, irqfd);
    if (target === expected) continue;
    view.find(
      "entry",
      view.name("consumer", irqfd),
      `its target says ${tell(target)}, and its GSI comes to ${tell(expected)}`,
    );
  }
}
