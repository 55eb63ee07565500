import type { Attached } from "./beside-work.js";

/** What a VMM does to the interrupt of a device. */
export type DeviceAct =
  | { readonly assign: boolean; readonly gsi: number }
  /** The route of a GSI; none without a vector. */
  | { readonly gsi: number; readonly vector: number | undefined }
  /** The host's switch. */
  | { readonly bypass: boolean };

/** A guest with one eventfd, which a device in another thread signals. */
export interface DeviceSide extends Disposable {
  readonly attached: Attached;
  readonly target: number;
  act(act: DeviceAct): void;
  /** What has come of the signals since the last call, taken out of where it is; `dropped` is undefined where nobody sees that. */
  take(): {
    readonly vectors: readonly number[];
    readonly count: bigint;
    readonly dropped: number | undefined;
  };
}
