/**
 * The `format` file of a tracepoint: which fields an event has and how its text is made, on this kernel. Pure.
 */
import { FormatError } from "../source/error.js";

/** What a `format` file says. */
export interface EventFormat {
  /** Without the system: "kvm_pi_irte_update". */
  readonly name: string;
  /** The event's own fields in their order, without the common ones. */
  readonly fields: readonly string[];
  /** The format string of its text, without the quotes, and the arguments after it. */
  readonly text: string;
  readonly args: string;
}

/**
 * Parses a `format` file (kernel: f_show in trace_events.c).
 * @throws FormatError where a name, the fields or the print format are missing.
 */
export function parseEventFormat(file: string): EventFormat {
  const name = /^name: (\w+)$/m.exec(file)?.[1];
  if (name === undefined) throw new FormatError('no line "name: EVENT"');
  const print = /^print fmt: "((?:[^"\\]|\\.)*)"(.*)$/m.exec(file);
  if (print === null) throw new FormatError('no line "print fmt:" with a quoted text');
  const fields: string[] = [];
  for (const line of file.split("\n")) {
    const declaration = /^\s+field:([^;]+);\s*offset:\d+;\s*size:\d+;/.exec(line)?.[1];
    // "unsigned int gsi", "__data_loc char[] name", "char comm[16]"
    const field = declaration === undefined ? undefined : /(\w+)(?:\[\w*\])?$/.exec(declaration.trim())?.[1];
    if (field !== undefined && !field.startsWith("common_")) fields.push(field);
  }
  if (fields.length === 0) throw new FormatError("no line with a field of its own");
  return { name, fields, text: print[1]!, args: print[2]! };
}
