/** What a manager looks its ends up in: from a key to the reference of a record, never 0. Under the host mutex. */
export interface Index {
  /** The record under `key`, or 0. */
  load(key: number): number;
  /** Stores `record` if nothing is there; returns what is there otherwise, and 0 on success. */
  insert(key: number, record: number): number;
  /** Takes the record under `key` out; returns it, or 0. */
  erase(key: number): number;
  /** Stores without looking, for setting up: a list of a million would otherwise take its square. */
  fill(key: number, record: number): void;
}
