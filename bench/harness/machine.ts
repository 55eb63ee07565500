import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import type { Machine } from "./report.js";

/** The machine that the figures come from. */
export function describeMachine(): Machine {
  return {
    processor: processor(),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    virtual: / hypervisor\b/.test(read("/proc/cpuinfo")),
    system: `${type()} ${release()}`,
    node: `${process.version} (V8 ${process.versions.v8})`,
    cc: compiler(),
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** Some virtual machines hide the model's name; then family and model say what it is. */
function processor(): string {
  const info = read("/proc/cpuinfo");
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(info)?.[1];
  const model = cpus()[0]?.model ?? "unknown";
  if (model !== "unknown" && model !== "") return model;
  return `${field("vendor_id") ?? "unknown"} family ${field("cpu family") ?? "?"} model ${field("model") ?? "?"}`;
}

function compiler(): string | null {
  const { status, stdout } = spawnSync("cc", ["--version"], { encoding: "utf8" });
  return status === 0 ? (stdout.split("\n")[0] ?? "cc") : null;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
