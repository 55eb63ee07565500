import type { EventfdContext } from "../eventfd/context.js";
import { wakeSleepers } from "../eventfd/signal.js";
import { takeRecord } from "../eventfd/take.js";
import { checkFlag } from "../host/argument.js";
import { Device, DeviceUse, Eventfd } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import type { DeviceLife } from "./device-life.js";
import { checkOpen, type IrqSet, irqError, selects } from "./set-irqs.js";
import { recordOf } from "./trigger-changes.js";
import { Virqfd } from "./virqfd.js";

/**
 * The INTx pin of a device: a level-triggered line that masks itself when it fires, until somebody unmasks it. It is
 * never bypassed: its eventfd is signalled, and an irqfd with a resample eventfd answers through the unmask eventfd.
 * The device drives the line, the VMM calls `setIrqs`, each in any thread that has the device open: all of it is done under the device's
 * mutex, as the kernel's is under igate, so that the level that an unmask finds is the level.
 */
export class Intx extends Shown {
  /** What listens to the unmask eventfd in this thread, where this has set it, and by which number it knows that it is the one. */
  private listener: Virqfd | undefined;
  private arming = 0;

  /** @internal Devices make their pin. */
  constructor(private readonly life: DeviceLife) {
    super();
  }

  /** The device drives the line: it fires unless it is masked. Blocks for the device's mutex. */
  assert(): void {
    this.life.act(() => {
      this.life.use(DeviceUse.line, true);
      this.interrupt();
    });
  }

  /** The mirror image of `assert`: nothing is pending any more. */
  deassert(): void {
    this.life.act(() => this.life.use(DeviceUse.line, false));
  }

  /** Does the device hold the line up? */
  get asserted(): boolean {
    return this.life.uses(DeviceUse.line);
  }

  /** Was INTx given an eventfd, or enabled without one? */
  get enabled(): boolean {
    return this.life.uses(DeviceUse.intx);
  }

  /** Has it masked itself, or been masked, or does the guest disable it? */
  get masked(): boolean {
    return this.disIntx || (this.enabled && this.life.uses(DeviceUse.masked));
  }

  /** The guest's Interrupt Disable bit in the command register (DisINTx): setting it masks, clearing it unmasks. */
  get disIntx(): boolean {
    return this.life.uses(DeviceUse.disabled);
  }

  /** Sets or clears it. */
  set disIntx(on: boolean) {
    checkFlag(on, "disIntx", "needed");
    this.life.act(() => {
      if (on === this.disIntx) return;
      this.life.use(DeviceUse.disabled, on); // beside the mask, so that a reset takes back this alone
      if (!on && this.enabled) this.unmask();
    });
  }

  /**
   * Looks at the unmask eventfd now, for a thread that does not return to its event loop: the one that has set it. Blocks for the
   * device's mutex.
   */
  poll(): void {
    this.listener?.poll();
  }

  /** @internal */
  protected describe(): object {
    const { asserted, enabled, masked, disIntx } = this;
    return { asserted, enabled, masked, disIntx };
  }

  /** @internal Carries out a checked call, under the device's mutex; `other` names another index that is in use. */
  setIrqs(set: IrqSet, other: string | undefined): number {
    if (set.action === "trigger") this.setTrigger(set, other);
    else this.setMask(set);
    return 0;
  }

  /** @internal Takes the trigger and the unmask eventfd away. Under the device's mutex. */
  disable(): void {
    const { life } = this;
    this.removeUnmask();
    life.use(DeviceUse.intx | DeviceUse.masked, false);
    life.setEventfd(Device.intx, 0);
  }

  /** @internal As a reset of the device leaves it: the line is down, and the guest has not disabled it. Under the device's mutex. */
  reset(): void {
    // Masked by itself, or by the VMM, it stays so, whether the guest had it disabled or not: the VMM's unmask is still to come.
    this.life.use(DeviceUse.line | DeviceUse.disabled, false);
  }

  /** vfio_pci_set_intx_mask and vfio_pci_set_intx_unmask. */
  private setMask(set: IrqSet): void {
    if (!this.enabled) throw irqError("EINVAL", "intx", "is not enabled: give it an eventfd first");
    checkOne(set);
    if (set.data === "eventfd") {
      if (set.action === "mask")
        throw irqError("ENOTTY", "intx", "has no mask eventfd: only one that unmasks");
      this.setUnmask(set.eventfds[0]!);
    } else if (selects(set, 0)) {
      if (set.action === "mask") this.life.use(DeviceUse.masked, true);
      else this.unmask();
    }
  }

