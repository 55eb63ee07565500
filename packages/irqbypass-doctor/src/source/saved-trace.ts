/**
 * `trace.json` of a saved tree: what following the tracepoints showed, as it was joined on the host.
 */
import { FormatError } from "./error.js";
import { boolean, type Fields, json, number, object, string, strings, whole } from "./fields.js";
import type { TraceFacts } from "./trace-facts.js";

/**
 * Parses what {@link TraceFacts} prints as JSON, and nothing less: a field that is missing or of another kind is
 * refused, because the findings would take it for "none was seen".
 * @throws FormatError naming the field.
 */
export function parseTraceFacts(text: string): TraceFacts {
  const facts = object(json(text), "the trace");
  const list = <T>(name: string, each: (item: Fields, at: string) => T): T[] => {
    const items = facts[name];
    if (!Array.isArray(items)) throw new FormatError(`${name} is not a list`);
    return items.map((item: unknown, index) => each(object(item, `${name}[${index}]`), `${name}[${index}]`));
  };
  return {
    seconds: number(facts, "seconds"),
    followed: strings(facts, "followed"),
    generation: facts.generation === null ? null : string(facts, "generation"),
    posting: list("posting", (item) => ({
      hostIrq: item.hostIrq === null ? null : whole(item, "hostIrq"),
      set: boolean(item, "set"),
      vcpu: whole(item, "vcpu", -1),
      gsi: whole(item, "gsi"),
      guestVector: whole(item, "guestVector"),
      at: number(item, "at"),
    })),
    handled: list("handled", (item) => ({
      irq: whole(item, "irq"),
      name: string(item, "name"),
      count: whole(item, "count"),
      sinceChange: whole(item, "sinceChange"),
    })),
    injections: whole(facts, "injections"),
    inhibits: list("inhibits", (item) => ({
      set: boolean(item, "set"),
      reason: whole(item, "reason"),
      name: string(item, "name"),
      inhibits: item.inhibits === null ? null : whole(item, "inhibits"),
      // Captures of earlier versions have no names of the mask.
      names: item.names === undefined || item.names === null ? null : strings(item, "names"),
      tid: whole(item, "tid"),
      at: number(item, "at"),
    })),
    registrations: list("registrations", (item, at) => ({
      side: side(item, at),
      eventfdId: whole(item, "eventfdId"),
      hostIrq: item.hostIrq === null ? null : whole(item, "hostIrq"),
      result: whole(item, "result", -4095),
    })),
    gaLog: whole(facts, "gaLog"),
    lost: whole(facts, "lost"),
    notes: strings(facts, "notes"),
  };
}

function side(fields: Fields, at: string): "producer" | "consumer" {
  if (fields.side === "producer" || fields.side === "consumer") return fields.side;
  throw new FormatError(`${at}.side is neither producer nor consumer`);
}
