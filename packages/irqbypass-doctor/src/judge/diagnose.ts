/**
 * From what was read to the report: pure, the same input gives the same report.
 */

import type { Host, Later } from "../facts/host.js";
import { type HeldEventfd, unseenProcesses, type VmProcess } from "../facts/processes.js";
import { known, type Reading } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { advise } from "./advice/advice.js";
import { type Assignment, assign } from "./assignment.js";
import { examineChain } from "./chain.js";
import { ABSENT, vendorModule, vendorOf } from "./chain-x86.js";
import { postsForHost } from "./command-line.js";
import { countersOf } from "./counters.js";
import { formatsOf } from "./formats.js";
import { causes, inhibitsOf, listed, strayInhibits, type VmInhibits } from "./inhibits.js";
import { type Ability, type Chain, releaseOf } from "./link.js";
import { missingOf } from "./missing.js";
import type { DeviceReport, EventfdReport, Evidence, Report, Verdict, VmReport } from "./report.js";
import { strangeOf } from "./strange.js";
import { summarise, verdictOf } from "./summary.js";
import { tableOf } from "./tables.js";
import { judgeVector } from "./vectors.js";
import { takenByVmm, vmmLink } from "./vmm.js";

/** What the findings are made from. */
export interface Case {
  readonly host: Host;
  readonly later: Later;
  /** Between the two samples. */
  readonly seconds: number;
  /** ISO 8601 time of the second sample. */
  readonly at: string;
  readonly trace?: TraceFacts;
  readonly guestReceived?: boolean;
  /** Only this VM, only this device. */
  readonly pid?: number;
  readonly device?: string;
}

/** Makes the report. */
export function diagnose(one: Case): Report {
  const chain = examineChain(one.host, one.trace);
  const report = reportOn(one, chain);
  const doubted = againstPosted(chain, report);
  return doubted === undefined ? report : reportOn(one, doubted);
}

/** The chain in doubt, where it says that nothing can be posted and something is. */
function againstPosted(chain: Chain, { vms, unclaimed }: Report): Chain | undefined {
  if (chain.able !== "no") return undefined;
  const devices = [...vms.flatMap((vm) => vm.devices), ...unclaimed];
  for (const { address, vectors } of devices) {
    const posted = vectors.find(({ verdict }) => verdict === "posted now");
    if (posted === undefined) continue;
    const shows = `yet ${posted.evidence[0]?.source} shows ${posted.label} of ${address} posted`;
    const contradictions = chain.links
      .filter(({ state }) => state === "broken")
      .map(({ name, says }) => ({ link: name, says: `${name} looks broken (${says}), ${shows}` }));
    return { ...chain, able: "unknown", broken: undefined, contradictions };
  }
  return undefined;
}

function reportOn(one: Case, chain: Chain): Report {
  const { host, trace } = one;
  const assignments = assign(host.devices, host.processes).filter(
    ({ device }) => one.device === undefined || device.address === one.device,
  );
  const vms = host.processes.found
    .filter(({ vmFds, pid }) => vmFds > 0 && (one.pid === undefined || pid === one.pid))
    .map((vm) => vmReport(one, chain, vm, assignments))
    .filter((vm) => one.device === undefined || vm.devices.length > 0);
  const unclaimed = assignments
    .filter(({ holder }) => holder === undefined || holder.vmFds === 0)
    .filter(() => one.pid === undefined)
    .map((assignment) => deviceReport(one, chain, assignment));
  const notes = [...chain.contradictions.map(({ says }) => says), ...hostNotes(one)];
  const devices = [...vms.flatMap((vm) => vm.devices), ...unclaimed];
  const settled: readonly Verdict[] = ["posted now", "cannot be"];
  const unsettled = devices.some(
    ({ vectors, verdict }) =>
      verdict === "unknown" || vectors.some((each) => !each.byDesign && !settled.includes(each.verdict)),
  );
  const report = {
    format: "irqbypass-doctor/1" as const,
    measured: {
      at: one.at,
      from: host.name,
      kernel: releaseOf(host).text,
      arch: known(host.cpu)?.arch ?? "unknown",
      cpu: known(host.cpu)?.model ?? "",
      seconds: one.seconds,
      traced: trace?.seconds ?? null,
      formats: formatsOf(host, trace),
    },
    chain: chain.links,
    vms,
    unclaimed,
    counters: countersOf(host, one.later),
    missing: missingOf(host, chain, trace, unsettled),
    strange: strangeOf(host, one.later),
    notes,
  };
  return {
    ...report,
    verdict: summarise(vms, unclaimed, chain, unseenProcesses(host.processes)),
    advice: advise(host, chain, vms, unclaimed, trace),
  };
}

