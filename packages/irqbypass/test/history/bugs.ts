/**
 * The 74 bugs that Linux had in this subsystem and in what its interrupts meet, and what becomes of each here. *tested*: the same mistake could be made
 * here, and a test would show it. *analogue*: the piece that was wrong does not exist here, another one has its part; the
 * line says which. *not applicable*: nothing here has its part.
 */
import { managerProofs } from "./a-manager.js";
import { irqfdProofs } from "./b-irqfd.js";
import { postingProofs } from "./c-posting.js";
import { vfioProofs } from "./d-vfio.js";
import { apicProofs } from "./e-apic.js";
import { deliveryProofs } from "./e-delivery.js";
import type { Proof } from "./proof.js";

export type Standing = "tested" | "analogue" | "not applicable";

export interface Bug {
  readonly id: string;
  /** What was wrong in Linux, with the fix or the year. */
  readonly was: string;
  readonly standing: Standing;
  /** analogue: what has its part here; not applicable: why nothing has. */
  readonly here?: string;
  /** The explorer's scenario that runs it in every interleaving. */
  readonly scenario?: string;
}

const tested = (id: string, was: string, scenario?: string): Bug => ({
  ...{ id, was, standing: "tested" },
  ...(scenario === undefined ? {} : { scenario }),
});
const analogue = (id: string, was: string, here: string, scenario?: string): Bug => ({
  ...{ id, was, standing: "analogue", here },
  ...(scenario === undefined ? {} : { scenario }),
});
const notApplicable = (id: string, was: string, here: string): Bug => ({
  ...{ id, was, standing: "not applicable", here },
});

