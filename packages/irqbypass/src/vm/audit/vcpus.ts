import {
  Descriptor,
  EVENT,
  FILE_HEADER,
  KICKED,
  NOTIFICATION_VECTOR,
  NV_MASK,
  NV_SHIFT,
  ON,
  PIR_WORDS,
  SN,
  Vcpu,
  WAKEUP_VECTOR,
} from "../../host/layout.js";
import type { View } from "./view.js";

/** Bits of the control word that have a meaning. */
const KNOWN = ON | SN | KICKED | EVENT | NV_MASK;

/** The vCPUs: their posted-interrupt descriptors, and who runs them. Their local APICs are their own threads'. */
export function auditVcpus(view: View): void {
  const { words, host } = view;
  for (const vcpu of view.live.vcpu) {
    const subject = view.name("vcpu", vcpu);
    const runner = words.load(vcpu + Vcpu.runner);
    const runs = runner !== 0;
    if (runs && !view.isAttached(runner)) {
      view.find("orphan", subject, `${view.name("thread", runner)}, which runs it, is gone`);
    }
    const descriptor = vcpu + Vcpu.descriptor;
    const control = words.load(descriptor + Descriptor.control);
    const nv = (control & NV_MASK) >>> NV_SHIFT;
    if ((control & ~KNOWN) !== 0 || (nv !== NOTIFICATION_VECTOR && nv !== WAKEUP_VECTOR)) {
      view.find(
        "value",
        subject,
        `its control word is 0x${(control >>> 0).toString(16)}, which no descriptor has`,
      );
    }
    if (runs === ((control & SN) !== 0)) {
      const who = runs
        ? "it is run, and SN is set: nobody would notify it"
        : "nobody runs it, and SN is clear";
      view.find("value", subject, who);
    }
    const header = words.load(descriptor + Descriptor.header);
    if (header !== FILE_HEADER) {
      view.find("value", subject, `its interrupt file's header is 0x${(header >>> 0).toString(16)}`);
    }
    const destination = words.load(descriptor + Descriptor.ndst);
    if (runs && view.isAttached(runner) && destination !== host.thread.lockIdOf(runner)) {
      view.find(
        "value",
        subject,
        `its destination is ${destination}, and ${view.name("thread", runner)} runs it`,
      );
    }
    let posted = false;
    for (let word = 0; word < PIR_WORDS; word++) {
      if (words.load(descriptor + Descriptor.pir + word) !== 0) posted = true;
    }
    if (posted && (control & (ON | SN)) === 0) {
      view.find(
        "lost",
        subject,
        "has posted interrupts, and neither ON nor SN is set: it would not look for them",
      );
    }
  }
}
