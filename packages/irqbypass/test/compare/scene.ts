/** How the VM of a scene is made. */
export interface Scene {
  /** The x2APIC ids of its vCPUs. */
  readonly ids: readonly number[];
  readonly longIds: boolean;
  readonly broadcastQuirk: boolean;
  /** It has a pair of 8259s, and the state of all chips is compared. */
  readonly chips: boolean;
}

export const hex = (value: number | bigint) =>
  `0x${(typeof value === "number" ? value >>> 0 : value).toString(16)}`;
