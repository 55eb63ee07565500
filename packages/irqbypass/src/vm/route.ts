/**
 * GSI routes as callers write them, and as the tables in shared memory keep them.
 */
import { checkObject, isList, type OptionNames, reading, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Chip, IOAPIC_PINS, MAX_GSI, PIC_PINS, RouteType } from "../host/layout.js";

/** An MSI: the raw x86 words, or for the common case the vCPU and the vector that they name. */
export type Msi = ShortMsi | RawMsi;

/** An edge to one vCPU, fixed delivery: what nearly all are. */
export interface ShortMsi {
  /** Its index in the VM. */
  readonly vcpu: number;
  /** 0 to 255. */
  readonly vector: number;
}

/** An MSI as a device writes it (SDM volume 3, "Message Signalled Interrupts"). */
export interface RawMsi {
  /** Low 32 bits of the address: whom it is for. */
  readonly address: number;
  /** High 32 bits; 0 if absent. */
  readonly addressHigh?: number;
  /** Vector, delivery mode and trigger. */
  readonly data: number;
}

/** A pin of an interrupt controller. Pins of the PICs are accepted and have no effect in a software VM that was made without `pic: true`. */
export interface IrqchipPin {
  /** Which interrupt controller. */
  readonly chip: "pic-master" | "pic-slave" | "ioapic";
  /** 0 to 7 of a PIC, 0 to 23 of the I/O APIC. */
  readonly pin: number;
}

/** One entry of `setGsiRouting` (struct kvm_irq_routing_entry): a GSI, 0 to 4095, and where it goes. */
export type GsiRoute = MsiRoute | PinRoute;

/** A GSI that is a message. */
export interface MsiRoute {
  /** 0 to 4095. */
  readonly gsi: number;
  /** The message. */
  readonly msi: Msi;
}

/** A GSI that is a line. */
export interface PinRoute {
  /** 0 to 4095. */
  readonly gsi: number;
  /** The pin. */
  readonly irqchip: IrqchipPin;
}

const MSI_ROUTE: OptionNames<MsiRoute> = { gsi: true, msi: true };
const PIN_ROUTE: OptionNames<PinRoute> = { gsi: true, irqchip: true };
const ROUTE = { ...MSI_ROUTE, ...PIN_ROUTE };
const PIN: OptionNames<IrqchipPin> = { chip: true, pin: true };
const SHORT: OptionNames<ShortMsi> = { vcpu: true, vector: true };
const RAW: OptionNames<RawMsi> = { address: true, addressHigh: true, data: true };
const ROUTE_TEXT = "routes such as { gsi: 24, msi: { vcpu: 0, vector: 0x41 } }";
const RAW_HINT = "as in { address: 0xfee00000, data: 0x41 }";
const MSI_TEXT = "{ vcpu, vector } or { address, data }";