const DELIVERED: Verdict = "delivered by the host just now";

function vmReport(one: Case, chain: Chain, vm: VmProcess, assignments: readonly Assignment[]): VmReport {
  const inhibits = inhibitsOf(vm, one.host, one.trace);
  const eventfds = eventfdReports(one, vm);
  const devices = assignments
    .filter(({ holder }) => holder === vm)
    .map((assignment) => deviceReport(one, chain, assignment));
  // Every VMM polls some eventfds for itself. That is a finding only where interrupts went through a host that could
  // post them, and where there are enough polled ones to be theirs.
  const delivered = devices
    .flatMap(({ vectors }) => vectors)
    .filter(({ verdict }) => verdict === DELIVERED).length;
  const polled = eventfds.filter((each) => each.polled).length;
  const posted = devices.some(({ vectors }) => vectors.some(({ verdict }) => verdict === "posted now"));
  const suspect = chain.able === "yes" && !posted && delivered > 0 && polled >= delivered;
  return {
    pid: vm.pid,
    name: vm.name,
    program: vm.program,
    vmm: vmmLink(vm),
    vcpus: vm.vcpus,
    eventfds,
    devices,
    notes: vmNotes(vm, eventfds, suspect, inhibitNote(inhibits)),
  };
}

function deviceReport(one: Case, chain: Chain, assignment: Assignment): DeviceReport {
  const { device, holder, tie, unseen } = assignment;
  const { able, because } = abilityOf(one, chain, assignment);
  const inhibits = holder === undefined ? undefined : inhibitsOf(holder, one.host, one.trace);
  const setting = {
    host: one.host,
    later: one.later,
    seconds: one.seconds,
    trace: one.trace,
    guestReceived: one.guestReceived === true,
    ruled: chain.ruled,
    able,
    because,
    taken: (label: string) => (holder === undefined ? undefined : takenByVmm(holder, device.pci, label)),
    updatesPost: vendorOf(one.host) === "intel" || inhibits?.clear === true,
    table: tableOf(one.host, device),
  };
  const vectors = device.vectors.map((vector) => judgeVector(device, vector, setting));
  const counted = one.host.interrupts.state === "read";
  const bare: Verdict =
    able === "no" ? "cannot be" : able === "yes" && counted ? "able, not seen" : "unknown";
  const notes: string[] = [];
  if (unseen) notes.push(because.says);
  else if (vectors.length === 0 && !counted) {
    notes.push("/proc/interrupts could not be read: which interrupts it has is not known");
  } else if (vectors.length === 0) {
    notes.push(
      device.idleIrqs > 0
        ? `${device.idleIrqs} interrupts are set up and none is requested: the guest's driver has not enabled them`
        : "no interrupt is set up: nobody uses the device, or the guest's driver has not enabled MSI-X",
      `without one, the host decides: ${because.says}`,
    );
  }
  const forVm = holder !== undefined && holder.vmFds === 0 && able === "unknown";
  if (holder !== undefined && holder.vmFds === 0) {
    const why = vmmLink(holder);
    notes.push(
      forVm
        ? because.says
        : `process ${holder.pid} (${holder.program}) holds it and is no VM: there is no vCPU to post to`,
      ...(why.state === "broken" ? [`VMM: ${why.says}`] : []),
    );
  }
  return {
    address: device.address,
    driver: device.driver,
    iommuGroup: device.group,
    holder: holder === undefined || forVm ? "unknown" : holder.vmFds > 0 ? "vm" : "other",
    tie,
    verdict: verdictOf(vectors, bare),
    vectors,
    notes,
  };
}

