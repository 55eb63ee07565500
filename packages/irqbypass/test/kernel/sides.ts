import { Kvm } from "#src/kvm/kvm.js";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { Barrier } from "./barrier.js";

/** Where a case is played, or why it cannot be. */
export interface SideOf<W> {
  readonly name: string;
  readonly skip: string | boolean;
  /** Makes a world, and disposes it when `use` is through. */
  run<T>(use: (world: W) => Promise<T>): Promise<T>;
}

/** The real kernel, by a name of the caller's, and software VMs with either kind of eventfd. */
export function sidesOf<W extends Disposable>(
  kernelName: string,
  onKernel: (kvm: Kvm, barrier: Barrier) => W,
  inSoftware: (eventfds: "shared" | "linux") => W,
): readonly SideOf<W>[] {
  return [
    {
      name: kernelName,
      skip: kvmTests.skip,
      async run(use) {
        using kvm = Kvm.open();
        using barrier = new Barrier(kvm);
        using world = onKernel(kvm, barrier);
        return await use(world);
      },
    },
    {
      name: "a software VM",
      skip: false,
      async run(use) {
        using world = inSoftware("shared");
        return await use(world);
      },
    },
    {
      name: "a software VM with Linux eventfds",
      skip: linux.skip,
      async run(use) {
        using world = inSoftware("linux");
        return await use(world);
      },
    },
  ];
}