/** The same as words: an MSI's low address, high address and data, or a chip and its pin. */
export interface RouteWords {
  readonly gsi: number;
  readonly type: RouteType;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** The words of an MSI alone: low address, high address and data. */
export type MsiWords = Pick<RouteWords, "a" | "b" | "c">;

/** x86: MSI addresses start here; bits 12 to 19 are the destination, bit 2 its mode. */
export const MSI_BASE = 0xfee00000;

const CHIPS = { "pic-master": Chip.picMaster, "pic-slave": Chip.picSlave, ioapic: Chip.ioapic } as const;

/** Whom a message of a VM can name. */
export interface Apics {
  /** The APIC id of each vCPU. */
  readonly ids: readonly number[];
  /** Does the upper half of an address say something (x2apic_format)? */
  readonly longIds: boolean;
}

/**
 * Checks a whole table for a VM with these; throws EINVAL that names the entry and says what is allowed. On one GSI an MSI stands alone, and
 * each chip has at most one pin.
 */
export function checkRoutes(routes: readonly GsiRoute[], apics: Apics): RouteWords[] {
  if (!isList(routes)) throw new IrqBypassError("EINVAL", "setGsiRouting takes an array of routes");
  const count = reading(ROUTE_TEXT, () => routes.length);
  if (count > MAX_GSI) {
    throw new IrqBypassError("EINVAL", `a VM has at most ${MAX_GSI} routes, not ${count}`);
  }
  const byGsi = new Map<number, RouteWords[]>();
  // A copy, in which holes are entries too.
  return reading(ROUTE_TEXT, () => Array.from(routes)).map((route, index) => {
    const where = `route ${index}`;
    const words = routeWords(route, where, apics);
    const others = byGsi.get(words.gsi) ?? [];
    for (const other of others) {
      if (words.type === RouteType.msi || other.type === RouteType.msi) {
        throw new IrqBypassError(
          "EINVAL",
          `${where}: GSI ${words.gsi} has another route, and an MSI stands alone on a GSI`,
        );
      }
      if (words.a === other.a) {
        throw new IrqBypassError("EINVAL", `${where}: GSI ${words.gsi} has a pin of the same chip already`);
      }
    }
    others.push(words);
    byGsi.set(words.gsi, others);
    return words;
  });
}

function routeWords(given: GsiRoute, where: string, apics: Apics): RouteWords {
  const route = readOptions(given, ROUTE, `${ROUTE_TEXT}, and in ${where}`, `${where}: `);
  const { gsi } = route;
  if (!Number.isInteger(gsi) || gsi < 0 || gsi >= MAX_GSI) {
    throw new IrqBypassError("EINVAL", `${where}: gsi is ${show(gsi)}, it must be 0 to ${MAX_GSI - 1}`);
  }
  if ("msi" in route === "irqchip" in route)
    throw new IrqBypassError("EINVAL", `${where}: a route has either an msi or an irqchip`);
  if ("msi" in route) return { gsi, type: RouteType.msi, ...msiWords(route.msi, apics, where, "msi.") };
  const text = `irqchip: { chip, pin } in ${where}`;
  const { chip, pin } = readOptions(route.irqchip, PIN, text, `${where}: irqchip.`);
  const number = typeof chip === "string" && Object.hasOwn(CHIPS, chip) ? CHIPS[chip] : undefined;
  if (number === undefined) {
    throw new IrqBypassError(
      "EINVAL",
      `${where}: chip is ${show(chip)}, use ${Object.keys(CHIPS).join(", ")}`,
    );
  }
  const pins = number === Chip.ioapic ? IOAPIC_PINS : PIC_PINS;
  if (!Number.isInteger(pin) || pin < 0 || pin >= pins) {
    throw new IrqBypassError("EINVAL", `${where}: ${chip} has pins 0 to ${pins - 1}, not ${show(pin)}`);
  }
  return { gsi, type: RouteType.irqchip, a: number, b: pin, c: 0 };
}

/** The routes that a VM with an I/O APIC starts with: GSI n is pin n, and below 16 the PICs' pin too. */
export function defaultRoutes(): RouteWords[] {
  const routes: RouteWords[] = [];
  for (let gsi = 0; gsi < IOAPIC_PINS; gsi++) {
    routes.push({ gsi, type: RouteType.irqchip, a: Chip.ioapic, b: gsi, c: 0 });
    if (gsi >= PIC_PINS * 2) continue;
    const chip = gsi < PIC_PINS ? Chip.picMaster : Chip.picSlave;
    routes.push({ gsi, type: RouteType.irqchip, a: chip, b: gsi % PIC_PINS, c: 0 });
  }
  return routes;
}

/** Checks one MSI of a VM with these, as {@link checkRoutes} does those of a table; `what` it is, a refusal says. */
export function checkMsi(given: Msi, apics: Apics, what = "a route"): MsiWords {
  return msiWords(given, apics, what, "");
}

/** The MSI of these words, as a device writes it. */
export function rawMsi({ a, b, c }: MsiWords): RawMsi {
  return { address: a >>> 0, addressHigh: b >>> 0, data: c >>> 0 };
}

/** The three words of an MSI. `where` is said in front of a refusal, `part` in front of a name. */
function msiWords(given: Msi, { ids, longIds }: Apics, where: string, part: "msi." | ""): MsiWords {
  const text = part === "" ? MSI_TEXT : `msi: ${MSI_TEXT} in ${where}`;
  checkObject(given, text);
  const named = (names: object) => reading(text, () => Object.keys(names).filter((name) => name in given));
  const isShort = named(SHORT).length > 0;
  const raw = named(RAW);
  if (isShort && raw.length > 0) {
    throw new IrqBypassError(
      "EINVAL",
      `${where}: an msi names a vcpu and a vector, or it is an address and data, which have both in them: take ${raw.map((name) => `${part}${name}`).join(", ")} or the others out`,
    );
  }
  const msi = readOptions(given, isShort ? SHORT : RAW, text, `${where}: ${part}`);
  if (isShort) {
    const { vcpu, vector } = msi as ShortMsi;
    const id = Number.isInteger(vcpu) ? ids[vcpu] : undefined;
    if (id === undefined) {
      const has = ids.length === 1 ? "vCPU 0 alone" : `vCPUs 0 to ${ids.length - 1}`;
      throw new IrqBypassError(
        "EINVAL",
        `${where}: vcpu is ${show(vcpu)}, and this VM has ${has} (to reach several, give an address)`,
      );
    }
    if (!Number.isInteger(vector) || vector < 0 || vector > 255) {
      throw new IrqBypassError("EINVAL", `${where}: vector is ${show(vector)}, it must be 0 to 255`);
    }
    if (id > 0xff && !longIds) {
      throw new IrqBypassError(
        "EINVAL",
        `${where}: vCPU ${vcpu} has APIC id ${id}, and a message has no room for it in a VM with longIds: false`,
      );
    }
    return { a: MSI_BASE | ((id & 0xff) << 12) | 0, b: id & ~0xff, c: vector };
  }
  const { address, addressHigh = 0, data } = msi as RawMsi;
  for (const [name, value] of Object.entries({ address, addressHigh, data })) {
    if (isWord(value)) continue;
    const signed = Number.isInteger(value) && value < 0 && value >= -(2 ** 31);
    const hint = signed
      ? `the same word without a sign is 0x${(value >>> 0).toString(16)} (>>> 0)`
      : RAW_HINT;
    throw new IrqBypassError(
      "EINVAL",
      `${where}: ${part}${name} is ${show(value)}, it must be a whole number from 0 to 2^32-1: ${hint}`,
    );
  }
  if (longIds && addressHigh & 0xff) {
    throw new IrqBypassError(
      "EINVAL",
      `${where}: ${part}addressHigh is ${show(addressHigh)}: it holds bits 8 to 31 of the destination, so its low byte must be 0`,
    );
  }
  return { a: address | 0, b: addressHigh | 0, c: data | 0 };
}

function isWord(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}