/** What the chain means for the device of one holder. */
function abilityOf(
  one: Case,
  chain: Chain,
  { holder, unseen, tie }: Assignment,
): { able: Ability; because: Evidence } {
  const decided = chainSays(chain);
  if (holder !== undefined && holder.vmFds === 0) {
    const says = `${holder.program} holds it and is no VM`;
    const partner = decided.able === "no" ? undefined : partnerOf(one.host, holder);
    if (partner === undefined) return { able: "no", because: { source: `/proc/${holder.pid}`, says } };
    const may = `${says}, but shares eventfds with the VM of process ${partner.pid}, which may have them as irqfds`;
    return { able: "unknown", because: { source: `/proc/${holder.pid}/fdinfo`, says: may } };
  }
  if (decided.able === "no" || !chain.ruled) return decided;
  if (holder?.settings.irqchip?.value === "userspace") {
    const { evidence, says } = vmmLink(holder);
    return { able: "no", because: { source: evidence[0]!.source, says } };
  }
  if (unseen) {
    const says = "the process holds it, and no device or interrupt that belongs to it was recognised";
    return { able: "unknown", because: { source: tie.source, says } };
  }
  const inhibits = holder === undefined ? undefined : inhibitsOf(holder, one.host, one.trace);
  if (inhibits === undefined || inhibits.effect === "nothing") return decided;
  const { source } = inhibits.evidence;
  const named = listed(causes(inhibits.reasons));
  if (inhibits.effect === "off")
    return { able: "no", because: { source, says: `AVIC is inhibited in this VM: ${named}` } };
  const says =
    inhibits.effect === "no more"
      ? `APICv is inhibited in this VM (${named}): what was posted before stays so, and no update posts`
      : `APICv/AVIC is inhibited in this VM (${named}), and what that does on this kernel is not known`;
  return { able: "unknown", because: { source, says } };
}

/**
 * A VM that has an eventfd in common with `holder`: some VMMs leave a device to a process of its own (crosvm's jails), and KVM
 * signals the guest all the same. Where the kernel tells no ids, any VM may be one.
 */
function partnerOf(host: Host, holder: VmProcess): VmProcess | undefined {
  const idsOf = ({ eventfds }: VmProcess) => eventfds.map(({ info }) => known(info)?.id ?? null);
  const own = new Set(idsOf(holder));
  if (own.size === 0) return undefined;
  return host.processes.found.find(
    (vm) =>
      vm.vmFds > 0 && (own.has(null) || idsOf(vm).some((id) => id === null || (id >= 0 && own.has(id)))),
  );
}

/** What the chain means for any device of the host. */
function chainSays(chain: Chain): { able: Ability; because: Evidence } {
  const decisive =
    chain.able === "no"
      ? chain.broken
      : chain.able === "yes"
        ? chain.links.at(-1)
        : chain.links.find((link) => link.state === "unknown" && link.name !== "inhibit reasons");
  const contradiction = chain.able === "unknown" ? chain.contradictions[0] : undefined;
  const source = decisive === undefined ? "chain" : `chain, ${decisive.name}`;
  return {
    able: chain.able,
    because: { source, says: contradiction?.says ?? decisive?.says ?? "not known" },
  };
}

/** What a VM's inhibits are, as a note; undefined where none is in force. */
function inhibitNote(inhibits: VmInhibits | undefined): string | undefined {
  if (inhibits === undefined || inhibits.reasons.length === 0) return undefined;
  const named = listed(inhibits.reasons);
  const costs = inhibits.effect === "nothing" ? "; devices are posted all the same" : "";
  return `APICv/AVIC is inhibited: ${named}${costs}`;
}

