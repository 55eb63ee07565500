/**
 * A thread that goes on while others die: the device sends an interrupt when the one before was taken, the vCPU takes it.
 * In between both do what takes the host's mutexes.
 */
import { workerData } from "node:worker_threads";
import { Eventfd, Host, Producer, Vcpu } from "irqbypass";
import { kvm } from "irqbypass/kvm";
import { linux } from "irqbypass/linux";
import { type SurvivorWork, Word } from "./work.js";

const { host: handle, part, handle: mine, shared, kinds } = workerData as SurvivorWork;
const ways = [linux(), kvm()];
const host = Host.attach(handle, { kinds: kinds.map((name) => ways.find((way) => way.name === name)!) });
const words = new Int32Array(shared);
const PATIENCE_MS = 20_000;

/** Rests while the test looks at the memory, the vCPU after the device. False when it is time to end. */
function goOn(): boolean {
  const first = part === "device" || Atomics.load(words, Word.resting) > 0;
  if (first && Atomics.load(words, Word.rest) === 1) {
    Atomics.add(words, Word.resting, 1);
    Atomics.notify(words, Word.resting);
    Atomics.wait(words, Word.rest, 1);
    Atomics.sub(words, Word.resting, 1);
  }
  return Atomics.load(words, Word.rest) !== 2;
}

function device(): void {
  const eventfd = Eventfd.open(host, mine);
  const producer = Producer.create(host);
  producer.register(eventfd, 1);
  while (goOn()) {
    const sent = Atomics.add(words, Word.sent, 1);
    producer.signal();
    if (Atomics.wait(words, Word.taken, sent, PATIENCE_MS) === "timed-out") {
      throw new Error(
        `interrupt ${sent} is lost: ${producer.path}, ${JSON.stringify(host.audit().findings)}`,
      );
    }
    if (sent % 16 === 0) {
      producer.unregister();
      producer.register(eventfd, 1);
    }
  }
  producer.dispose();
  eventfd.close();
  Atomics.store(words, Word.ended, 1);
}

function vcpu(): void {
  const own = Vcpu.open(host, mine);
  // To the end as well: the device may wait for its last one.
  while (goOn() || Atomics.load(words, Word.ended) === 0) {
    if (own.wait({ timeoutMs: 5 }) !== "interrupt") continue;
    for (let vector = own.acknowledge(); vector !== undefined; vector = own.acknowledge()) {
      own.eoi();
      if (vector !== 0x41) continue;
      Atomics.add(words, Word.taken, 1);
      Atomics.notify(words, Word.taken);
    }
  }
  own.put();
}

if (part === "device") device();
else vcpu();
host.dispose();
