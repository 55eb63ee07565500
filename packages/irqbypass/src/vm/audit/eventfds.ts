import { closerOf } from "../../eventfd/reference.js";
import { Consumer, Eventfd, EventfdFlag, LEAVING } from "../../host/layout.js";
import { REASONS } from "../../posting/reason.js";
import { auditCounts } from "./references.js";
import type { View } from "./view.js";

/** The eventfds; called after the ends that hold them have been counted. */
export function auditEventfds(view: View): void {
  const { words } = view;
  for (const eventfd of view.live.eventfd) {
    const subject = view.name("eventfd", eventfd);
    auditKind(view, eventfd, subject);
    auditLife(view, eventfd, subject);
    view.within(words.load(eventfd + Eventfd.droppedFor), 0, REASONS.length - 1, subject, "reason of drops");
    const irqfd = words.load(eventfd + Eventfd.irqfd);
    if (irqfd & LEAVING) {
      view.find(
        "unfinished",
        subject,
        `is bound to ${view.name("consumer", irqfd & ~LEAVING)}, which is on its way out`,
      );
    } else if (irqfd !== 0 && view.names("consumer", irqfd, subject, "irqfd")) {
      const source = words.load(irqfd + Consumer.source);
      if (source !== eventfd) {
        view.find(
          "partner",
          subject,
          `is bound to ${view.name("consumer", irqfd)}, which listens to ${source === 0 ? "none" : view.name("eventfd", source)}`,
        );
      }
    }
    view.madeBy(words.get(eventfd + Eventfd.owner), subject, view.ofVectors.has(eventfd));
  }
  for (const [id, eventfd] of view.linuxEventfdAt) {
    const its = view.isLive("eventfd", eventfd) ? words.get(eventfd + Eventfd.kernelId) >>> 0 : undefined;
    if (its === id) continue;
    view.find(
      "index",
      "the index of Linux eventfds",
      `${id} leads to ${view.name("eventfd", eventfd)}, which has another id`,
    );
  }
}

function auditKind(view: View, eventfd: number, subject: string): void {
  const { words, host } = view;
  const flags = words.load(eventfd + Eventfd.flags);
  const kind = flags >>> EventfdFlag.kindShift;
  const linux = (flags & EventfdFlag.linux) !== 0;
  const known = EventfdFlag.semaphore | EventfdFlag.linux | EventfdFlag.blocking | EventfdFlag.heard;
  const fd = words.get(eventfd + Eventfd.fd);
  const id = words.get(eventfd + Eventfd.kernelId);
  if ((flags & 0xff & ~known) !== 0 || kind >= host.kinds.length || linux !== kind > 0) {
    view.find(
      "value",
      subject,
      `its flags are 0x${(flags >>> 0).toString(16)}, which no eventfd of this host has`,
    );
  }
  // One that is being closed may be closed already.
  const isOpen = fd > 0 || closerOf(words, eventfd) !== 0;
  if (linux ? !isOpen : fd > 0 || id !== 0) {
    view.find(
      "value",
      subject,
      `its descriptor is ${fd - 1} and its eventfd-id ${id}, and it is ${linux ? "" : "no "}Linux eventfd`,
    );
  }
  const listed = linux && closerOf(words, eventfd) === 0;
  if (listed && view.linuxEventfdAt.get(id >>> 0) !== eventfd) {
    view.find("index", subject, `the index of Linux eventfds does not lead to it by its id ${id >>> 0}`);
  }
}

/** It lives by its handles and by those who hold it. */
function auditLife(view: View, eventfd: number, subject: string): void {
  const { words, host } = view;
  if (!auditCounts(view, eventfd, subject)) return;
  if (words.get(eventfd + Eventfd.handles) !== 0) return;
  const irqfd = words.load(eventfd + Eventfd.irqfd);
  if (!view.isLive("consumer", irqfd)) return;
  if (host.kinds[words.get(irqfd + Consumer.kind)]?.hangup !== undefined) {
    view.find(
      "unfinished",
      subject,
      `its last handle was closed, and ${view.name("consumer", irqfd)} still listens to it`,
    );
  }
}
