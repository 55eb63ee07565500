/** All suites, in the order in which they run. */
import type { Suite } from "../harness/suite.js";
import { deassign } from "./deassign.js";
import { epoll } from "./epoll.js";
import { file } from "./file.js";
import { ioeventfd } from "./ioeventfd.js";
import { kvm } from "./kvm.js";
import { latency } from "./latency.js";
import { memory } from "./memory.js";
import { message } from "./message.js";
import { pair } from "./pair.js";
import { register } from "./register.js";
import { roundTrip } from "./round-trip.js";
import { routes } from "./routes.js";
import { runSuite } from "./run.js";
import { signal } from "./signal.js";
import { startup } from "./startup.js";
import { storm } from "./storm.js";
import { wait } from "./wait.js";

export const suites: readonly Suite[] = [
  register,
  pair,
  storm,
  signal,
  file,
  latency,
  wait,
  roundTrip,
  epoll,
  deassign,
  ioeventfd,
  message,
  routes,
  kvm,
  runSuite,
  memory,
  startup,
];
