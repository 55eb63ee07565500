import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { test } from "node:test";

/**
 * The real tracing file system. Where none is mounted, each child gets one in a mount namespace of its own, which
 * goes away with it; the host's mounts stay as they are.
 */
const mounted = existsSync("/sys/kernel/tracing/instances");
const UNSHARE = [
  "unshare",
  "--mount",
  "sh",
  "-c",
  'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"',
  "sh",
];

function command(program: readonly string[]): string[] {
  return mounted ? [...program] : [...UNSHARE, ...program];
}

function noTracing(): string | false {
  if (process.platform !== "linux") return "tracepoints are Linux's";
  if (process.getuid?.() !== 0) return "following tracepoints needs root";
  const [program, ...args] = command(["test", "-d", "/sys/kernel/tracing/events/kvm"]);
  const { status, stderr } = spawnSync(program!, args, { encoding: "utf8" });
  return status === 0 ? false : `no tracepoints of KVM here: ${stderr?.trim() || `status ${status}`}`;
}
const skip = noTracing();

const PREFIX = "irqbypass-doctor-";
/** Processes of this test: a doctor of somebody else may trace beside it, and takes away what killed ones left. */
const own = new Set<number>();

const module = (name: string) => JSON.stringify(import.meta.resolve(`#src/${name}.js`));

/** Runs `body` as a module in a process that sees the tracing file system; `trace` and `instances` are at hand. */
function run(body: string): ChildProcess {
  const script = `
    import { readdirSync } from "node:fs";
    import { followTrace, processTraceIo } from ${module("trace/trace")};
    const instances = () => readdirSync("/sys/kernel/tracing/instances").filter((name) => name.startsWith(${JSON.stringify(PREFIX)}));
    const trace = (options) => followTrace({ seconds: 0.3, ...options }, processTraceIo("/"));
    ${body}`;
  const [program, ...args] = command([process.execPath, "--input-type=module", "-e", script]);
  const child = spawn(program!, args, { stdio: ["ignore", "pipe", "pipe"] });
  own.add(child.pid!);
  return child;
}

