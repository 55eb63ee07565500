/**
 * `--prometheus`: the report in the text format that node_exporter's textfile collector reads. The labels are the
 * device and the verdict and nothing finer: vectors come and go with each start of a VM, and every label value that
 * ever was stays in the data base. Pure.
 */
import { type DeviceReport, type Report, VERDICTS } from "../judge/report.js";
import { visible } from "../source/visible.js";

/** One sample: its labels in their order, and its value. */
interface Sample {
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
}

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/**
 * The metrics of one report, all gauges, in an order that depends on the devices alone. Every device has a sample for
 * every verdict, zeros included, so that a verdict that goes away goes to 0 and does not linger.
 */
export function prometheusText(report: Report): string {
  const devices = [...report.vms.flatMap((vm) => vm.devices), ...report.unclaimed];
  const addresses = [...new Set(devices.map(({ address }) => address))].sort();
  const byAddress = addresses.map((address) => ({
    address,
    own: devices.filter((device) => device.address === address),
  }));
  const metrics: Metric[] = [
    {
      name: "irqbypass_vectors",
      help: "Interrupt vectors of an assigned device, by the verdict on each.",
      samples: byAddress.flatMap(({ address, own }) =>
        VERDICTS.map((verdict) => ({
          labels: [
            ["device", address],
            ["verdict", verdict],
          ],
          value: own.flatMap(({ vectors }) => vectors).filter((vector) => vector.verdict === verdict).length,
        })),
      ),
    },
    {
      name: "irqbypass_device_verdict",
      help: "1 for the verdict on the device as a whole (the gravest of its vectors), 0 for the others.",
      samples: byAddress.flatMap(({ address, own }) =>
        VERDICTS.map((verdict) => ({
          labels: [
            ["device", address],
            ["verdict", verdict],
          ],
          value: own.some((device) => device.verdict === verdict) ? 1 : 0,
        })),
      ),
    },
    {
      name: "irqbypass_host_handled_interrupts",
      help: "Interrupts of the device that the host's own handlers took within the window; absent if not known.",
      samples: byAddress.flatMap(({ address, own }) => {
        const value = handledByHost(own);
        return value === null ? [] : [{ labels: [["device", address]] as const, value }];
      }),
    },
    {
      name: "irqbypass_window_seconds",
      help: "Time between the two samples that the verdicts rest on.",
      samples: [{ labels: [], value: Number(report.measured.seconds.toFixed(3)) }],
    },
    {
      name: "irqbypass_sample_timestamp_seconds",
      help: "When the second sample was taken, in seconds since 1970.",
      samples: [{ labels: [], value: Date.parse(report.measured.at) / 1000 }],
    },
    {
      name: "irqbypass_exit_code",
      help: "0 all interrupts of assigned devices are posted or able to be, 1 some are not, 2 could not tell.",
      samples: [{ labels: [], value: report.verdict.exit }],
    },
  ];
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(metricText)
    .join("");
}

/** The sum over all vectors; null if the count of any is not known, because a part would look like the whole. */
function handledByHost(devices: readonly DeviceReport[]): number | null {
  let sum = 0;
  for (const { handledByHost: count } of devices.flatMap(({ vectors }) => vectors)) {
    if (count === null) return null;
    sum += count;
  }
  return sum;
}

function metricText({ name, help, samples }: Metric): string {
  const lines = samples.map(({ labels, value }) => {
    const pairs = labels.map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join("")}`;
}

/**
 * A label value as the exposition format wants it: backslash, quote and newline escaped. It knows no other escape, so
 * other control characters are written out: ESC is a backslash, which is doubled, and x1b.
 */
export function escapeLabel(text: string): string {
  return text
    .split("\n")
    .map((line) => visible(line).replaceAll("\\", "\\\\").replaceAll('"', '\\"'))
    .join("\\n");
}
