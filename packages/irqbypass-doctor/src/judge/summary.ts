/**
 * The verdict line and the exit code.
 */
import type { Chain } from "./link.js";
import type { DeviceReport, ExitCode, Report, VectorReport, Verdict, VmReport } from "./report.js";

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

/** The verdict on a device: that of its vectors that count, or `bare` where it has none. */
export function verdictOf(vectors: readonly VectorReport[], bare: Verdict): Verdict {
  const counting = vectors.filter(({ byDesign }) => !byDesign);
  return counting.length === 0 ? bare : worst(counting.map(({ verdict }) => verdict));
}

/**
 * Sums all devices up. A device that a process without a VM holds is not assigned and counts for nothing. `unseen`: why a
 * process may hold something and not be seen to, as a clause.
 */
export function summarise(
  vms: readonly VmReport[],
  unclaimed: readonly DeviceReport[],
  chain: Chain,
  unseen: string | undefined,
): Report["verdict"] {
  const devices = [
    ...vms.flatMap((vm) => vm.devices),
    ...unclaimed.filter(({ holder }) => holder !== "other"),
  ];
  const cause = causeOf(vms, chain);
  if (devices.length === 0) return withoutDevices(vms.length, unclaimed.length, chain, cause, unseen);
  const judged = exitOf(devices.map(({ verdict }) => verdict));
  const exit = judged === 0 && chain.contradictions.length > 0 ? 2 : judged;
  return { says: `${sentence(devices)}${cause}`, exit };
}

/** The root of the trouble: of the host, or else of a VM that has a device. */
function causeOf(vms: readonly VmReport[], chain: Chain): string {
  const [contradiction] = chain.contradictions;
  if (contradiction !== undefined && chain.broken === undefined)
    return ` The evidence contradicts itself: ${contradiction.says}.`;
  if (chain.broken !== undefined) return ` The broken link is ${chain.broken.name}: ${chain.broken.says}.`;
  const vm = vms.find(({ vmm, devices }) => vmm.state === "broken" && devices.length > 0);
  if (vm === undefined) return "";
  const who = vm.name === null ? `process ${vm.pid}` : `VM ${vm.name}`;
  return ` The broken link of ${who} is ${vm.vmm.name}: ${vm.vmm.says}.`;
}

/** What became of the interrupts, and apart from them of the devices that have none. Each part is counted from one list. */
function sentence(devices: readonly DeviceReport[]): string {
  const bare = devices.filter(({ vectors }) => vectors.length === 0);
  const others = devices.length - bare.length;
  if (others === 0) {
    return `${capital(count(devices.length, "assigned device"))}, none with an interrupt set up: ${words(bare)}.`;
  }
  const vectors = devices.flatMap((device) => device.vectors);
  const designed = vectors.filter(({ byDesign }) => byDesign).length;
  const counts = GRAVITY.map(
    (verdict) => [verdict, vectors.filter((one) => !one.byDesign && one.verdict === verdict).length] as const,
  ).filter(([, number]) => number > 0);
  const parts = counts.map(
    ([verdict, number]) => `${number} ${number === 1 ? SINGULAR[verdict] : WORDS[verdict]}`,
  );
  if (designed > 0) parts.push(`${designed} ${designed === 1 ? "is" : "are"} for its configuration alone`);
  const of = count(others, "assigned device");
  const interrupts =
    designed === 0 && counts.length === 1
      ? uniform(counts[0]![0], vectors.length, of)
      : `Of ${count(vectors.length, "interrupt")} of ${of}, ${and(parts)}.`;
  if (bare.length === 0) return interrupts;
  const more = bare.length === 1 ? "One more device has" : `${bare.length} more devices have`;
  return `${interrupts} ${more} no interrupt set up yet: ${words(bare)}.`;
}

function and(parts: readonly string[]): string {
  return parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

/** Verdicts on devices without interrupts, each once. */
function words(devices: readonly DeviceReport[]): string {
  return GRAVITY.filter((verdict) => devices.some((device) => device.verdict === verdict)).join(" and ");
}

/** `others`: devices that processes without a VM hold. */
function withoutDevices(
  vms: number,
  others: number,
  chain: Chain,
  cause: string,
  unseen: string | undefined,
): Report["verdict"] {
  const held = others > 0 ? `; ${count(others, "device")} in the hands of processes that are no VM` : "";
  const known = vms === 0 ? "" : `${capital(count(vms, "VM"))}, and `;
  const who =
    unseen !== undefined
      ? `${known}${known === "" ? "Whether" : "whether"} a device is assigned${vms === 0 ? " to a VM" : ""} is not known: ${unseen}${held}`
      : vms === 0
        ? `No device is assigned to a VM${held}`
        : `${known}no device is assigned${held}`;
  if (chain.able === "no") return { says: `${who}; this host cannot post.${cause}`, exit: 1 };
  if (chain.able === "unknown")
    return { says: `${who}; whether this host can post is not known.${cause}`, exit: 2 };
  return { says: `${who}; this host is able to post.`, exit: unseen === undefined ? 0 : 2 };
}

/** 1 outweighs 2: what is known to be wrong stays so whatever else is not known. */
export function exitOf(verdicts: readonly Verdict[]): ExitCode {
  if (verdicts.some((one) => one === "cannot be" || one === "delivered by the host just now")) return 1;
  return verdicts.includes("unknown") ? 2 : 0;
}

/** The sentence for interrupts that all have one verdict. */
function uniform(verdict: Verdict, total: number, devices: string): string {
  if (total === 1) return `The interrupt of ${devices} ${SINGULAR[verdict]}.`;
  if (verdict === "cannot be") return `None of the ${total} interrupts of ${devices} can be posted.`;
  if (verdict === "unknown")
    return `Whether the ${total} interrupts of ${devices} are posted, or could be, is not known.`;
  return `${total === 2 ? "Both" : `All ${total}`} interrupts of ${devices} ${WORDS[verdict]}.`;
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
