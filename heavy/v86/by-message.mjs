// A v86 machine as it is wired without irqbypass: the device's worker sends a message, and the machine's thread raises it.
const [ICR, SELF] = [0xfee00300, 1 << 18];

/** As the adapter's `createMachine`, but for who raises its interrupts: `raise(vector)`, for whoever gets the messages. */
export function machineByMessage() {
  let exports;
  let wake;
  return {
    raise(vector, line) {
      if (line === undefined) exports.write32(ICR | 0, SELF | vector);
      else {
        exports.device_lower_irq(line);
        exports.device_raise_irq(line);
      }
      wake();
    },
    async create({ V86, wasm, options }) {
      const wasm_fn = async (imports) => {
        wake = imports.env.stop_idling;
        ({ exports } = (await WebAssembly.instantiate(wasm, imports)).instance);
        return exports;
      };
      const machine = new V86({ ...options, acpi: true, autostart: false, wasm_fn });
      await new Promise((resolve) => machine.add_listener("emulator-ready", resolve));
      return machine;
    },
  };
}
