/** The device of the ledger: signals every line, and does to its own interrupts what a device and its VMM may do. */
import { parentPort, workerData } from "node:worker_threads";
import { type DeviceVector, Eventfd, type EventfdContext, Host, Producer, VfioPciDevice } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { Gate } from "#src/host/layout.js";
import { random } from "../death/random.js";
import { setUnmask } from "../support/intx.js";
import {
  DEVICE_DID,
  dawdle,
  finish,
  isLinux,
  LineWord,
  nextRound,
  note,
  shuffled,
  sortOf,
  storeHandle,
  Word,
  wordOf,
} from "./board.js";
import { plant } from "./plants.js";
import type { Work } from "./work.js";

const { host: handle, words, lines, seed, plant: planted, vm, dies, patienceMs } = workerData as Work;
const real = lines.some(({ kind }) => isLinux(kind));
const kinds = real ? [linux(), ...(vm === undefined ? [(await import("irqbypass/kvm")).kvm()] : [])] : [];
const host = Host.attach(handle, { kinds });
plant(planted, "device", host);
const pick = random(seed);
const PAUSE = 200;
const WRITES_OF_A_LIFE = 400;

/** One line, from its device's side. */
interface Source {
  signal(): void;
  /** Between its signals. */
  change?(): void;
  /** Is one of its signals pending? */
  pending?(): boolean;
}

const did = (line: number, what: (typeof DEVICE_DID)[number]) =>
  note(words, wordOf(line, LineWord.deviceDid), DEVICE_DID, what);

const create = (linuxEventfd: boolean): EventfdContext =>
  (linuxEventfd ? LinuxEventfd : Eventfd).create(host);

/** A vector and its triggers: the line's eventfd, or none for a while. */
function vectorSource(line: number, eventfd: EventfdContext): Source {
  const nic = new VfioPciDevice(host, { msix: 2 });
  const vector: DeviceVector = nic.vector("msix", 0);
  const other = create(isLinux(lines[line]!.kind));
  nic.setTrigger("msix", 0, eventfd);
  const changes: readonly [(typeof DEVICE_DID)[number], () => void][] = [
    ["masked", () => vector.mask()],
    ["unmasked", () => vector.unmask()],
    ["taken away", () => nic.setTrigger("msix", 0, null)],
    ["set", () => nic.setTrigger("msix", 0, eventfd)],
    [
      "disabled",
      () => {
        nic.setTrigger("msix", 0, null); // enables it, where it is not
        nic.disable("msix");
      },
    ],
    [
      "replaced",
      () => {
        // Another eventfd for a moment, in which nothing is pending and nothing signals.
        if (vector.masked) return;
        nic.setTrigger("msix", 0, other);
        nic.setTrigger("msix", 0, eventfd);
      },
    ],
  ];
  return {
    signal: () => vector.signal(),
    // Of the device alone: what waits in the eventfd is counted there.
    pending: () => (host.words.load(vector.trigger.gate) & Gate.pending) !== 0,
    change() {
      const [what, act] = changes[pick(changes.length)]!;
      did(line, what);
      act();
    },
  };
}

/** A level: up until the guest has taken an interrupt, and unmasked by its EOI. */
function intxSource(line: number, eventfd: EventfdContext, unmask: EventfdContext): Source {
  const device = new VfioPciDevice(host, { intx: true });
  const pin = device.intx;
  const taken = wordOf(line, LineWord.taken);
  const assigned = wordOf(line, LineWord.assigned);
  const assigns = wordOf(line, LineWord.assigns);
  device.setTrigger("intx", 0, eventfd);
  setUnmask(device, unmask);
  /** Acknowledged, or nobody is there who would: the irqfd is gone, or it is another one than at the signal. */
  const until = (irqfd: number, settled: () => boolean): boolean => {
    for (const deadline = Date.now() + patienceMs; Date.now() < deadline; ) {
      if (Atomics.load(words, assigned) === 0 || Atomics.load(words, assigns) !== irqfd) return false;
      if (settled()) return true;
      pin.poll();
    }
    Atomics.store(words, wordOf(line, LineWord.stuck), Atomics.load(words, Word.round));
    return false;
  };
  return {
    signal() {
      const irqfd = Atomics.load(words, assigns);
      const before = Atomics.load(words, taken);
      pin.assert();
      const came = until(irqfd, () => Atomics.load(words, taken) !== before);
      pin.deassert();
      if (!came || !until(irqfd, () => !pin.masked)) device.unmask("intx");
    },
  };
}

