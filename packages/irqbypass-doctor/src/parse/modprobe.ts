/**
 * Files of /etc/modprobe.d: what modules are given when they are loaded.
 */

export interface ModuleOption {
  /** With `_`, as under /sys/module. */
  readonly module: string;
  readonly parameter: string;
  readonly value: string;
}

/** The `options` lines; lines of other kinds are left aside. Never fails. */
export function parseModprobe(text: string): readonly ModuleOption[] {
  return text
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .flatMap((line) => {
      const [command, module, ...words] = line.trim().split(/\s+/);
      if (command !== "options" || module === undefined) return [];
      return words.map((word) => {
        const equals = word.indexOf("=");
        const parameter = (equals < 0 ? word : word.slice(0, equals)).replaceAll("-", "_");
        const value = equals < 0 ? "1" : word.slice(equals + 1);
        return { module: module.replaceAll("-", "_"), parameter, value };
      });
    });
}
