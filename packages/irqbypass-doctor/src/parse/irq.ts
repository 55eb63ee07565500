/**
 * /sys/kernel/irq/N/: one value a file. Unlike /proc/interrupts it counts offline CPUs too, and a newline in an
 * action's name shifts nothing.
 */
import { FormatError } from "../source/error.js";
import { type Reading, readAs, type Source } from "../source/source.js";
import { type Growth, grew } from "./interrupts.js";

export interface IrqFiles {
  readonly chip: Reading<string>;
  readonly actions: Reading<string>;
  readonly perCpu: Reading<readonly number[]>;
}

/** Reads what is needed of /sys/kernel/irq/`irq`. */
export function readIrq(source: Source, irq: number): IrqFiles {
  const dir = `sys/kernel/irq/${irq}`;
  return {
    chip: readAs(source, `${dir}/chip_name`, (text) => text.trim()),
    actions: readAs(source, `${dir}/actions`, (text) => text.trim()),
    perCpu: readPerCpu(source, irq),
  };
}

/** Counts of one interrupt, an entry for each possible CPU. */
export function readPerCpu(source: Source, irq: number): Reading<readonly number[]> {
  return readAs(source, `sys/kernel/irq/${irq}/per_cpu_count`, parsePerCpu);
}

/** @throws FormatError if it is not a row of 32-bit numbers with commas. */
export function parsePerCpu(text: string): readonly number[] {
  const words = text.trim().split(",");
  if (!words.every((word) => /^\d{1,10}$/.test(word) && Number(word) < 2 ** 32))
    throw new FormatError("not a row of 32-bit numbers with commas");
  return words.map(Number);
}

/** How often it fired between two samples of `per_cpu_count`. */
export function grewPerCpu(first: readonly number[], second: readonly number[]): Growth {
  return grew(second.map((now, cpu) => [first[cpu], now]));
}