// biome-ignore format: a table
export const BUGS: readonly Bug[] = [
  tested("A1", "each registration walked all consumers under one mutex (8394b32faecd)"),
  tested("A2", "a producer that failed to register took away another's (2b521d86ee80)", "manager/exclusive"),
  tested("A3", "a consumer that failed to register took away another's (4f3dbdf47e15)", "ends/four"),
  tested("A4", "nothing was started again after a failed connect (e44b49f623c7)"),
  tested("A5", "vDPA unregistered by the new eventfd's key (CVE-2024-47748)"),
  analogue("A6", "vDPA registered under a spinlock (2020)", "a thread that may not block is the context in which nothing may sleep"),
  tested("A7", "vDPA registered a negative interrupt number (cce0ab2b2a39)"),
  tested("A8", "vDPA reset the device before it unregistered (ea8f17e44fa7)"),
  tested("A9", "an irqfd remembered a producer that it had refused (ed446e8aa894)"),
  tested("A10", "connecting raced with a routing update (f1fb088d9cec)", "routing/connect"),
  tested("A11", "an unmerged xarray patch left the entry after a failed connect (2023)", "manager/refused"),

  tested("B1", "deassign clobbered the type of the route, so nothing was un-posted (CVE-2026-23198)"),
  tested("B2", "a deactivated irqfd kept its old route past a routing update (b4d37cdb77a0)", "routing/deassign"),
  tested("B3", "the eventfd's hang-up came while assign went on (9432a3175770)", "signal/assignrace"),
  tested("B4", "a GSI out of range reached the remapping entry (CVE-2017-1000252)"),
  tested("B5", "a route that changed its type alone counted as unchanged (bcda70c56f3e)"),
  tested("B6", "a new route that cannot be posted left the entry posted (CVE-2025-37885)"),
  tested("B7", "two VMs took one eventfd, and one of them got nothing (2cdd64cbf990)"),
  tested("B8", "a reader of the eventfd saw the irqfd's events (e8dbf19508a1)"),
  tested("B9", "deassign took a unit from a semaphore at 0 (758b49204781)"),
  analogue("B10", "an eventfd's wake-up signalled another that signalled the first (b542e383d8c0)", "no listener runs inside a signal; two irqfds that resample each other are as near as it gets"),
  tested("B11", "a level acknowledged while its pin was masked was lost (fef8f2b90edb)"),
  analogue("B12", "a second init's error path destroyed the shared cleanup queue (7dac16c379a8)", "the relay is what all VMs of a host share; another thread that leaves must not end it"),
  analogue("B13", "VM creation that failed late returned success (2024)", "making a VM out of records, of which there are not enough"),
  tested("B14", "deassign freed what assign was still using (2010)", "irqfd/count"),
  tested("B15", "a routing update waited for a grace period of the whole host (719d93cd5f5c)"),

  tested("C1", "SN was cleared without setting ON again (c112b5f50232)", "posting/migration"),
  analogue("C2", "NDST of a blocked vCPU was rewritten (2019)", "a vCPU has one runner, claimed by compare-exchange; it sleeps on its own control word", "vcpu/runner"),
  tested("C3", "what was pending in PIR with SN set was not seen (2019)"),
  analogue("C4", "a vCPU was put on the wake-up list twice (8b306e2f3c41)", "there is no list; NV in the descriptor says that a vCPU is blocked, whether it has devices or not"),
  tested("C5", "a vCPU that blocked before its first device was not woken (a2486020a82e)", "connect/halting"),
  tested("C6", "a vCPU was not woken by its own thread (fdba608f15e2)", "vcpu/own"),
  tested("C7", "the control word was read twice, and ON lost (cfb0e1306a37)", "posting/halt"),
  analogue("C8", "delivery raced with the inhibiting of AVIC (66fa226c131f)", "the host-wide switch, turned off while a signal is under way", "signal/switched"),
  analogue("C9", "an entry named the CPU where its vCPU had been (2023)", "an entry names the descriptor; NDST moves along with the vCPU"),
  analogue("C10", "an entry stayed on the old vCPU's list after a failed re-target (0a917e9d4b70)", "there is no list; a table refused half-way gives back what it had re-targeted"),
  analogue("C11", "the lock was not held over reading the CPU and writing the entry (c3d591c91f9c)", "the host mutex is held over reading the switch and the target and writing the entry", "routing/switched"),
  analogue("C12", "a change of the host's affinity overwrote a posted entry (688124cc541f)", "masking and unmasking is what the host side does to an interrupt here"),
  tested("C13", "a vCPU that was put went on being notified (6737557442e5)"),
  analogue("C14", "arm64 un-mapped by the current route, not by what was mapped (05b9405f2fa1)", "an entry is undone through the producer's record, whatever the route is by then", "routing/disconnect"),
  tested("C15", "arm64 mapped routes that are no MSIs (a0d7e2fc61ab)"),
  analogue("C16", "a doorbell was overwritten while the vPE was made non-resident (GICv4.1, 2020)", "ON is set while a sleeping vCPU switches its notification vector back", "vcpu/unblock"),

  tested("D1", "INTx signalled a trigger that was gone (CVE-2024-26812)", "device/trigger"),
  analogue("D2", "DisINTx was written while INTx was reconfigured (CVE-2024-26810)", "a device belongs to one thread; the bit outlives the INTx that it was set under", "device/disable"),
  tested("D3", "INTx that fired while it was enabled was masked twice (CVE-2024-27437)", "device/enable"),
  analogue("D4", "the platform and fsl-mc twins of D1 (CVE-2024-26813, -26814)", "there are no such devices; loopback and auto-mask without a trigger on INTx, MSI-X and ERR"),
  tested("D5", "a virqfd was released twice (b68e7fa879cd)", "device/release"),
  tested("D6", "a request was signalled to an eventfd that had been put (2020)", "device/request"),
  analogue("D7", "closing with ERR or REQ triggers leaked eventfd contexts (1518ac272e78)", "MSI-X vectors are what holds a context here"),
  analogue("D8", "three locks were taken in a circle (Nov 2025)", "there are two locks, always the VM's before the host's", "irqfd/order"),
  tested("D9", "start and count overflowed (CVE-2016-9083, -9084)"),
  tested("D10", "a bad config eventfd replaced the good one (2021)"),

  tested("E1", "LDRs of several bits, or the same one twice, hid vCPUs from logical messages (2bf934aadcac, 2970052481b9)"),
  tested("E2", "a vCPU whose 8-bit id was another's too got nothing (5b84b0291702)"),
  analogue("E3", "a stale cache of the highest vector in service gave a wrong PPR (97a71c444a14)", "a vCPU keeps whether one of its requests can be delivered, and forgets it with every change"),
  tested("E4", "reserved bits of x2APIC's self-IPI, and bits 63:32, gave no #GP (2023)"),
  tested("E5", "unmasking a level pin injected what the device had taken back, and did not ask it (fef8f2b90edb; B11)"),
  analogue("E6", "ICR's bit 12 stayed set, and a timer interrupt was lost after a snapshot (2023)", "the bit; the timer is the VMM's, and there are no snapshots"),
  analogue("E7", "an irqfd's shutdown took a grace period of the whole host (c9b35a6f4ede); reserved bits of ICR (71bf395a276f)", "deassign waits for signals of its own eventfd"),
  notApplicable("E8", "AMD's x2APIC keeps ICR as one register, and KVM showed it as two (2024)", "there are no snapshots, which show it; the MSR is one register of 64 bits"),
  notApplicable("E9", "an EOI in a nested guest left its vector in service (2025)", "guests have no guests"),
  analogue("E10", "edges of a vector that an old route had as a level went on being intercepted at EOI (87e4951e250b)", "the mark of a level's vector, which sends its EOI to the I/O APIC"),
  analogue("E11", "a task priority that was restored did not reach AVIC's register (d02e48830e3f)", "the task priority of a vCPU that moves to another thread"),
  analogue("E12", "a new device of a bus waited for its readers (7d9a0273c459)", "a new ioeventfd, and stores that are under way"),
  analogue("E13", "APICv turned on did not know what was in service, and EOIs ended nothing (b2849bec936b)", "what is in service when a vCPU moves to another thread"),
  tested("E14", "deassign clobbered the type of the route, and the bypass stayed (b4d37cdb77a0, ef3719e33e66; B1 and B2)"),
  analogue("E15", "EOI broadcasts were suppressed, or not, as no specification says (6517dfbcc918)", "the bit is not there to be set: an I/O APIC of version 0x11 hears every EOI"),
  notApplicable("E16", "an -EBUSY of nested events reached user space while blocking (ead63640d4e7)", "guests have no guests"),
  tested("E17", "assign and shutdown waited for readers under the resamplers' lock (reported 2026, not merged)", "irqfd/resamplers"),
  tested("E18", "a store that crossed a page hit an assertion of the ioeventfd at the next one (f1edbed787ba)"),
  tested("E19", "a delayed EOI of the I/O APIC ran when its vCPUs were gone (9910e835580f)", "ioapic/delayed"),
  analogue("E20", "a lower priority did not turn on what uncovers interrupts (bb365a506b1e)", "whether something can be delivered is asked anew after each change of the priority"),
  notApplicable("E21", "a pending paravirtual EOI outlived its being disabled (9285e4070df2)", "EOI is a call here, and nothing is left in the guest's memory"),
  tested("E22", "an irqfd kept a producer whose entry could not be updated as they connected (ed446e8aa894; A9)", "refusals/connects"),
];

/** Those that only some interleaving of threads shows: each is in the explorer's museum. */
// biome-ignore format: a table
export const INTERLEAVINGS: readonly string[] = [
  "A10", "B2", "B3", "B14", "C1", "C2", "C5", "C6", "C7", "C8", "C11", "C14", "C16", "D1", "D2", "D3", "D5", "D6", "D8",
  "E17", "E22",
];

export const STANDINGS: readonly Standing[] = ["tested", "analogue", "not applicable"];

/** The tests of all bugs. */
export const bugProofs: readonly Proof[] = [
  ...managerProofs,
  ...irqfdProofs,
  ...postingProofs,
  ...vfioProofs,
  ...apicProofs,
  ...deliveryProofs,
];

/** How many bugs have each standing. */
export function countStandings(bugs: readonly Bug[] = BUGS): Map<Standing, number> {
  return new Map(
    STANDINGS.map((standing) => [standing, bugs.filter((bug) => bug.standing === standing).length]),
  );
}
