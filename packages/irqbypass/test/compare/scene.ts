/** How the VM of a scene is made. */
export interface Scene {
  /** The x2APIC ids of its vCPUs. */
  readonly ids: readonly number[];
  readonly longIds: boolean;
  readonly broadcastQuirk: boolean;
}

export const hex = (value: number | bigint) =>
  `0x${(typeof value === "number" ? value >>> 0 : value).toString(16)}`;
