/** A public call with what it needs to succeed. */
import * as core from "irqbypass";
import { IrqBypassError } from "irqbypass";
import * as kvmEntry from "irqbypass/kvm";
import * as linuxEntry from "irqbypass/linux";
import type { Entry } from "../fuzz/surface.js";
import { GIVEN, OTHER_RECEIVERS, RECEIVERS } from "./rows.js";
import type { Stage } from "./stage.js";

const EXPORTS: Readonly<Record<string, unknown>> = { ...kvmEntry, ...linuxEntry, ...core };

type Type = (new (...all: unknown[]) => object) & Record<string, (...all: unknown[]) => unknown>;

export interface Call {
  /** Makes it with arguments. */
  with(given: readonly unknown[]): unknown;
  /** The arguments with which it succeeds. */
  readonly given: readonly unknown[];
  /** What it is made on. */
  readonly receiver: object;
}

/** Another object in the place of a receiver, for a twin that is to be found. */
export type Replaced = (name: string, receiver: object) => object;

export function hasRow({ how, owner, name, parameters }: Entry): boolean {
  const needs = parameters.some(({ optional }) => !optional);
  if (needs && GIVEN[name] === undefined) return false;
  return how === "function" || how === "static" || how === "new" || RECEIVERS[owner] !== undefined;
}

/** Is it made on an object? */
export const hasReceiver = ({ how }: Entry) => how === "method" || how === "get" || how === "set";

export function prepare(entry: Entry, stage: Stage, replaced: Replaced = (_, one) => one): Call {
  const { name, owner, member, how } = entry;
  const given = GIVEN[name]?.(stage) ?? [];
  if (!hasReceiver(entry)) return { with: statically(entry), given, receiver: {} };
  const receiver = replaced(name, (OTHER_RECEIVERS[name] ?? RECEIVERS[owner]!)(stage));
  const one = receiver as Record<string | symbol, unknown>;
  const key = member === "@@dispose" ? Symbol.dispose : member;
  const made = (all: readonly unknown[]) => {
    if (how === "get") return { read: one[key] }; // a promise that is kept there is none of the call
    if (how === "set") return Reflect.set(receiver, key, all[0]);
    return (one[key] as (...all: unknown[]) => unknown).apply(receiver, [...all]);
  };
  return { with: made, given, receiver };
}

function statically({ how, owner, member }: Entry): (given: readonly unknown[]) => unknown {
  const type = EXPORTS[owner] as Type;
  if (how === "new") return (all) => new type(...all);
  if (how === "static") return (all) => type[member]!(...all);
  return (all) => {
    const came = (EXPORTS[member] as (...all: unknown[]) => unknown)(...all);
    if (came instanceof IrqBypassError) throw came; // whyNoKvm answers with it
    return came;
  };
}