function eventfdReports(one: Case, vm: VmProcess): EventfdReport[] {
  const reports = new Map<string, EventfdReport>();
  for (const { fd, info, polled } of vm.eventfds) {
    const value = known(info);
    if (value === undefined) continue;
    const later = one.later.eventfds.get(`${vm.pid}/${fd}`);
    const after = later === undefined ? undefined : known(later);
    // Ids are used again after release, so an id is compared within one snapshot and never across the two.
    const same = after !== undefined && after.id === value.id;
    const key = value.id === null || value.id < 0 ? `fd ${fd}` : `id ${value.id}`;
    const old = reports.get(key);
    reports.set(key, {
      id: value.id,
      fds: [...(old?.fds ?? []), fd],
      count: String(value.count),
      polled: polled || old?.polled === true,
      growing: (same && value.count > 0n && after.count > value.count) || old?.growing === true,
    });
  }
  return [...reports.values()];
}

function vmNotes(
  vm: VmProcess,
  eventfds: readonly EventfdReport[],
  suspect: boolean,
  inhibit: string | undefined,
): string[] {
  const notes: string[] = [];
  const list = (ones: readonly EventfdReport[]) =>
    someOf(ones.map(({ id, fds }) => (id === null ? `fd ${fds[0]}` : `${id}`)));
  const polled = eventfds.filter((one) => one.polled);
  const growing = eventfds.filter((one) => one.growing);
  if (suspect && polled.length > 0) {
    notes.push(
      `${polled.length} of ${eventfds.length} eventfds polled in user space (${list(polled)}): an interrupt that signals one of these is not, or not only, an irqfd`,
    );
  }
  if (growing.length > 0)
    notes.push(
      `counts grow and nobody reads them: ${growing.length} of ${eventfds.length} eventfds (${list(growing)})`,
    );
  if (inhibit !== undefined) notes.push(inhibit);
  if (vm.vmFds > 1)
    notes.push(`the process holds ${vm.vmFds} kvm-vm descriptors: they may be several VMs or one`);
  if (vm.eventfds.some(({ info }) => info.state !== "read")) notes.push(unreadableEventfds(vm.eventfds));
  return notes;
}

function unreadableEventfds(eventfds: readonly HeldEventfd[]): string {
  const failed = eventfds.filter(({ info }: { info: Reading<unknown> }) => info.state !== "read");
  return `${failed.length} of ${eventfds.length} eventfds could not be read, the first is /${failed[0]!.info.path}`;
}

/** The first few of a long list. */
function someOf(words: readonly string[]): string {
  return words.length <= 6
    ? `id ${words.join(", ")}`
    : `id ${words.slice(0, 6).join(", ")} and ${words.length - 6} more`;
}

function hostNotes({ host, trace }: Case): string[] {
  const notes: string[] = [];
  if (postsForHost(host) === true) {
    notes.push(
      "intremap=posted_msi: the host posts its own devices' interrupts too, so a posted table entry proves nothing here",
    );
  }
  const cpu = known(host.cpu);
  const foreign = host.modules.find(
    ({ name }) => name === "kvm_amd" && cpu !== undefined && cpu.vendor !== "amd",
  );
  if (foreign !== undefined && vendorModule(host)?.name !== "kvm_amd") {
    const avic = known(foreign.parameters.get("avic") ?? ABSENT);
    if (avic !== undefined) {
      notes.push(
        `kvm_amd shows avic=${avic ? "Y" : "N"} on a CPU that is not AMD's: not used, Linux 6.18 and early 6.19 misread it`,
      );
    }
  }
  const stray = strayInhibits(host, trace);
  if (stray > 0)
    notes.push(`${stray} changes of inhibits were traced in threads of no VM that is there now: not used`);
  for (const note of trace?.notes ?? []) notes.push(note);
  if (trace !== undefined && trace.lost > 0) {
    notes.push(
      `${trace.lost} events were lost because a trace buffer was full: an event that is not here may have happened`,
    );
  }
  return notes;
}
