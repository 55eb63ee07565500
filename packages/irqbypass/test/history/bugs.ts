/**
 * The 52 bugs that Linux had in this subsystem, and what becomes of each here. *tested*: the same mistake could be made
 * here, and a test would show it. *analogue*: the piece that was wrong does not exist here, another one has its part; the
 * line says which. *not applicable*: nothing here has its part.
 */
import { managerProofs } from "./a-manager.js";
import { irqfdProofs } from "./b-irqfd.js";
import { postingProofs } from "./c-posting.js";
import { vfioProofs } from "./d-vfio.js";
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
];

/** Those that only some interleaving of threads shows: each is in the explorer's museum. */
// biome-ignore format: a table
export const INTERLEAVINGS: readonly string[] = [
  "A10", "B2", "B3", "B14", "C1", "C2", "C5", "C6", "C7", "C8", "C11", "C14", "C16", "D1", "D2", "D3", "D5", "D6", "D8",
];

export const STANDINGS: readonly Standing[] = ["tested", "analogue", "not applicable"];

/** The tests of all bugs. */
export const bugProofs: readonly Proof[] = [
  ...managerProofs,
  ...irqfdProofs,
  ...postingProofs,
  ...vfioProofs,
];

/** How many bugs have each standing. */
export function countStandings(bugs: readonly Bug[] = BUGS): Map<Standing, number> {
  return new Map(
    STANDINGS.map((standing) => [standing, bugs.filter((bug) => bug.standing === standing).length]),
  );
}
