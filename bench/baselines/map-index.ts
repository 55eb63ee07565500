import type { Index } from "./index.js";

/** A `Map`: what one would take if only one thread used the manager, since no other can see it. */
export class MapIndex implements Index {
  private readonly map = new Map<number, number>();

  load(key: number): number {
    return this.map.get(key) ?? 0;
  }

  insert(key: number, record: number): number {
    const present = this.map.get(key);
    if (present !== undefined) return present;
    this.map.set(key, record);
    return 0;
  }

  erase(key: number): number {
    const record = this.load(key);
    this.map.delete(key);
    return record;
  }

  fill(key: number, record: number): void {
    this.map.set(key, record);
  }
}
