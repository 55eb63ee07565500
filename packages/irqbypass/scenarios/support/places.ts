import { DeviceFlag, Header, Msix, POOLS, type PoolName, Vcpu } from "#src/host/layout.js";
import type { Pool } from "#src/host/pool.js";
import {
  DESCRIPTOR_FIELDS,
  type Fields,
  HEADER_FIELDS,
  MSIX_FIELDS,
  RECORD_FIELDS,
  type WordClass,
} from "#src/host/word-classes.js";
import type { Host } from "#src/vm/host.js";

/** What a word of a host is. */
export interface Place {
  readonly pool: PoolName | "header" | "pending";
  readonly record: number;
  /** The field of the layout that it is in or part of; undefined where that has none there. */
  readonly field: string | undefined;
  readonly name: string;
  readonly wordClass: WordClass | undefined;
}

/** What each word of a host is. */
export class Places {
  private readonly places: (Place | undefined)[] = [];
  /** Of the records of MSI-X tables, which are of the pool of devices. */
  private readonly tables: (Place | undefined)[] = [];

  constructor(
    private readonly host: Host,
    private readonly view: Int32Array,
  ) {}

  at(word: number): Place {
    this.places[word] ??= this.find(word);
    const place = this.places[word]!;
    if (place.pool !== "device" || !this.isTable(place.record)) return place;
    this.tables[word] ??= this.inTable(word, place);
    return this.tables[word]!;
  }

  private isTable(record: number): boolean {
    const head = this.view[record + Msix.head]!;
    return head !== 0 && (this.view[head + Msix.flags]! & DeviceFlag.table) !== 0;
  }

  private inTable(word: number, { pool, record }: Place): Place {
    const slot = this.host.pools.device.slot(record);
    return { pool, record, ...fieldAt(MSIX_FIELDS, word - record, `msix ${slot} `) };
  }

  private find(word: number): Place {
    if (word < Header.words) return { pool: "header", record: 0, ...fieldAt(HEADER_FIELDS, word, "") };
    for (const { name: pool } of POOLS) {
      const { base, stride, capacity } = this.host.pools[pool] as Pool;
      if (word < base || word >= base + stride * capacity) continue;
      const slot = Math.floor((word - base) / stride);
      const record = base + slot * stride;
      const at = word - record;
      const inside = pool === "vcpu" && at >= Vcpu.descriptor && at < Vcpu.irr;
      const field = inside
        ? fieldAt(DESCRIPTOR_FIELDS, at - Vcpu.descriptor, `vcpu ${slot} `)
        : fieldAt(RECORD_FIELDS[pool], at, `${pool} ${slot} `);
      return { pool, record, ...field };
    }
    const { base, stride, capacity } = this.host.pools.node;
    return {
      pool: "pending",
      record: 0,
      field: "bits",
      name: `pending[${word - base - stride * capacity}]`,
      wordClass: "A",
    };
  }
}

function fieldAt(fields: Fields, at: number, prefix: string): Pick<Place, "field" | "name" | "wordClass"> {
  for (const [field, [start, wordClass, words = 1]] of Object.entries(fields)) {
    if (at < start || at >= start + words) continue;
    return {
      field,
      name: prefix + (words > 2 ? `${field}[${at - start}]` : field + (at > start ? "+1" : "")),
      wordClass,
    };
  }
  return { field: undefined, name: `${prefix}+${at}`, wordClass: undefined };
}
