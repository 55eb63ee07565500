/**
 * The argument of VFIO_DEVICE_SET_IRQS, and the checks that all indexes share
 * (vfio_set_irqs_validate_and_prepare).
 */

import { checkEventfd, type EventfdContext } from "../eventfd/context.js";
import { isList, type OptionNames, reading, readOptions, show } from "../host/argument.js";
import { type ErrorCode, IrqBypassError } from "../host/errors.js";
import type { HostMemory } from "../host/memory.js";
import { IRQ_ACTIONS, IRQ_INDEXES, type IrqAction, type IrqIndex, knows } from "./irq-index.js";

/** The interrupts of one index that a call is about, and what it does to them. */
export interface IrqRange {
  /** Which of the five. */
  readonly index: IrqIndex;
  /** First interrupt of the range. */
  readonly start: number;
  /** How many; 0 with data "none" and action "trigger" disables the index. */
  readonly count: number;
  /** What is done to them. */
  readonly action: IrqAction;
}

/** Acts on the range itself: masks, unmasks, or fires its triggers as a loopback test. */
export interface IrqSetNone extends IrqRange {
  /** VFIO_IRQ_SET_DATA_NONE. */
  readonly data: "none";
}

/** The same for those of the range whose value is true. */
export interface IrqSetBool extends IrqRange {
  /** VFIO_IRQ_SET_DATA_BOOL. */
  readonly data: "bool";
  /** One for each interrupt of the range. */
  readonly values: readonly boolean[];
}

/** Gives each of the range an eventfd, or takes it away (null, which is -1 in the kernel's interface). */
export interface IrqSetEventfd extends IrqRange {
  /** VFIO_IRQ_SET_DATA_EVENTFD. */
  readonly data: "eventfd";
  /** One for each interrupt of the range. */
  readonly eventfds: readonly (EventfdContext | null)[];
}

const RANGE: OptionNames<IrqSetNone> = { index: true, start: true, count: true, action: true, data: true };
const BOOL: OptionNames<IrqSetBool> = { ...RANGE, values: true };
const EVENTFD: OptionNames<IrqSetEventfd> = { ...RANGE, eventfds: true };

/** The argument of `setIrqs` (struct vfio_irq_set). */
export type IrqSet = IrqSetNone | IrqSetBool | IrqSetEventfd;

/**
 * Reads the argument and checks what does not depend on the index's state. `count` says how many interrupts an index has. Throws
 * EINVAL, and ENOTTY for an action that the index does not know.
 */
export function readIrqSet(given: IrqSet, count: (index: IrqIndex) => number): IrqSet {
  const all = readOptions(given, { ...BOOL, ...EVENTFD }, SET);
  const set = readOptions(all, namesOf(all), SET);
  const { index, start, count: wanted, action } = set;
  if (!IRQ_INDEXES.includes(index)) {
    throw invalid(`index is ${show(index)}: a device has ${IRQ_INDEXES.join(", ")}`);
  }
  const has = count(index);
  if (!isWord(start) || !isWord(wanted)) {
    throw invalid(`${index}: start ${show(start)} and count ${show(wanted)} must be whole numbers from 0 on`);
  }
  if (start >= has || start + wanted > has) {
    const range = has === 0 ? "none" : `0 to ${has - 1}`;
    throw invalid(`${index}: ${wanted} from ${start} on, and this device has ${range}`);
  }
  if (!IRQ_ACTIONS.includes(action)) {
    throw invalid(`${index}: action is ${show(action)}, use ${IRQ_ACTIONS.join(", ")}`);
  }
  const read = readData(set);
  if (!knows(index, action)) {
    const instead = index.startsWith("msi")
      ? `: use vector("${index}", n).${action}()`
      : ", and cannot be held back";
    throw irqError("ENOTTY", index, `knows no ${action}${instead}`);
  }
  return read;
}

const SET = "{ index, start, count, data, action }, and values or eventfds where data says so";

function namesOf({ data }: IrqSet): Readonly<Record<string, true>> {
  return data === "bool" ? BOOL : data === "eventfd" ? EVENTFD : RANGE;
}

function readData(set: IrqSet): IrqSet {
  const { index, data } = set;
  if (data === "none") return set;
  if (data !== "bool" && data !== "eventfd") {
    throw invalid(`${index}: data is ${show(data)}, use none, bool or eventfd`);
  }
  if (data === "eventfd") return { ...set, eventfds: readList(set, "eventfds", set.eventfds) };
  const values = readList(set, "values", set.values);
  if (values.some((value) => typeof value !== "boolean")) {
    throw invalid(`${index}: values must be true or false`);
  }
  return { ...set, values };
}

/** The first elements of a list, one for each interrupt of the range. */
function readList<T>({ index, count }: IrqRange, field: string, list: readonly T[]): readonly T[] {
  const length = isList(list) ? reading(SET, () => list.length) : undefined;
  if (length === undefined || length < count) {
    const found = length === undefined ? "no" : show(length);
    throw invalid(`${index}: ${field} holds ${found} elements and count is ${count}: give one for each`);
  }
  return reading(SET, () => Array.from({ length: count }, (_, number) => list[number]!));
}

/** Does the call act on interrupt `number`, which is in its range? */
export function selects(set: IrqSetNone | IrqSetBool, number: number): boolean {
  return set.data === "none" || set.values[number - set.start] === true;
}

/** Throws EINVAL for what is no eventfd of this host, EBADF for one that was closed (eventfd_ctx_fdget). */
export function checkOpen(host: HostMemory, what: string, eventfd: unknown): void {
  checkEventfd(host, eventfd, `${what} signals`);
}

/** An error about an index or one of its interrupts. */
export function irqError(code: ErrorCode, subject: string, sentence: string): IrqBypassError {
  return new IrqBypassError(code, `${subject} ${sentence}`, { subject });
}

function invalid(sentence: string): IrqBypassError {
  return new IrqBypassError("EINVAL", sentence);
}

function isWord(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}
