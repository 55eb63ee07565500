/** The other thread of `pairs.test.ts`: makes and ends what the first one uses, or uses what that makes and ends. */
import { parentPort, workerData } from "node:worker_threads";
import { Host, type HostHandle, IrqBypassError, Vcpu, Vm } from "irqbypass";

export interface PairWork {
  readonly host: HostHandle;
  /** [0] the handle of what there is just now. */
  readonly handles: Float64Array;
  /** [0] 1 to go on, 0 to end; [1] rounds done. */
  readonly board: Int32Array;
  readonly what: "make VMs" | "use VMs" | "open vCPUs";
}

const { host: handle, handles, board, what } = workerData as PairWork;
const host = Host.attach(handle);

/** What a loser may hear. */
const LOST = ["ESTALE", "EBADF", "EBUSY"];

function attempt(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof IrqBypassError) || !LOST.includes(error.code)) throw error;
  }
}

const rounds = {
  "make VMs"() {
    const vm = new Vm(host, { vcpus: 4 });
    handles[0] = vm.handle;
    attempt(() => {
      vm.setGsiRouting([{ gsi: 2, msi: { vcpu: 0, vector: 66 } }]);
      vm.dispose();
    });
  },
  "use VMs"() {
    attempt(() => Vm.open(host, handles[0]!).setIrqLine(3, true));
  },
  "open vCPUs"() {
    attempt(() => {
      using vcpu = Vcpu.open(host, handles[0]!);
      // An interrupt that this vCPU's VM has never sent is a stranger's.
      if (vcpu.acknowledge() !== undefined) throw new Error("a stranger's interrupt");
    });
  },
};

parentPort?.postMessage("up");
while (Atomics.load(board, 0) !== 0) {
  if (what !== "make VMs" && handles[0] === 0) continue; // there is none yet
  rounds[what]();
  Atomics.add(board, 1, 1);
}
host.dispose();
parentPort?.postMessage("done");
