// A process that has no descriptors for the relay's thread: nothing dies of it, the irqfd says so, and it starts once there are some.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Host, IrqBypassError } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";

const run = promisify(execFile);

interface Seen {
  readonly refused?: string;
  readonly meanwhile?: string;
  readonly waiting: number;
  readonly came: string;
  readonly findings: number;
}

/** With 256 descriptors in all, of which so many are free when the relay is first needed. */
async function short(kind: string, free: number): Promise<Seen> {
  const module = fileURLToPath(new URL("./short.js", import.meta.url));
  const command = `ulimit -n 256; exec "$0" "$@"`;
  const { stdout } = await run("bash", ["-c", command, process.execPath, module, String(free), kind]);
  return JSON.parse(stdout) as Seen;
}

/** Why no Linux calls can be made here, or false. */
function cannotCall(): string | false {
  try {
    const host = Host.create({ kinds: [linux()] });
    LinuxEventfd.create(host).close();
    host.dispose();
    return false;
  } catch (error) {
    if (error instanceof IrqBypassError) return error.message;
    throw error;
  }
}

describe("a process that is short of descriptors", { skip: cannotCall() }, () => {
  for (const kind of ["shared", "linux"]) {
    // Each number of free ones stops Node at another step of the start, and at which differs from version to version.
    for (const free of kind === "shared" ? [0, 3, 4, 5, 6, 7, 8, 10, 12] : [1, 3, 4, 5, 6, 7, 8, 10, 12]) {
      it(`${kind}: ${free} are free when the relay is first needed`, async () => {
        const { refused, meanwhile, waiting, came, findings } = await short(kind, free);
        assert.deepEqual([came, findings], ["interrupt", 0]);
        if (refused !== undefined) {
          assert.equal(refused, "EMFILE");
          return;
        }
        // How many a thread takes to start is Node's business; that it says so is not.
        const starts = meanwhile === "no-producer";
        if (!starts) assert.deepEqual([meanwhile, waiting], ["relay-not-running", 1]);
        if (free <= 3) assert.ok(!starts, "a worker takes more than three");
      });
    }
  }
});
