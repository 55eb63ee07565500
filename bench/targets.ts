/**
 * What the figures are to reach: the one place where targets stand. Each is a quotient or a figure of one report, so
 * that it says the same on every machine as far as that is possible; absolute times hold for a machine like the one
 * that they were set on, a two-core virtual machine with Node 20.
 */
import { figure, type Report } from "./harness/report.js";
import type { Unit } from "./harness/suite.js";
import { EPOLL_TRIAL } from "./suites/epoll.js";
import { BARE, ON_CLEAR, ON_SET } from "./suites/file.js";
import { ASLEEP, SPINNING } from "./suites/latency.js";
import { BUSY, IDLE } from "./suites/round-trip.js";
import { CHANGE, ONE_BY_ONE, ONE_OF_MANY, SET_UP_BY_TABLES } from "./suites/routes.js";
import { DEFAULT_EXAMPLE } from "./suites/run.js";

export interface Target {
  readonly what: string;
  /** `ratio` prints as times. */
  readonly unit: Unit | "ratio";
  /** The figure must be below it. */
  readonly limit: number;
  /** What we would be proud of. */
  readonly moonshot?: number;
  /** The figure, or undefined where the report does not have it. */
  readonly value: (report: Report) => number | undefined;
}

const OURS = "irqbypass";
/** A figure, where the report has it. */
const median =
  (suite: string, trial: string, contestant: string, measure: string): Target["value"] =>
  (report) =>
    figure(report, suite, trial, contestant, measure)?.median;

/** Ratio of the first contestant to another one, round by round. */
const timesOf =
  (suite: string, trial: string, contestant: string, measure: string): Target["value"] =>
  (report) => {
    const other = figure(report, suite, trial, contestant, measure);
    return other && 1 / other.ratio;
  };

const SIZES = ["10", "32", "100", "1,000", "10,000", "174,000", "1,000,000"];

/** Dearest registration of all sizes over the cheapest; undefined where the largest was not measured. */
function flatness(report: Report): number | undefined {
  const found = SIZES.map((n) => median("register", n, OURS, "register")(report));
  const known = found.filter((value) => value !== undefined);
  return found.at(-1) === undefined ? undefined : Math.max(...known) / Math.min(...known);
}

export const targets: readonly Target[] = [
  {
    what: "register a consumer, 174,000 registered",
    unit: "ns",
    limit: 65,
    moonshot: 45,
    value: median("register", "174,000", OURS, "register"),
  },
  {
    what: "register a consumer, dearest over cheapest from 10 to 1,000,000",
    unit: "ratio",
    limit: 1.5,
    moonshot: 1.2,
    value: flatness,
  },
  {
    what: "register a consumer over a list on the same memory, 32 registered",
    unit: "ratio",
    limit: 1,
    value: timesOf("register", "32", "list", "register"),
  },
  {
    what: "a pair comes and goes, 174,000 pairs standing",
    unit: "ns",
    limit: 300,
    moonshot: 200,
    value: median("pair", "174,000", OURS, "pair"),
  },
  {
    what: "index memory per consumer, 1,000 registered",
    unit: "bytes",
    limit: 9,
    value: median("memory", "1,000", OURS, "consumer"),
  },
  {
    what: "deassign one of 20,000 irqfds of a software VM",
    unit: "ns",
    limit: 1000,
    value: median("deassign", "20,000", OURS, "deassign"),
  },
  {
    what: "wait for the manager's lock, 4 threads registering, mean",
    unit: "ns",
    limit: 400,
    value: median("storm", "4 threads, 1,000 registered", OURS, "mean"),
  },
  {
    what: "signal() posted to a running vCPU",
    unit: "ns",
    limit: 20,
    moonshot: 10,
    value: median("signal", "producer side", "posted, running vCPU", "signal"),
  },
  {
    what: "one way to a spinning vCPU, harvest included",
    unit: "ns",
    limit: 100,
    moonshot: 70,
    value: median("latency", SPINNING, "posted, spinning vCPU", "typical"),
  },
  {
    what: "waking a halted vCPU over a bare Atomics.wait and notify",
    unit: "ratio",
    limit: 1.2,
    value: timesOf("latency", ASLEEP, "Atomics.wait and notify", "typical"),
  },
  ...["eventfd.read()", "vcpu.wait()"].flatMap((contestant) =>
    [BUSY, IDLE].map(
      (trial): Target => ({
        what: `${contestant} ${trial}, over a bare Atomics.wait`,
        unit: "ratio",
        limit: 1.3,
        value: (report) => {
          const over = median("round-trip", trial, contestant, "over")(report);
          return over && over / 1000;
        },
      }),
    ),
  ),
  {
    what: "epoll: signal, wait for 64, read, over Linux's epoll_wait in C",
    unit: "ratio",
    limit: 1,
    moonshot: 0.5,
    value: timesOf("epoll", EPOLL_TRIAL, "epoll_wait in C", "epoll"),
  },
  {
    what: "change one of 4,096 routes of a software VM, at which an irqfd listens",
    unit: "ns",
    limit: 50_000,
    value: median("routes", ONE_OF_MANY, CHANGE, "route"),
  },
  {
    what: "set up 512 vectors by single routes over whole tables",
    unit: "ratio",
    limit: 0.05,
    value: timesOf("routes", ONE_BY_ONE, SET_UP_BY_TABLES, "route"),
  },
  {
    what: "interrupt file in C: a post with ON set over a bare or",
    unit: "ratio",
    limit: 1.1,
    value: timesOf("file", ON_SET, BARE, "post"),
  },
  {
    what: "interrupt file in C: a post with ON clear over a bare or",
    unit: "ratio",
    limit: 2.2,
    value: timesOf("file", ON_CLEAR, BARE, "post"),
  },
  {
    what: "irqbypass run of the default example, time per signal",
    unit: "ns",
    limit: 100,
    value: median("run", DEFAULT_EXAMPLE, "irqbypass run", "each"),
  },
  {
    what: "4 threads registering, all over the slowest (4x is fair)",
    unit: "ratio",
    limit: 20,
    value: (report) => {
      const share = median("storm", "4 threads, 1,000 registered", OURS, "fairness")(report);
      return share && 1000 / share;
    },
  },
  {
    what: "KVM_SIGNAL_MSI from here over the C program",
    unit: "ratio",
    limit: 1.5,
    moonshot: 1.2,
    value: timesOf("kvm", "injected", "C KVM_SIGNAL_MSI", "signal"),
  },
  {
    what: "irqfd write from here over the C program",
    unit: "ratio",
    limit: 1.5,
    moonshot: 1.2,
    value: timesOf("kvm", "irqfd", "C irqfd write", "signal"),
  },
];
