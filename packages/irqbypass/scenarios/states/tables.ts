import { asked } from "./asked.js";
import { binding } from "./binding.js";
import { controlKicks } from "./control-kicks.js";
import { descriptorControl } from "./descriptor-control.js";
import { doorbell } from "./doorbell.js";
import { epollControl } from "./epoll-control.js";
import { gate, gateTarget } from "./gate.js";
import { inFlight } from "./in-flight.js";
import { injectionDue } from "./injection-due.js";
import { latch } from "./latch.js";
import { life } from "./life.js";
import { lifeLock } from "./life-lock.js";
import { line } from "./line.js";
import { listening } from "./listening.js";
import { mutex } from "./mutex.js";
import { relayState } from "./relay-state.js";
import { remappingEntry } from "./remapping-entry.js";
import { routingOwner } from "./routing-owner.js";
import { sequence } from "./sequence.js";
import type { StateTable } from "./table.js";
import { target } from "./target.js";
import { threadState } from "./thread-state.js";

/** The tables of all packed words. */
export const TABLES: readonly StateTable[] = [
  mutex,
  remappingEntry,
  descriptorControl,
  controlKicks,
  inFlight,
  threadState,
  lifeLock,
  relayState,
  life,
  target,
  injectionDue,
  binding,
  listening,
  line,
  latch,
  gate,
  gateTarget,
  doorbell,
  epollControl,
  routingOwner,
  sequence,
  asked,
];
