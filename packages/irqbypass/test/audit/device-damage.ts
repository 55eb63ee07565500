/** Damage to devices and their MSI-X tables, and what the audit says of it. */
import { Eventfd, Msix, VfioPciDevice } from "irqbypass";
import {
  Device,
  DeviceUse,
  MsixVector as Entry,
  GATES,
  Gate,
  MsixState,
  Msix as Table,
} from "#src/host/layout.js";
import type { Case, Sound } from "./sound.js";

const THREAD_7 = 7;
const [FIRST, TABLE] = ["device record 0", "MSI-X table 2"] as const;
/** One more than a record has room for, so that the device has two. */
const VECTORS = GATES + 1;

/** A device in records 0 and 1, whose first vector has a trigger. */
function device(s: Sound): { readonly nic: VfioPciDevice; readonly at: number; readonly gate: number } {
  const nic = new VfioPciDevice(s.host, { msix: VECTORS });
  nic.setTrigger("msix", 0, s.eventfds[20]!);
  const at = s.at("device", 0);
  return { nic, at, gate: at + Device.gates };
}

/** The same with MSI-X as bytes: record 2 has the first of its vectors, one of which is connected. */
function table(s: Sound): { readonly at: number; readonly vector: number } {
  const nic = new VfioPciDevice(s.host, { msix: VECTORS });
  const msix = new Msix(s.vm, nic, () => Eventfd.create(s.host));
  msix.control = 0x8000;
  msix.table.write(0, new Uint8Array(Uint32Array.of(0xfee00000, 0, 0x51, 0).buffer));
  const at = s.at("device", 2);
  return { at, vector: at + Table.vectors };
}

export const DEVICES: readonly Case[] = [
  {
    what: "a device of no kind",
    damage: (s) => s.set(device(s).at + Device.kind, 9),
    found: [`value ${FIRST}`],
  },
  {
    what: "a device that is half made",
    damage: (s) => s.set(device(s).at + Device.owner, 0),
    found: [`unfinished ${FIRST}`],
  },
  {
    what: "a device of a thread that is gone",
    damage: (s) => s.set(device(s).at + Device.owner, s.at("thread", THREAD_7)),
    found: [`orphan ${FIRST}`],
  },
  {
    what: "a use of a device that there is not",
    damage: (s) => s.set(device(s).at + Device.use, 1 << 12),
    found: [`value ${FIRST}`],
  },
  {
    what: "a device whose end was not finished",
    damage: (s) => s.add(device(s).at + Device.use, DeviceUse.ending),
    found: [`unfinished ${FIRST}`],
  },
  {
    what: "an eventfd of a device that is none",
    damage: (s) => s.set(device(s).at + Device.err, 6),
    found: [`dangling ${FIRST}`],
  },
  {
    what: "an eventfd that a device does not keep alive",
    damage: (s) => s.set(device(s).at + Device.req, s.at("eventfd", 21)),
    found: ["count eventfd 21"],
  },
  {
    what: "a gate that is being changed, and nobody does",
    damage: (s) => s.add(device(s).gate, Gate.changing),
    found: [`unfinished ${FIRST}`],
  },
  {
    what: "a gate that says what none can",
    damage: (s) => s.add(device(s).gate, 128),
    found: [`value ${FIRST}`],
  },
  {
    what: "a gate that leads to no producer",
    damage: (s) => s.add(device(s).gate, 500 << Gate.producerShift),
    found: [`dangling ${FIRST}`, "partner producer 3"],
  },
  {
    what: "two gates that lead to one producer",
    damage: (s) => {
      const { gate } = device(s);
      s.set(gate + 1, s.get(gate));
    },
    found: [`partner ${FIRST}`],
  },
  {
    what: "a gate behind the last",
    damage: (s) => {
      device(s);
      s.set(s.at("device", 1) + Device.gates + 1, Gate.pending);
    },
    found: [`value ${FIRST}`],
  },
  {
    what: "a record in the list of a device that is another one's",
    damage: (s) => {
      device(s);
      s.set(s.at("device", 1) + Device.head, s.at("device", 9));
    },
    found: [`list ${FIRST}`],
  },
  {
    what: "a list of records that leads nowhere",
    damage: (s) => s.set(device(s).at + Device.next, 6),
    found: [`dangling ${FIRST}`, "unreachable device record 1"],
  },
  {
    what: "an MSI-X table of a device that is none",
    damage: (s) => s.set(device(s).at + Device.table, 6),
    found: [`partner ${FIRST}`],
  },
  {
    what: "an MSI-X table whose device has another one",
    damage: (s) => {
      table(s);
      s.set(s.at("device", 0) + Device.table, 0);
    },
    found: [`unfinished ${TABLE}`],
  },
  {
    what: "an MSI-X table of an earlier device",
    damage: (s) => s.add(table(s).at + Table.deviceLife, 1),
    found: [`unfinished ${TABLE}`],
  },
  {
    what: "a state of an MSI-X table that there is not",
    damage: (s) => s.add(table(s).at + Table.state, 8),
    found: [`value ${TABLE}`],
  },
  {
    what: "a reset of MSI-X that was not finished",
    damage: (s) => s.add(table(s).at + Table.state, MsixState.resetting),
    found: [`unfinished ${TABLE}`],
  },
  {
    what: "an entry of MSI-X that was not written to its end",
    damage: (s) => s.set(table(s).at + Table.storing, 1),
    found: [`unfinished ${TABLE}`],
  },
  {
    what: "a mask of an MSI-X vector that is neither on nor off",
    damage: (s) => s.set(table(s).vector + Entry.unmasked, 2),
    found: [`value ${TABLE}`],
  },
  {
    what: "an address of an MSI-X vector that no store leaves",
    damage: (s) => s.add(table(s).vector + Entry.address, 1),
    found: [`value ${TABLE}`],
  },
  {
    what: "a handle of an MSI-X vector that is none",
    damage: (s) => s.set(table(s).vector + Entry.reference, 6),
    found: [`dangling ${TABLE}`, "unreachable reference 71"],
  },
  {
    what: "a handle of an MSI-X vector that is another's",
    damage: (s) => s.set(table(s).vector + Entry.reference, s.at("reference", 30)),
    found: [`partner ${TABLE}`, "unreachable reference 71"],
  },
  {
    what: "two MSI-X vectors with one handle",
    damage: (s) => {
      const { vector } = table(s);
      s.set(vector + Entry.words + Entry.reference, s.get(vector + Entry.reference));
    },
    found: [`partner ${TABLE}`, "shared reference 71"],
  },
];
