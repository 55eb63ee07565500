/** Devices after a thread has died: made whole. */
import type { BypassHost } from "../bypass/bypass-host.js";
import { recountContexts } from "../bypass/heal.js";
import { IrqBypassError } from "../host/errors.js";
import { Device, DeviceUse, Gate, Producer } from "../host/layout.js";
import { relayed, UNCONNECTED } from "../posting/irte.js";
import type { DeviceLife } from "./device-life.js";
import { finishDevice, lifeAt } from "./device-record.js";
import { hold, producerOf, release } from "./gate.js";
import { endProducer } from "./producers.js";
import { whyRefused } from "./trigger.js";

/** Makes whole what the mutex of a device guards, which the caller holds; the thread of the record `dead` did. */
export function healDevice(host: BypassHost, record: number, dead: number): void {
  const life = lifeAt(host, record);
  if (life === undefined) return;
  if (life.uses(DeviceUse.ending)) {
    for (const producer of straysOf(life)) endProducer(host, producer);
    finishDevice(life, endProducer);
    return;
  }
  const { words } = host;
  for (const producer of straysOf(life)) followUp(life, producer);
  for (const gate of life.gates) connectAgain(life, producerOf(host, words.load(gate)));
  // All of the vectors have the function mask, or none; and a change goes on from where it had come to.
  const masked = life.uses(DeviceUse.functionMask);
  if (masked) for (const gate of life.gates.slice(life.msi)) hold(life, gate, Gate.functionMask);
  try {
    release(life, life.gates, masked ? Gate.changing : Gate.changing | Gate.functionMask);
  } catch (error) {
    if (!(error instanceof IrqBypassError)) throw error; // what this thread cannot signal goes with what is done to its vector next
  }
  if (life.uses(DeviceUse.intx) && life.uses(DeviceUse.line) && !life.uses(DeviceUse.disabled)) {
    life.use(DeviceUse.masked, true); // once more, should it have been said already: the line is up
    life.signalEventfd(Device.intx);
  }
  // It may not have let go of what a trigger has had before.
  host.mutex.guard(() => recountContexts(host, dead));
}

/** The producers of its gates to which these do not lead: another one was being made, or ended. */
function straysOf({ host, gates }: DeviceLife): number[] {
  const { words, pools } = host;
  const own = new Set(gates);
  const strays: number[] = [];
  host.forEachLive(pools.producer, (producer) => {
    const gate = words.get(producer + Producer.gate);
    if (gate !== 0 && own.has(gate) && producerOf(host, words.load(gate)) !== producer) strays.push(producer);
  });
  return strays;
}

/**
 * Its connection was being made or undone, and has been given up with the host mutex, or it had left its eventfd to another one of a
 * block: it is made anew, if that can be had.
 */
function connectAgain({ host, record }: DeviceLife, producer: number): void {
  const { words, mutex, manager } = host;
  if (producer === 0) return;
  const { eventfd, irq, alone } = mutex.guard(() => {
    const registered = words.get(producer + Producer.eventfd);
    const partner = registered === 0 ? 0 : manager.consumerAt(registered);
    return {
      eventfd: registered || words.load(producer + Producer.holds),
      irq: words.get(producer + Producer.irq),
      alone:
        registered === 0
          ? words.load(producer + Producer.irte) === UNCONNECTED // else it says why it is not
          : partner !== 0 && words.get(producer + Producer.consumer) === 0,
    };
  });
  if (!alone) return;
  manager.unregisterProducer(producer);
  try {
    manager.registerProducer(producer, eventfd, irq, words.load(record + Device.owner));
  } catch (error) {
    if (!(error instanceof IrqBypassError)) throw error;
    words.store(producer + Producer.irte, relayed(whyRefused(error) ?? "refused"));
  }
}

/** One that has come as far as being registered is the gate's; another one ends. */
function followUp({ host }: DeviceLife, producer: number): void {
  const { words, pools, mutex } = host;
  const { gate, registered } = mutex.guard(() => ({
    gate: words.get(producer + Producer.gate),
    registered: words.get(producer + Producer.eventfd) !== 0,
  }));
  const isFree = producerOf(host, words.load(gate)) === 0;
  if (isFree && registered) words.or(gate, (pools.producer.slot(producer) + 1) << Gate.producerShift);
  else endProducer(host, producer);
}
