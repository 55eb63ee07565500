/**
 * Fields of a JSON text that is not trusted: each is checked as it is taken. @throws FormatError naming the field.
 */
import { FormatError } from "./error.js";

export type Fields = Readonly<Record<string, unknown>>;

export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new FormatError("is not JSON");
  }
}

export function object(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FormatError(`${what} is not an object`);
  return value as Fields;
}

export function number(fields: Fields, name: string): number {
  const value = fields[name];
  // JSON has no infinity, but numbers that are read as one.
  if (typeof value !== "number" || !Number.isFinite(value)) throw new FormatError(`${name} is not a number`);
  return value;
}

/** A whole number, from `least` on. */
export function whole(fields: Fields, name: string, least = 0): number {
  const value = number(fields, name);
  if (!Number.isSafeInteger(value) || value < least)
    throw new FormatError(`${name} is no whole number of at least ${least}`);
  return value;
}

export function string(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new FormatError(`${name} is not a text`);
  return value;
}

export function strings(fields: Fields, name: string): string[] {
  const value = fields[name];
  if (!Array.isArray(value) || !value.every((one) => typeof one === "string"))
    throw new FormatError(`${name} is no list of texts`);
  return value;
}

export function boolean(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== "boolean") throw new FormatError(`${name} is neither true nor false`);
  return value;
}
