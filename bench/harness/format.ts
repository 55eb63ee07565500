/** Figures as people read them. */
import type { Unit } from "./suite.js";

/** Three digits of a value in its unit: `48.1 ns`, `1.2 ms`, `3.4 M/s`, `8.5 bytes`. */
export function quantity(value: number, unit: Unit): string {
  if (unit === "ns") {
    for (const [size, name] of [
      [1, "ns"],
      [1e3, "us"],
      [1e6, "ms"],
    ] as const) {
      if (Math.abs(value) < 999.5 * size) return `${digits(value / size)} ${name}`;
    }
    return `${digits(value / 1e9)} s`;
  }
  if (unit === "per second") return `${scaled(value)}/s`;
  if (unit === "bytes")
    return value >= 1024 * 1024 ? `${digits(value / 1024 / 1024)} MiB` : `${digits(value)} B`;
  return digits(value);
}

/** `1.00x`, `14.2x`, `1,230x`. */
export function times(ratio: number): string {
  return `${digits(ratio, 2)}x`;
}

function scaled(value: number): string {
  if (value >= 1e6) return `${digits(value / 1e6)} M`;
  if (value >= 1e3) return `${digits(value / 1e3)} k`;
  return digits(value);
}

function digits(value: number, most = 1): string {
  if (!Number.isFinite(value)) return "-";
  const decimals = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? Math.min(1, most) : most;
  const text = value.toFixed(decimals);
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US") : text;
}