async function result(child: ChildProcess): Promise<{ out: string; err: string; code: number | null }> {
  let out = "";
  let err = "";
  child.stdout!.on("data", (data) => {
    out += data;
  });
  child.stderr!.on("data", (data) => {
    err += data;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { out, err, code };
}

/** What instances of this test's processes the kernel has left. */
async function left(): Promise<string[]> {
  const { out, err } = await result(run("console.log(JSON.stringify(instances()))"));
  assert.equal(err, "");
  return (JSON.parse(out) as string[]).filter((name) => own.has(Number(name.slice(PREFIX.length))));
}

/** One test at a time: the instances are the whole kernel's. */
test("the real tracing file system", { skip }, async (t) => {
  await t.test("MSIs that software injects are seen, and the instance goes", async () => {
    const { out, err } = await result(
      run(`
        import koffi from ${JSON.stringify(import.meta.resolve("koffi"))};
        import { openSync } from "node:fs";
        const ioctl = koffi.load(null).func("ioctl", "int", ["int", "unsigned long", "void *"]);
        const number = koffi.load(null).func("ioctl", "int", ["int", "unsigned long", "unsigned long"]);
        const [KVM_CREATE_VM, KVM_CREATE_IRQCHIP, KVM_CREATE_VCPU, KVM_SIGNAL_MSI] = [0xae01, 0xae60, 0xae41, 0x4020aea5];
        let during = [];
        const facts = await trace({ started() {
          during = instances();
          let vm;
          try { vm = number(openSync("/dev/kvm", "r+"), KVM_CREATE_VM, 0); } catch { return; }
          if (number(vm, KVM_CREATE_IRQCHIP, 0) < 0 || number(vm, KVM_CREATE_VCPU, 0) < 0) return;
          const msi = Buffer.alloc(32);
          msi.writeUInt32LE(0xfee00000, 0);
          msi.writeUInt32LE(0x31, 8);
          for (let i = 0; i < 7; i += 1) ioctl(vm, KVM_SIGNAL_MSI, msi);
        } });
        const after = instances();
        console.log(JSON.stringify({ pid: process.pid, during, after, facts, kvm: readdirSync("/dev").includes("kvm") }));`),
    );
    assert.equal(err, "");
    const { pid, during, after, facts, kvm } = JSON.parse(out);
    assert.ok(during.includes(`${PREFIX}${pid}`));
    assert.ok(!after.includes(`${PREFIX}${pid}`));
    assert.ok(facts.followed.includes("kvm:kvm_pi_irte_update"));
    assert.ok(facts.followed.includes("irq:irq_handler_entry"));
    assert.match(facts.generation, /\d/);
    assert.ok(!facts.notes.some((note: string) => /filtered|not known/.test(note)), facts.notes.join());
    if (kvm && process.arch === "x64") assert.ok(facts.injections >= 7, `${facts.injections} injections`);
    assert.ok(facts.posting.every((change: { at: number }) => change.at >= 0 && change.at < 60));
  });

  await t.test("a process that ends in the middle leaves nothing", async () => {
    for (const end of ["process.exit(3)", "throw new Error('broken')", "setTimeout(() => { throw 1 }, 20)"]) {
      const { code } = await result(run(`await trace({ seconds: 60, started() { ${end} } });`));
      assert.notEqual(code, 0, end);
      assert.deepEqual(await left(), [], end);
    }
  });

  await t.test(
    "Ctrl-C, a request to end and a lost terminal leave nothing, and say so by their codes",
    async () => {
      for (const [signal, expected] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const)) {
        const child = run(`
        const { doctorCommand } = await import(${JSON.stringify(import.meta.resolve("#src/cli/command.js"))});
        await doctorCommand().parseAsync(["--trace", "60"], { from: "user" });`);
        const ended = result(child);
        await once(child.stderr!, "data");
        child.kill(signal as NodeJS.Signals);
        const { code, err } = await ended;
        assert.equal(code, expected, err);
        assert.match(err, /interrupted before the trace was over/);
        assert.deepEqual(await left(), []);
      }
    },
  );

  await t.test("a VM that is started while the trace runs is in the report", async () => {
    const { out, err, code } = await result(
      run(`
        import { accessSync } from "node:fs";
        const { doctorCommand } = await import(${JSON.stringify(import.meta.resolve("#src/cli/command.js"))});
        const { openStormKernel } = await import(${module("storm/kernel")});
        let kernel;
        try { accessSync("/dev/kvm"); kernel = await openStormKernel(); } catch {}
        setTimeout(() => kernel?.createVm(), 300);
        await doctorCommand().parseAsync(["--trace", "1.5", "--interval", "0.5", "--json"], { from: "user" });
        console.error(kernel === undefined ? "no KVM" : "own " + process.pid);`),
    );
    assert.ok(code === 0 || code === 1 || code === 2, err);
    const report = JSON.parse(out);
    assert.ok(report.measured.traced >= 1.5);
    assert.ok(report.measured.seconds > 0 && report.measured.seconds < report.measured.traced); // how late it starts is no fault
    const vmm = /own (\d+)/.exec(err)?.[1];
    if (vmm !== undefined) assert.ok(report.vms.some((vm: { pid: number }) => vm.pid === Number(vmm)));
    assert.deepEqual(await left(), []);
  });

  await t.test("doctors that begin and end beside each other do not meet", async () => {
    const beside = Array.from({ length: 4 }, () =>
      result(run("for (let i = 0; i < 5; i += 1) await trace({ seconds: 0.01 });")),
    );
    for (const { err, code } of await Promise.all(beside)) assert.equal(code, 0, err);
    assert.deepEqual(await left(), []);
  });

  await t.test("what a killed one leaves goes with the next, and one that runs stays", async () => {
    const waiting = 'await trace({ seconds: 60, started: () => console.log("started") });';
    const [killed, living] = [run(waiting), run(waiting)];
    const ends = [result(killed), result(living)];
    try {
      // One that ends before it starts says so, and does not leave this waiting.
      const started = (child: typeof killed, end: Promise<unknown>) =>
        Promise.race([
          once(child.stdout!, "data"),
          end.then((told) => assert.fail(`ended: ${JSON.stringify(told)}`)),
        ]);
      await Promise.all([started(killed, ends[0]!), started(living, ends[1]!)]);
      killed.kill("SIGKILL");
      await ends[0];
      const { err } = await result(run("await trace({})"));
      assert.equal(err, "");
      assert.deepEqual(await left(), [`${PREFIX}${living.pid}`]);
    } finally {
      killed.kill("SIGKILL");
      living.kill("SIGKILL");
      await Promise.all(ends);
      await result(run("await trace({ seconds: 0.01 })"));
    }
    assert.deepEqual(await left(), []);
  });
});
