/**
 * The argument of VFIO_DEVICE_SET_IRQS, and the checks that all indexes share
 * (vfio_set_irqs_validate_and_prepare).
 */

import { checkEventfd, type EventfdContext } from "../eventfd/context.js";
import { checkObject, checkOptions, type OptionNames, show } from "../host/argument.js";
import { type ErrorCode, IrqBypassError } from "../host/errors.js";
import type { HostMemory } from "../host/memory.js";
import { IRQ_ACTIONS, IRQ_INDEXES, type IrqAction, type IrqIndex, knows } from "./irq-index.js";

/** The interrupts of one index that a call is about, and what it does to them. */
export interface IrqRange {
  readonly index: IrqIndex;
  /** First interrupt of the range. */
  readonly start: number;
  /** How many; 0 with data "none" and action "trigger" disables the index. */
  readonly count: number;
  readonly action: IrqAction;
}

/** Acts on the range itself: masks, unmasks, or fires its triggers as a loopback test. */
export interface IrqSetNone extends IrqRange {
  readonly data: "none";
}

/** The same for those of the range whose value is true. */
export interface IrqSetBool extends IrqRange {
  readonly data: "bool";
  readonly values: readonly boolean[];
}

/** Gives each of the range an eventfd, or takes it away (null, which is -1 in the kernel's interface). */
export interface IrqSetEventfd extends IrqRange {
  readonly data: "eventfd";
  readonly eventfds: readonly (EventfdContext | null)[];
}

const RANGE: OptionNames<IrqSetNone> = { index: true, start: true, count: true, action: true, data: true };
const BOOL: OptionNames<IrqSetBool> = { ...RANGE, values: true };
const EVENTFD: OptionNames<IrqSetEventfd> = { ...RANGE, eventfds: true };

/** The argument of `setIrqs` (struct vfio_irq_set). */
export type IrqSet = IrqSetNone | IrqSetBool | IrqSetEventfd;

/**
 * Checks what does not depend on the index's state. `count` says how many interrupts an index has. Throws EINVAL, and
 * ENOTTY for an action that the index does not know.
 */
export function checkIrqSet(set: IrqSet, count: (index: IrqIndex) => number): void {
  checkObject(set, SET);
  checkOptions(set, namesOf(set), SET);
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
  checkData(set, wanted);
  if (!knows(index, action)) {
    throw irqError("ENOTTY", index, `knows no ${action}: mask a vector with vector("${index}", n).mask()`);
  }
}

const SET = "{ index, start, count, data, action }, and values or eventfds where data says so";

function namesOf({ data }: IrqSet): Readonly<Record<string, true>> {
  return data === "bool" ? BOOL : data === "eventfd" ? EVENTFD : RANGE;
}

function checkData(set: IrqSet, wanted: number): void {
  const { index, data } = set;
  if (data === "none") return;
  if (data !== "bool" && data !== "eventfd") {
    throw invalid(`${index}: data is ${show(data)}, use none, bool or eventfd`);
  }
  const [field, list] = data === "bool" ? ["values", set.values] : ["eventfds", set.eventfds];
  if (!Array.isArray(list) || list.length < wanted) {
    const found = Array.isArray(list) ? show(list.length) : "no";
    throw invalid(`${index}: ${field} holds ${found} elements and count is ${wanted}: give one for each`);
  }
  if (data === "bool" && set.values.slice(0, wanted).some((value) => typeof value !== "boolean")) {
    throw invalid(`${index}: values must be true or false`);
  }
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
