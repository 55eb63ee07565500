// A v86 machine whose interrupts are posted to it by devices in any thread. To be copied: it needs the npm package "v86" as it is
// published, with its v86.wasm, and irqbypass.

// The local APIC's registers, SDM volume 3, "Local APIC": the interrupt command register and the first word of the IRR.
const ICR = 0xfee00300;
const IRR = 0xfee00200;
const SELF = 1 << 18;
/** What the check sends; any vector that a guest may have. */
const PROBE = 0x51;
/** Vectors below are the CPU's exceptions: an APIC takes none of them. */
const FIRST_VECTOR = 16;
/** What the adapter uses of v86.wasm and of what it imports; other versions of v86 may not have them. */
const EXPORTS = ["main_loop", "write32", "read32s", "device_raise_irq", "device_lower_irq"];
const IMPORTS = ["run_hardware_timers", "stop_idling"];

/** As small as v86 takes it: for the check alone. */
const CHECKED = {
  memory_size: 1 << 24,
  vga_memory_size: 1 << 20,
  ...Object.fromEntries(["keyboard", "mouse", "speaker"].map((name) => [`disable_${name}`, true])),
};

/**
 * Makes a machine, not started yet, that takes its interrupts from `vcpu`: it belongs to this thread, and to a VM made with
 * `apic: false`, since v86 brings an interrupt controller. The thread returns to its event loop by itself, as v86 has it; while
 * the guest is halted, a post ends the sleep. A machine that runs keeps the loop alive, one that is stopped does not, and leaves the
 * vCPU to others until it runs again. At the end: `await machine.destroy()`, then `vcpu.put()`.
 *
 * - `V86`: the class that the package "v86" exports; `wasm`: the bytes of its v86.wasm, or the compiled module.
 * - `options`: v86's own, but for `wasm_fn` and `autostart`. The local APIC is there with `acpi: true` alone, so that is set.
 * - `lines`: vectors that raise an interrupt line of the machine instead of going to its local APIC, as { 0x24: 4 }. Such a
 *   line is an edge: it goes down before it goes up again.
 *
 * Rejects, before any guest has run, where this v86 lacks what is needed or does not do what is expected of it.
 */
export async function createMachine({ V86, wasm, vcpu, options = {}, lines = {} }) {
  for (const name of ["wasm_fn", "autostart"])
    if (name in options) throw new Error(`v86's option ${name} belongs to the adapter: leave it out`);
  if (options.acpi === false) throw new Error("v86 has no local APIC with acpi: false: leave it out");
  checkVcpu(vcpu);
  const module = wasm instanceof WebAssembly.Module ? wasm : await WebAssembly.compile(wasm);
  await checkSelfIpi(V86, module);
  const { machine } = await boot(V86, module, options, (exports, imports) => ({
    awake: () => vcpu.disarm(),
    deliver: delivery(vcpu, exports, lines),
    // Without a reference: v86's own timer keeps the loop alive, for as long as the machine runs.
    idle: () => vcpu.arm(imports.stop_idling, { ref: false }) || takeKick(vcpu),
  }));
  machine.add_listener("emulator-stopped", () => disarm(vcpu));
  return machine;
}

/** A VM with local APICs keeps what is posted for them: the guest would run, and see no interrupt. */
function checkVcpu(vcpu) {
  if (vcpu?.toJSON?.().apic !== false)
    throw new Error(
      "v86 brings an interrupt controller: pass a vCPU as Vcpu.open gives it, of a VM made with apic: false",
    );
}

/** The machine has stopped: it waits for nothing any more. */
function disarm(vcpu) {
  try {
    vcpu.disarm();
  } catch (error) {
    if (error.code !== "EBADF") throw error; // it was put before the machine had stopped, and is not armed then
  }
}

/** A kick ends one sleep, and means nothing else here; what is posted stays for the next slice. */
function takeKick(vcpu) {
  vcpu.wait({ timeoutMs: 0 });
  return false;
}

/** Takes what is posted to v86's interrupt controller. One load where nothing is. */
function delivery(vcpu, { write32, device_lower_irq, device_raise_irq }, lines) {
  const lineOf = new Map(Object.entries(lines).map(([vector, line]) => [Number(vector), line]));
  const posted = new Uint32Array(8);
  const raise = (vector) => {
    const line = lineOf.get(vector);
    if (line !== undefined) {
      device_lower_irq(line);
      device_raise_irq(line);
    } else if (vector >= FIRST_VECTOR) write32(ICR | 0, SELF | vector);
  };
  return () => {
    if (!vcpu.pending()) return;
    vcpu.take(posted.fill(0));
    for (const [word, bits] of posted.entries())
      for (let left = bits; left !== 0; left &= left - 1) raise(32 * word + 31 - Math.clz32(left & -left));
  };
}

/**
 * Makes a machine and what it calls of the adapter: `awake` before v86 runs a slice of the guest, `deliver` within, each time
 * before v86 looks for interrupts, and `idle` when a halted guest has let it return: false if it may not sleep.
 */
function boot(V86, module, options, hooksOf) {
  return new Promise((resolve, reject) => {
    const load = async ({ env, ...others }) => {
      needs("imports", env, IMPORTS);
      let hooks;
      const run_hardware_timers = (...args) => {
        const milliseconds = env.run_hardware_timers(...args);
        hooks.deliver();
        return milliseconds;
      };
      const imports = { ...others, env: { ...env, run_hardware_timers } };
      const { exports } = await WebAssembly.instantiate(module, imports);
      needs("exports", exports, EXPORTS);
      hooks = hooksOf(exports, env);
      const main_loop = () => {
        hooks.awake();
        const milliseconds = exports.main_loop();
        return milliseconds > 0 && hooks.idle() ? milliseconds : 0;
      };
      machine.add_listener("emulator-ready", () => resolve({ machine, exports }));
      return { ...exports, main_loop };
    };
    // v86 hears of no failure: what fails here is the caller's to know, and v86 waits for ever.
    const wasm_fn = (imports) => load(imports).catch((error) => new Promise(() => reject(error)));
    const machine = new V86({ ...options, acpi: true, autostart: false, wasm_fn });
  });
}

function needs(kind, there, names) {
  const missing = names.filter((name) => typeof there[name] !== "function");
  if (missing.length > 0)
    throw new Error(`this v86 has no ${missing.join(", ")} among its ${kind}: take another version of it`);
}

/** Sends an IPI to itself in a machine that is thrown away, since v86 does not reset its APIC: it must set its bit, and no other. */
async function checkSelfIpi(V86, module) {
  const { machine, exports } = await boot(V86, module, CHECKED, () => undefined);
  const irr = () => Array.from({ length: 8 }, (_, word) => exports.read32s((IRR + 16 * word) | 0));
  const before = irr();
  exports.write32(ICR | 0, SELF | PROBE);
  const changed = irr().map((bits, word) => bits ^ before[word]);
  await machine.destroy();
  if (changed.some((bits, word) => bits !== (word === PROBE >> 5 ? 1 << (PROBE & 31) : 0)))
    throw new Error(
      `an IPI to itself did not set its bit in this v86's IRR alone (${changed}): take another version of it`,
    );
}
