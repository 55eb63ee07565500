/** The example of a kernel in workers runs in Node: every packet goes through both CPUs, by interrupts alone. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { whyNoClang } from "../file/clang.js";

const main = fileURLToPath(new URL("../../../examples/wasm-smp/main.mjs", import.meta.url));

interface Cpu {
  readonly ticks: number;
  readonly packets: number;
  readonly ipis: number;
  readonly slept: number;
}

it("wasm-smp hands each packet of its device from CPU 0 to CPU 1, and both sleep in between", {
  skip: whyNoClang() ?? false,
}, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "5000"], {
    encoding: "utf8",
    timeout: 120_000,
  });
  assert.equal(status, 0, stderr);
  const { sent, done, cpus } = JSON.parse(stdout) as { sent: number; done: number; cpus: Cpu[] };
  assert.deepEqual([sent, done, cpus.length], [5000, 5000, 2]);
  for (const { ticks, packets, ipis, slept } of cpus) {
    assert.equal(packets, 5000);
    assert.ok(ticks > 0 && ipis > 0 && slept > 0, stdout);
  }
});
