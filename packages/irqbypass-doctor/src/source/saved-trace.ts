/**
 * `trace.json` of a saved tree: what following the tracepoints showed, as it was joined on the host.
 */
import { FormatError } from "./error.js";
import { boolean, type Fields, json, number, object, string, strings } from "./fields.js";
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
      hostIrq: item.hostIrq === null ? null : number(item, "hostIrq"),
      set: boolean(item, "set"),
      vcpu: number(item, "vcpu"),
      gsi: number(item, "gsi"),
      guestVector: number(item, "guestVector"),
      at: number(item, "at"),
    })),
    handled: list("handled", (item) => ({
      irq: number(item, "irq"),
      name: string(item, "name"),
      count: number(item, "count"),
      sinceChange: number(item, "sinceChange"),
    })),
    injections: number(facts, "injections"),
    inhibits: list("inhibits", (item) => ({
      set: boolean(item, "set"),
      reason: number(item, "reason"),
      name: string(item, "name"),
      inhibits: item.inhibits === null ? null : number(item, "inhibits"),
      // Captures of earlier versions have no names of the mask.
      names: item.names === undefined || item.names === null ? null : strings(item, "names"),
      tid: number(item, "tid"),
      at: number(item, "at"),
    })),
    registrations: list("registrations", (item, at) => ({
      side: side(item, at),
      eventfdId: number(item, "eventfdId"),
      hostIrq: item.hostIrq === null ? null : number(item, "hostIrq"),
      result: number(item, "result"),
    })),
    gaLog: number(facts, "gaLog"),
    lost: number(facts, "lost"),
    notes: strings(facts, "notes"),
  };
}

function side(fields: Fields, at: string): "producer" | "consumer" {
  if (fields.side === "producer" || fields.side === "consumer") return fields.side;
  throw new FormatError(`${at}.side is neither producer nor consumer`);
}
