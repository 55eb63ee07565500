/** What the threads of the stress do to MSI-X of devices, of VMs: their own and those of others. */
import { Eventfd, IrqBypassError, Msix, VfioPciDevice, Vm } from "irqbypass";
import { PLACES, vectorOf } from "./board.js";
import { type Actor, hasPin } from "./devices.js";

const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;

/** One as this thread has had it open, and the handle of its VM. */
interface Known {
  readonly msix: Msix<Eventfd>;
  readonly vm: number;
}

export function msixOperations({
  host,
  board,
  pick,
  attempt,
  ending,
  openVm,
}: Actor): readonly (() => void)[] {
  const known: (Known | undefined)[] = [];
  const create = () => Eventfd.create(host);

  function some(): Known | undefined {
    const place = pick(PLACES);
    const published = board.msixAt(place);
    if (published.msix !== 0 && pick(2) === 0) {
      const { vm } = published;
      const msix = board.during("msix open", () =>
        attempt(() => ofOtherVm(() => Msix.open(Vm.open(host, vm), published.msix, create))),
      );
      known[place] = msix && { msix, vm };
    }
    return known[place];
  }

  const end = ({ msix }: Known) => ending("msix dispose", () => attempt(() => msix.dispose()));

  return [
    function makeMsix() {
      const place = pick(PLACES);
      const published = board.deviceAt(place);
      const found = hasPin(place) || published === 0 ? undefined : openVm();
      const nic = found && attempt(() => VfioPciDevice.open(host, published));
      if (nic === undefined) return;
      const { vm, handle } = found!;
      const before = known[place];
      const made = board.during("msix new", () =>
        attempt(() => {
          const msix = new Msix(vm, nic, create);
          board.publishMsix(place, msix.handle, handle);
          return { msix, vm: handle };
        }),
      );
      known[place] = made;
      if (before !== undefined) end(before); // of another device, or ended by this one
    },
    function useMsix() {
      const found = some();
      if (found === undefined) return;
      const { msix, vm } = found;
      // Where it leads is the VM's own vector: any other one is a stranger's.
      const entry = (control: number) =>
        new Uint8Array(Uint32Array.of(0xfee00000, 0, vectorOf(vm), control).buffer);
      const uses = [
        () => (msix.control = ENABLE),
        () => (msix.control = pick(2) * ENABLE + pick(2) * FUNCTION_MASK),
        () => msix.table.write(16 * pick(2), entry(0)),
        () => msix.table.write(16 * pick(2), entry(pick(2))),
        () => msix.table.write(0, [...entry(pick(2)), ...entry(0)]),
        () => msix.table.read(0, 32),
        () => msix.pba.read(0, 8),
        () => msix.toJSON(),
        () => msix.handle,
        () => pick(4) === 0 && msix.reset(),
      ];
      for (let times = 1 + pick(4); times > 0; times--)
        board.during("msix use", () => attempt(uses[pick(uses.length)]!));
    },
    function endMsix() {
      const found = some();
      if (found !== undefined) end(found);
    },
  ];
}

/** It may be another VM's: of two handles the one may be older than the other. */
function ofOtherVm<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof IrqBypassError && error.code === "EINVAL" && /is of VM/.test(error.message))
      return undefined;
    throw error;
  }
}
