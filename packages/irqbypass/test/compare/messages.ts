/** Messages of devices: every field of both words, also what makes no sense. */
import fc from "fast-check";
import { hex, type Scene } from "./scene.js";
import type { Step } from "./step.js";

/** Destinations that reach somebody more often than chance would. */
export function destination({ ids }: Scene): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...ids.map((id) => id & 0xff)) },
    { weight: 4, arbitrary: fc.nat(15) },
    { weight: 3, arbitrary: fc.constantFrom(0x11, 0x12, 0x13, 0x1f, 0x21, 0x0f, 0xf1) },
    { weight: 3, arbitrary: fc.constant(0xff) },
    { weight: 1, arbitrary: fc.nat(255) },
  );
}

/** Few, so that they meet; below 16 and 32, too. */
export const vector = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0x40, 0x41, 0x42, 0x43, 0x51, 0x9f) },
  { weight: 1, arbitrary: fc.nat(255) },
);

const modes = [0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7];
export const mode = fc.constantFrom(...modes);

function high({ ids, longIds }: Scene): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: longIds ? 3 : 1, arbitrary: fc.constantFrom(...ids.map((id) => id & ~0xff)) },
    { weight: 1, arbitrary: fc.constantFrom(0xffffff00, 0x00010000, 0x00100000) },
    { weight: 1, arbitrary: fc.nat(0xffffffff) },
  );
}

/** The words of a message. */
export function msiWords(scene: Scene): fc.Arbitrary<{ address: number; addressHigh: number; data: number }> {
  return fc
    .record({
      destination: destination(scene),
      logical: fc.boolean(),
      redirected: fc.constantFrom(false, false, true),
      addressHigh: high(scene),
      vector,
      mode,
      level: fc.constantFrom(false, false, false, true),
      noise: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(0xffffffff)),
    })
    .map(({ noise, ...m }) => ({
      // Nobody looks at the rest of the bits.
      address:
        ((0xfee00000 ^ (noise & 0xfff00ff3)) |
          (m.destination << 12) |
          (m.redirected ? 8 : 0) |
          (m.logical ? 4 : 0)) >>>
        0,
      addressHigh: m.addressHigh >>> 0,
      data: ((noise & 0xffff7800) | (m.level ? 0x8000 : 0) | (m.mode << 8) | m.vector) >>> 0,
    }));
}

export function messages(scene: Scene): fc.Arbitrary<Step> {
  return msiWords(scene).map(({ address, addressHigh, data }) => ({
    name: `message ${hex(addressHigh)}:${hex(address)} / ${hex(data)}`,
    kernel: (side) => side.signal({ addressLow: address, addressHigh, data }),
    software: (side) => side.outcome(() => side.vm.signalMsi({ address, addressHigh, data })),
  }));
}
