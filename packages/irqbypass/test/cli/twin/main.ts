/**
 * The command in surroundings that a test chooses by the environment: devices that lose interrupts (LOSE_EVERY),
 * another path of /dev/kvm (KVM_PATH), a main thread that throws after a while (THROW_AFTER_MS).
 */
import { execute } from "#src/cli/program.js";
import { machineBuilder } from "#src/cli/run/build.js";

const { LOSE_EVERY, KVM_PATH, THROW_AFTER_MS } = process.env;
if (THROW_AFTER_MS !== undefined) {
  setTimeout(() => {
    throw new Error("thrown on the main thread");
  }, Number(THROW_AFTER_MS));
}
process.exitCode = await execute(
  process.argv.slice(2),
  machineBuilder({
    ...(LOSE_EVERY === undefined ? {} : { deviceWorker: new URL("./lossy-worker.js", import.meta.url) }),
    ...(KVM_PATH === undefined ? {} : { kvmPath: KVM_PATH }),
  }),
);