  /** vfio_pci_set_intx_trigger. */
  private setTrigger(set: IrqSet, other: string | undefined): void {
    const { life, enabled } = this;
    if (set.data === "none" && set.count === 0) {
      if (!enabled) throw irqError("EINVAL", "intx", "is not enabled: there is nothing to disable");
      this.disable();
      return;
    }
    if (other !== undefined)
      throw irqError("EINVAL", "intx", `cannot be used beside ${other}: disable ${other} first`);
    checkOne(set);
    if (set.data === "eventfd") {
      const trigger = set.eventfds[0]!;
      if (trigger !== null) checkOpen(life.host, "intx", trigger);
      life.setEventfd(Device.intx, recordOf(trigger));
      if (!enabled) this.enable();
      return;
    }
    if (!enabled) throw irqError("EINVAL", "intx", "is not enabled: give it an eventfd first");
    if (selects(set, 0)) this.send();
  }

  /** vfio_intx_enable. The line may be up already; a guest that has it disabled starts masked. */
  private enable(): void {
    const { life } = this;
    life.use(DeviceUse.intx, true);
    this.interrupt();
  }

  private setUnmask(eventfd: EventfdContext | null): void {
    const { life } = this;
    if (eventfd === null) {
      this.removeUnmask();
      return;
    }
    const { words, thread } = life.host;
    checkOpen(life.host, "intx", eventfd);
    if (this.listens()) {
      throw irqError("EBUSY", "intx", "has an unmask eventfd already: take that away first");
    }
    this.removeUnmask(); // what was closed meanwhile
    const arming = (words.add(life.record + Device.enabling, 1) + 1) | 0;
    try {
      this.listener = new Virqfd(
        eventfd,
        () => this.unmask(),
        (look) => this.inTurn(arming, look),
      );
    } catch (error) {
      words.add(life.record + Device.enabling, -1); // a refusal leaves no word
      throw error;
    }
    this.arming = arming;
    words.store(life.record + Device.listener, thread.record); // first, and the eventfd last: with a thread that dies, what it keeps goes
    life.setEventfd(Device.unmask, eventfd.record);
  }

  /** Runs `look` under the device's mutex for a listener while it is the one; returns false, with nothing done, where it is no more. */
  private inTurn(arming: number, look: () => void): boolean {
    const { life } = this;
    let isTheOne = false;
    const section = () => {
      isTheOne = this.isArmed(arming);
      if (isTheOne) look();
    };
    if (life.mutex.held()) section();
    else life.act(section);
    return isTheOne;
  }

  private isArmed(arming: number): boolean {
    return this.life.host.words.load(this.life.record + Device.enabling) === arming;
  }

  /** Does somebody listen to an unmask eventfd that can still be written to? */
  private listens(): boolean {
    const { life, listener } = this;
    const { words, mutex } = life.host;
    const eventfd = words.load(life.record + Device.unmask);
    if (eventfd === 0 || (listener?.closed && this.isArmed(this.arming))) return false;
    return mutex.guard(() => words.get(eventfd + Eventfd.handles)) !== 0;
  }

  /** Whoever listens does so no more; what was written before has unmasked. */
  private removeUnmask(): void {
    const { life, listener } = this;
    const { host, record } = life;
    const { words } = host;
    const isOurs = listener !== undefined && this.isArmed(this.arming);
    const eventfd = words.load(record + Device.unmask);
    if (eventfd !== 0 && !isOurs) {
      if (this.listens() && takeRecord(host, eventfd)) this.unmask();
      // It looks under the device's mutex, so once this is through: told before, it is told also where this thread dies on the way.
      wakeSleepers(words, eventfd);
    }
    this.stopListening();
    if (words.load(record + Device.listener) === 0) return;
    life.setEventfd(Device.unmask, 0);
    words.add(record + Device.enabling, 1); // behind it: where this thread dies in between it listens still, and another one may too
    words.store(record + Device.listener, 0);
  }

  /** @internal This thread listens to no unmask eventfd any more. */
  stopListening(): void {
    this.listener?.remove();
    this.listener = undefined;
  }

  /** The line fires if it is up and nothing holds it back (vfio_intx_handler). */
  private interrupt(): void {
    const { life, enabled, masked, asserted } = this;
    if (!enabled || masked || !asserted) return;
    life.use(DeviceUse.masked, true);
    this.send();
  }

  /**
   * Unmasks, or signals again while the line is up (vfio_pci_intx_unmask_handler). While the guest disables it, that holds it back still,
   * and nothing is signalled.
   */
  private unmask(): void {
    const { life, disIntx, asserted } = this;
    const fires = asserted && !disIntx;
    life.use(DeviceUse.masked, fires);
    if (fires) this.send();
  }

  /** vfio_send_intx_eventfd. */
  private send(): void {
    if (!this.disIntx) this.life.signalEventfd(Device.intx);
  }
}

function checkOne({ start, count }: IrqSet): void {
  if (start !== 0 || count !== 1)
    throw irqError("EINVAL", "intx", "is one interrupt: use start 0 and count 1");
}
