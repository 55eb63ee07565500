/** A run's result to draw tables of; figures are made up so that every column has wide and narrow cells. */
import { HISTOGRAM_WORDS, record } from "#src/cli/histogram.js";
import type { Interrupt, Path, RunResult } from "#src/cli/result.js";

export function latency(...ns: readonly number[]): Int32Array {
  const words = new Int32Array(HISTOGRAM_WORDS);
  for (const value of ns) record(words, value);
  return words;
}

interface Device {
  readonly vm: string;
  readonly device: string;
  readonly count: number;
  readonly path: Path;
  /** The path of its last interrupt, which is not bypassed. */
  readonly last: Path;
  readonly signals: number;
  readonly latency: Int32Array;
}

function interrupts(devices: readonly Device[]): Interrupt[] {
  let gsi = 24;
  return devices.flatMap(({ vm, device, count, path, last, signals, latency }) =>
    Array.from({ length: count }, (_, index) => {
      const off = index === count - 1;
      const sent = off ? Math.floor(signals / 7) : signals;
      gsi += 1;
      return {
        ...{ vm, device, index, gsi: gsi - 1, vector: 32 + ((gsi - 25) % 224), eventfd: gsi - 24 },
        ...{ path: off ? last : path, reason: off ? "policy-off" : null },
        ...{ signals: sent, delivered: Math.floor(sent * 0.7), lost: 0, latency },
      };
    }),
  );
}

export const SMALL: readonly Interrupt[] = interrupts([
  {
    vm: "web",
    device: "nic0",
    count: 4,
    path: "posted",
    last: "relayed",
    signals: 3_456_789,
    latency: latency(),
  },
  {
    vm: "db",
    device: "disk0",
    count: 2,
    path: "posted",
    last: "relayed",
    signals: 9876,
    latency: latency(850, 900, 3100),
  },
  {
    vm: "guest",
    device: "nic1",
    count: 3,
    path: "injected",
    last: "irqfd",
    signals: 4950,
    latency: latency(12_100, 217_000),
  },
]);

export const LARGE: readonly Interrupt[] = interrupts([
  {
    vm: "web",
    device: "nic0",
    count: 2000,
    path: "posted",
    last: "relayed",
    signals: 34_567,
    latency: latency(900, 24_000),
  },
  {
    vm: "guest",
    device: "nic1",
    count: 3,
    path: "injected",
    last: "irqfd",
    signals: 4950,
    latency: latency(12_100),
  },
]);

export function result(list: readonly Interrupt[]): RunResult {
  return {
    interrupts: list,
    oneSided: list
      .filter((one) => one.reason !== null)
      .map((one) => ({
        name: `${one.vm} ${one.device}.${one.index}`,
        eventfd: one.eventfd,
        end: "producer",
        reason: one.reason,
      })),
    reroutes: 0,
    seconds: 5.0034,
    compare: { posted: 1210.4, relayed: 9800, postMessage: 24_100 },
  };
}

export function lossy(list: readonly Interrupt[], every: number): Interrupt[] {
  return list.map((one, i) => (i % every === 0 ? { ...one, lost: 2 } : one));
}
