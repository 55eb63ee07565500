/**
 * Loaded modules and their parameters under /sys/module.
 */
import { FormatError } from "../source/error.js";
import { type Reading, readAs, type Source } from "../source/source.js";

/** The modules that can make a VM's interrupts, and the parameters of each that bear on posting. */
const PARAMETERS = {
  kvm: ["vector_hashing"],
  kvm_intel: ["enable_apicv", "enable_ipiv", "enable_device_posted_irqs"],
  kvm_amd: ["avic", "enable_ipiv", "enable_device_posted_irqs", "npt", "nested"],
  kvm_pvm: [],
} as const;
export type ModuleName = keyof typeof PARAMETERS;

/** A loaded module, or one built into the kernel that has parameters. */
export interface Module {
  readonly name: ModuleName;
  readonly parameters: ReadonlyMap<string, Reading<boolean>>;
  /** It was loaded, and can be loaded anew; false for one that is built in, or where that does not show. */
  readonly loadable: boolean;
}

/** Reads the KVM modules that are there. */
export function readModules(source: Source): readonly Module[] {
  const modules: Module[] = [];
  for (const [name, wanted] of Object.entries(PARAMETERS) as [ModuleName, readonly string[]][]) {
    const dir = `sys/module/${name}`;
    if (source.list(dir).state === "absent") continue;
    const parameters = new Map<string, Reading<boolean>>();
    for (const parameter of wanted) {
      parameters.set(parameter, readAs(source, `${dir}/parameters/${parameter}`, parseSwitch));
    }
    modules.push({ name, parameters, loadable: source.read(`${dir}/initstate`).state === "read" });
  }
  return modules;
}

/**
 * A boolean parameter as the kernel prints it; integer ones print 0 or 1.
 * @throws FormatError for anything else, such as "auto".
 */
export function parseSwitch(text: string): boolean {
  const word = text.trim();
  if (word === "Y" || word === "1") return true;
  if (word === "N" || word === "0") return false;
  throw new FormatError("neither Y nor N");
}
