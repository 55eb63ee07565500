/**
 * What following the tracepoints for a while showed: the input that `--trace`, or a trace saved in a capture,
 * gives to the findings. Absent as a whole where nothing was traced.
 */

/** The last kvm_pi_irte_update of one host interrupt. */
export interface PostingChange {
  /** Linux interrupt number; null on kernels whose event has no host_irq (4.4 to the middle of 4.x). */
  readonly hostIrq: number | null;
  /** true: posted to `vcpu`; false: back to remapped. */
  readonly set: boolean;
  /** -1 where there is none. */
  readonly vcpu: number;
  readonly gsi: number;
  readonly guestVector: number;
  /** Seconds since the trace began. */
  readonly at: number;
}

/** One registration with the irqbypass manager, seen by a probe. */
export interface Registration {
  readonly side: "producer" | "consumer";
  readonly eventfdId: number;
  /** Linux interrupt number of a producer, where the probe shows it. */
  readonly hostIrq: number | null;
  /** What the call returned: 0, or a negative errno. */
  readonly result: number;
}

/** One change of the reasons for which APICv or AVIC is inhibited in some VM. */
export interface InhibitChange {
  readonly set: boolean;
  /** The reason that changed. It need not be one that keeps APICv or AVIC off. */
  readonly reason: number;
  /** Its name as the kernel's own format has it, or "reason N" where that has no name. */
  readonly name: string;
  /**
   * All reasons that are set after the change, as a bit mask; null from kernels 5.6 to 5.17, whose event
   * (kvm_apicv_update_request) tells only that the first was set, or that none is left.
   */
  readonly inhibits: number | null;
  /** Names of the reasons in the mask as the kernel printed them; null where it printed none. */
  readonly names: readonly string[] | null;
  /** Process id of the thread that made the change. */
  readonly tid: number;
  readonly at: number;
}

/** irq_handler_entry of one host interrupt. */
export interface HandlerRuns {
  readonly irq: number;
  /** The action's name. */
  readonly name: string;
  readonly count: number;
  /** How many of them came after the last kvm_pi_irte_update of this interrupt; all, where there was none. */
  readonly sinceChange: number;
}

export interface TraceFacts {
  /** Seconds for which events were recorded. */
  readonly seconds: number;
  /** Events that were followed, "kvm:kvm_pi_irte_update". An event that is not here was not watched. */
  readonly followed: readonly string[];
  /** Generation of kvm_pi_irte_update that was matched, in words; null if not followed. */
  readonly generation: string | null;
  /** Last change per host interrupt. */
  readonly posting: readonly PostingChange[];
  /** Host handlers that ran, per Linux interrupt number of an assigned device. */
  readonly handled: readonly HandlerRuns[];
  /** kvm_msi_set_irq events that do not stand beside a kvm_pi_irte_update: MSIs injected by software. */
  readonly injections: number;
  readonly inhibits: readonly InhibitChange[];
  readonly registrations: readonly Registration[];
  /** AMD: kvm_avic_ga_log, interrupts posted to a vCPU that did not run. */
  readonly gaLog: number;
  /** Events lost because a buffer was full; more than 0 weakens every "none was seen". */
  readonly lost: number;
  /** Sentences on what could not be followed and why. */
  readonly notes: readonly string[];
}