/** Another eventfd in each round, which is closed after the signals of the round. */
class HangUpSource implements Source {
  private eventfd!: EventfdContext;

  constructor(private readonly line: number) {
    this.renew(Atomics.load(words, Word.device) + 1);
  }

  signal(): void {
    this.eventfd.write();
  }

  /** Waits until the VMM has assigned it, for without an irqfd nobody can tell what is in it; false where none comes. */
  ready(): boolean {
    const assigned = wordOf(this.line, LineWord.assigned);
    if (Atomics.load(words, assigned) === 0) Atomics.wait(words, assigned, 0, 50);
    return Atomics.load(words, assigned) !== 0;
  }

  /** Another eventfd, for this round. */
  renew(round: number): void {
    this.eventfd = create(isLinux(lines[this.line]!.kind));
    storeHandle(words, this.line, this.eventfd.handle, round);
  }

  close(): void {
    did(this.line, "closed");
    this.eventfd.close();
  }
}

function sourceOf(line: number): Source {
  const { kind, eventfd, unmask } = lines[line]!;
  const sort = sortOf(kind);
  if (sort === "hang-up") return new HangUpSource(line);
  const open = (of: number) => (isLinux(kind) ? LinuxEventfd : Eventfd).open(host, of);
  const own = open(eventfd);
  if (sort === "vector") return vectorSource(line, own);
  if (sort === "intx") return intxSource(line, own, open(unmask!));
  if (sort !== "producer") return own;
  const producer = Producer.create(host);
  producer.register(own);
  return producer;
}

const sources = lines.map((_, line) => sourceOf(line));
let signalled = 0;

/** The death that is hardest to repair: the count is out of the eventfd, and nothing says so yet but the in-flight word. */
if (dies) {
  const raise = host.pending.raise.bind(host.pending);
  let left = 1 + pick(WRITES_OF_A_LIFE);
  host.pending.raise = (irqfd) => {
    if (--left > 0) return raise(irqfd);
    Atomics.add(words, wordOf(signalled, LineWord.done), 1);
    process.exit(1);
  };
}

function signal(line: number, source: Source): void {
  signalled = line;
  const burst = Atomics.load(words, Word.burst);
  const isLevel = sortOf(lines[line]!.kind) === "intx";
  for (let left = isLevel ? 1 : burst === 1 ? 1 : pick(burst + 1); left > 0; left--) {
    dawdle(words, pick(2) === 0 ? 0 : pick(PAUSE));
    if (source.change !== undefined && pick(3) === 0) source.change();
    if (isLevel && Atomics.load(words, wordOf(line, LineWord.assigned)) === 0) return;
    Atomics.add(words, wordOf(line, LineWord.sent), 1);
    source.signal();
    Atomics.add(words, wordOf(line, LineWord.done), 1);
  }
  if (pick(2) === 0) source.change?.(); // with what is pending, and no signal after it
}

parentPort!.postMessage("ready");
for (let round = Atomics.load(words, Word.device); ; ) {
  round = nextRound(words, round);
  if (round < 0) break;
  for (const line of shuffled(lines.length, pick)) {
    const source = sources[line]!;
    const ends = source instanceof HangUpSource;
    if (!ends || source.ready()) signal(line, source);
    if (ends) source.close();
    const pending = !ends && source.pending?.() === true ? 1 : 0;
    Atomics.store(words, wordOf(line, LineWord.pending), pending);
  }
  for (const source of sources) if (source instanceof HangUpSource) source.renew(round + 1);
  finish(words, Word.device, round);
}
process.exit(0); // with all that it has: whoever watches takes it down
