import { descriptorControl } from "./descriptor-control.js";
import { inFlight } from "./in-flight.js";
import { life } from "./life.js";
import { mutex } from "./mutex.js";
import { relayState } from "./relay-state.js";
import { remappingEntry } from "./remapping-entry.js";
import type { StateTable } from "./table.js";
import { threadState } from "./thread-state.js";

/** The tables of all packed words. */
export const TABLES: readonly StateTable[] = [
  mutex,
  remappingEntry,
  descriptorControl,
  inFlight,
  threadState,
  relayState,
  life,
];
