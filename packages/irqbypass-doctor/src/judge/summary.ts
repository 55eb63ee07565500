/**
 * The verdict line and the exit code.
 */
import type { Chain } from "./link.js";
import type { DeviceReport, ExitCode, Report, Verdict, VmReport } from "./report.js";

/** From the best news to the worst; what decides for a device and for the exit code. */
const GRAVITY: readonly Verdict[] = [
  "posted now",
  "paired",
  "probably posted",
  "able, not seen",
  "unknown",
  "delivered by the host just now",
  "cannot be",
];

/** The gravest of some verdicts. */
export function worst(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce((a, b) => (GRAVITY.indexOf(b) > GRAVITY.indexOf(a) ? b : a), "posted now");
}

/** Sums all devices up. A device that a process without a VM holds is not assigned and counts for nothing. */
export function summarise(
  vms: readonly VmReport[],
  unclaimed: readonly DeviceReport[],
  chain: Chain,
  hidden: number,
): Report["verdict"] {
  const devices = [
    ...vms.flatMap((vm) => vm.devices),
    ...unclaimed.filter(({ holder }) => holder !== "other"),
  ];
  const cause =
    chain.broken === undefined ? "" : ` The broken link is ${chain.broken.name}: ${chain.broken.says}.`;
  if (devices.length === 0) return withoutDevices(vms.length, chain, cause, hidden);

  const verdicts = devices.flatMap((device) =>
    device.vectors.length === 0 ? [device.verdict] : device.vectors.map(({ verdict }) => verdict),
  );
  const total = devices.reduce((sum, { vectors }) => sum + vectors.length, 0);
  const exit = exitOf(verdicts);
  const what = `${count(total, "interrupt")} of ${count(devices.length, "assigned device")}`;
  if (total === 0) {
    return {
      says: `${capital(count(devices.length, "assigned device"))}, none with an interrupt set up: ${worst(verdicts)}.${cause}`,
      exit,
    };
  }
  const counts = GRAVITY.map(
    (verdict) => [verdict, verdicts.filter((one) => one === verdict).length] as const,
  ).filter(([, number]) => number > 0);
  if (counts.length === 1) {
    return { says: `${uniform(counts[0]![0], total, devices.length)}${cause}`, exit };
  }
  const parts = counts.map(
    ([verdict, number]) => `${number} ${number === 1 ? SINGULAR[verdict] : WORDS[verdict]}`,
  );
  return { says: `Of ${what}, ${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}.${cause}`, exit };
}

function withoutDevices(vms: number, chain: Chain, cause: string, hidden: number): Report["verdict"] {
  const unseen = hidden > 0 ? ` ${hidden} processes may not be looked into.` : "";
  const who =
    vms === 0 ? "No device is assigned to a VM" : `${capital(count(vms, "VM"))}, and no device is assigned`;
  if (chain.able === "no") return { says: `${who}; this host cannot post.${cause}${unseen}`, exit: 1 };
  if (chain.able === "yes") return { says: `${who}; this host is able to post.${unseen}`, exit: 0 };
  return { says: `${who}; whether this host can post is not known.${unseen}`, exit: 2 };
}

/** 1 outweighs 2: what is known to be wrong stays so whatever else is not known. */
export function exitOf(verdicts: readonly Verdict[]): ExitCode {
  if (verdicts.some((one) => one === "cannot be" || one === "delivered by the host just now")) return 1;
  return verdicts.includes("unknown") ? 2 : 0;
}

/** The sentence for interrupts that all have one verdict. */
function uniform(verdict: Verdict, total: number, devices: number): string {
  const of = `of ${count(devices, "assigned device")}`;
  if (total === 1) return `The interrupt ${of} ${SINGULAR[verdict]}.`;
  if (verdict === "cannot be") return `None of the ${total} interrupts ${of} can be posted.`;
  if (verdict === "unknown")
    return `Whether the ${total} interrupts ${of} are posted, or could be, is not known.`;
  return `${total === 2 ? "Both" : `All ${total}`} interrupts ${of} ${WORDS[verdict]}.`;
}

const WORDS: Record<Verdict, string> = {
  "posted now": "are posted now",
  "delivered by the host just now": "were delivered by the host just now",
  paired: "are paired",
  "probably posted": "are probably posted",
  "able, not seen": "are able to be posted and were not seen",
  "cannot be": "cannot be posted",
  unknown: "are unknown",
};

const SINGULAR: Record<Verdict, string> = {
  "posted now": "is posted now",
  "delivered by the host just now": "was delivered by the host just now",
  paired: "is paired",
  "probably posted": "is probably posted",
  "able, not seen": "is able to be posted and was not seen",
  "cannot be": "cannot be posted",
  unknown: "is unknown",
};

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
