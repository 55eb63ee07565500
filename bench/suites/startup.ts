import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Prepare, Suite } from "../harness/suite.js";

const module = fileURLToPath(new URL("../threads/startup.js", import.meta.url));

function starts(...parts: string[]): Prepare {
  return () => () => {
    const text = execFileSync(process.execPath, [module, ...parts], { encoding: "utf8" });
    return { values: JSON.parse(text) as Record<string, number> };
  };
}

export const startup: Suite = {
  name: "startup",
  about:
    "What a process pays before its first interrupt: importing, making a host of the default size, and then one VM, one irqfd and one producer, connected.",
  measures: [
    { key: "import", title: "import", unit: "ns" },
    { key: "create", title: "Host.create", unit: "ns" },
    { key: "first", title: "first pair connected", unit: "ns" },
  ],
  contestants: {
    irqbypass: starts(),
    "with /linux and /kvm": starts("irqbypass/linux", "irqbypass/kvm"),
  },
  trials: () => [
    { title: "a fresh process", parameters: {}, contestants: ["irqbypass", "with /linux and /kvm"] },
  ],
};
