import type { EventfdContext } from "../eventfd/context.js";
import { checkFlag } from "../host/argument.js";
import type { HostMemory } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { checkOpen, type IrqSet, irqError, selects } from "./set-irqs.js";
import { Virqfd } from "./virqfd.js";

/** What lives from enabling INTx to disabling it. A trigger may be missing: it is looked at once for each signal. */
interface Session {
  masked: boolean;
  trigger: EventfdContext | null;
  unmask: Virqfd | undefined;
}

/**
 * The INTx pin of a device: a level-triggered line that masks itself when it fires, until somebody unmasks it. It is
 * never bypassed: its eventfd is signalled, and an irqfd with a resample eventfd answers through the unmask eventfd.
 * The device drives the line, the VMM calls `setIrqs`, both in the thread that made the device.
 */
export class Intx extends Shown {
  private session: Session | undefined;
  private line = false;
  private disabledByGuest = false;

  /** @internal Devices make their pin. */
  constructor(private readonly host: HostMemory) {
    super();
  }

  /** The device drives the line: it fires unless it is masked. */
  assert(): void {
    this.line = true;
    this.interrupt();
  }

  /** The mirror image of `assert`: nothing is pending any more. */
  deassert(): void {
    this.line = false;
  }

  /** Does the device hold the line up? */
  get asserted(): boolean {
    return this.line;
  }

  /** Was INTx given an eventfd, or enabled without one? */
  get enabled(): boolean {
    return this.session !== undefined;
  }

  /** Has it masked itself, or been masked? */
  get masked(): boolean {
    return this.session?.masked ?? this.disabledByGuest;
  }

  /** The guest's Interrupt Disable bit in the command register (DisINTx): setting it masks, clearing it unmasks. */
  get disIntx(): boolean {
    return this.disabledByGuest;
  }

  /** Sets or clears it. */
  set disIntx(on: boolean) {
    checkFlag(on ?? null, "disIntx");
    if (on === this.disabledByGuest) return;
    this.disabledByGuest = on;
    const { session } = this;
    if (session === undefined) return;
    if (on) session.masked = true;
    else this.unmask(session);
  }

  /** Looks at the unmask eventfd now, for a thread that does not return to its event loop. */
  poll(): void {
    this.session?.unmask?.poll();
  }

  /** @internal */
  protected describe(): object {
    const { asserted, enabled, masked, disIntx } = this;
    return { asserted, enabled, masked, disIntx };
  }

  /** @internal Carries out a checked call; `other` names another index that is in use. */
  setIrqs(set: IrqSet, other: string | undefined): number {
    if (set.action === "trigger") this.setTrigger(set, other);
    else this.setMask(set);
    return 0;
  }

  /** @internal Takes the trigger and the unmask eventfd away. */
  disable(): void {
    this.session?.unmask?.remove();
    this.session = undefined;
  }

  /** vfio_pci_set_intx_mask and vfio_pci_set_intx_unmask. */
  private setMask(set: IrqSet): void {
    const { session } = this;
    if (session === undefined) throw irqError("EINVAL", "intx", "is not enabled: give it an eventfd first");
    checkOne(set);
    if (set.data === "eventfd") {
      if (set.action === "mask")
        throw irqError("ENOTTY", "intx", "has no mask eventfd: only one that unmasks");
      this.setUnmask(session, set.eventfds[0]!);
    } else if (selects(set, 0)) {
      if (set.action === "mask") session.masked = true;
      else this.unmask(session);
    }
  }

  /** vfio_pci_set_intx_trigger. */
  private setTrigger(set: IrqSet, other: string | undefined): void {
    const { session } = this;
    if (set.data === "none" && set.count === 0 && session !== undefined) {
      this.disable();
      return;
    }
    if (other !== undefined)
      throw irqError("EINVAL", "intx", `cannot be used beside ${other}: disable ${other} first`);
    checkOne(set);
    if (set.data === "eventfd") {
      const trigger = set.eventfds[0]!;
      if (trigger !== null) checkOpen(this.host, "intx", trigger);
      if (session === undefined) this.enable(trigger);
      else session.trigger = trigger;
      return;
    }
    if (session === undefined) throw irqError("EINVAL", "intx", "is not enabled: give it an eventfd first");
    if (selects(set, 0)) this.send(session);
  }

  /** vfio_intx_enable. The line may be up already; a guest that has it disabled starts masked. */
  private enable(trigger: EventfdContext | null): void {
    this.session = { masked: this.disabledByGuest, trigger, unmask: undefined };
    this.interrupt();
  }

  private setUnmask(session: Session, eventfd: EventfdContext | null): void {
    if (eventfd === null) {
      session.unmask?.remove();
      session.unmask = undefined;
      return;
    }
    checkOpen(this.host, "intx", eventfd);
    if (session.unmask?.closed === false) {
      throw irqError("EBUSY", "intx", "has an unmask eventfd already: take that away first");
    }
    // A handler that is still under way when INTx is disabled finds another session, or none.
    const unmask = new Virqfd(eventfd, () => {
      if (this.session === session) this.unmask(session);
    });
    session.unmask?.remove();
    session.unmask = unmask;
  }

  /** The line fires if it is up and nothing holds it back (vfio_intx_handler). */
  private interrupt(): void {
    const { session } = this;
    if (session === undefined || session.masked || !this.line) return;
    session.masked = true;
    this.send(session);
  }

  /** Unmasks, or signals again while the line is up (vfio_pci_intx_unmask_handler). Nothing while the guest disables it. */
  private unmask(session: Session): void {
    if (this.disabledByGuest) return;
    session.masked = this.line;
    if (this.line) this.send(session);
  }

  /** vfio_send_intx_eventfd. */
  private send({ trigger }: Session): void {
    if (!this.disabledByGuest && trigger?.closed === false) trigger.signal();
  }
}

function checkOne({ start, count }: IrqSet): void {
  if (start !== 0 || count !== 1)
    throw irqError("EINVAL", "intx", "is one interrupt: use start 0 and count 1");
}
