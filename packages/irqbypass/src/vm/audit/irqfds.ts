import { POLICIES } from "../../bypass/remapping.js";
import { Leftover } from "../../eventfd/listen.js";
import { Consumer, Eventfd, Injection, Line, Listening, OWN_LINE, Vm } from "../../host/layout.js";
import { Mode, modeOf, targetOf, vectorOf } from "../../posting/irte.js";
import { REASONS } from "../../posting/reason.js";
import { isReason, tell } from "./producers.js";
import type { View } from "./view.js";

const OFF = POLICIES.indexOf("off");

/** The irqfds, each by itself. That each is in the list of its VM once is for the audit of the VMs. */
export function auditIrqfds(view: View): void {
  const { words } = view;
  const slot = (eventfd: number) => view.slotOf("eventfd", eventfd) ?? -1;
  for (const irqfd of view.live.consumer) {
    const subject = view.name("consumer", irqfd);
    auditWords(view, irqfd, subject);
    auditSource(view, irqfd, subject);
    auditRegistration(view, irqfd, subject);
    auditTarget(view, irqfd, subject);
    view.madeBy(words.get(irqfd + Consumer.owner), subject);
  }
  for (const [index, irqfd] of view.consumerAt) {
    const registered = view.isLive("consumer", irqfd) ? slot(words.get(irqfd + Consumer.eventfd)) : -1;
    if (registered === index) continue;
    view.find(
      "index",
      "the index of irqfds",
      `eventfd ${index} leads to ${view.name("consumer", irqfd)}, which is not registered there`,
    );
  }
  view.findUnowned("injection", "no irqfd's target leads to it");
}

/** A line is low, or high, or a thread that is there asks its device. */
function auditLine(view: View, line: number, subject: string): void {
  const { thread } = view.host;
  const asker = line >>> Line.askerShift;
  const isAsked = (line & 3) === Line.asking && asker !== 0;
  if (!isAsked) view.within(line, Line.low, Line.high, subject, "line");
  else if (!view.isAttached(thread.recordOf(asker)))
    view.find("orphan", subject, `thread ${asker}, which was to ask its device, is gone`);
}

function auditWords(view: View, irqfd: number, subject: string): void {
  const { words, host } = view;
  view.within(words.get(irqfd + Consumer.kind), 0, host.kinds.length - 1, subject, "kind");
  view.within(words.get(irqfd + Consumer.policy), 0, POLICIES.length - 1, subject, "policy");
  view.within(words.get(irqfd + Consumer.refusal), 0, REASONS.length - 1, subject, "refusal");
  view.within(words.get(irqfd + Consumer.flags), 0, OWN_LINE, subject, "flags");
  view.within(words.load(irqfd + Consumer.leftover), 0, Leftover.done, subject, "leftover");
  view.within(words.load(irqfd + Consumer.listening), 0, Listening.over, subject, "listening state");
  auditLine(view, words.load(irqfd + Consumer.line), subject);
  const resample = words.get(irqfd + Consumer.resample);
  if (resample !== 0 && view.names("eventfd", resample, subject, "resample eventfd")) view.hold(resample);
  if ((resample !== 0) !== (words.get(irqfd + Consumer.flags) !== 0)) {
    view.find(
      "value",
      subject,
      "is level-triggered exactly where it has a resample eventfd, and one of the two is missing",
    );
  }
}

/** From assign to deassign it listens to one eventfd, which knows it. */
function auditSource(view: View, irqfd: number, subject: string): void {
  const { words } = view;
  const held = words.get(irqfd + Consumer.holds);
  if (view.names("eventfd", held, subject, "held eventfd")) view.hold(held);
  const source = words.load(irqfd + Consumer.source);
  if (source === 0) {
    view.find("unfinished", subject, "listens to no eventfd: its assign or its deassign was not finished");
    return;
  }
  if (words.get(irqfd + Consumer.closing) !== 0)
    view.find("unfinished", subject, "is being deassigned, and listens still");
  if (!view.names("eventfd", source, subject, "source")) return;
  const bound = words.load(source + Eventfd.irqfd);
  if (bound !== irqfd) {
    const other = bound === 0 ? "no irqfd" : view.name("consumer", bound);
    view.find("partner", subject, `listens to ${view.name("eventfd", source)}, which is bound to ${other}`);
  }
}

function auditRegistration(view: View, irqfd: number, subject: string): void {
  const { words, host } = view;
  const eventfd = words.get(irqfd + Consumer.eventfd);
  const producer = words.get(irqfd + Consumer.producer);
  const off = words.get(irqfd + Consumer.policy) === OFF;
  if (eventfd === 0) {
    if (producer !== 0) {
      view.find(
        "partner",
        subject,
        `is not registered, and is connected to ${view.name("producer", producer)}`,
      );
    }
    if (!off && words.get(irqfd + Consumer.refusal) === 0) {
      view.find(
        "unfinished",
        subject,
        "asks for bypass, is not registered, and nothing says that it was refused",
      );
    }
    return;
  }
  if (!view.names("eventfd", eventfd, subject, "eventfd")) return;
  const name = view.name("eventfd", eventfd);
  if (off || eventfd !== words.load(irqfd + Consumer.source)) {
    const why = off ? "is to have no bypass" : "listens to another";
    view.find("partner", subject, `is registered under ${name}, and ${why}`);
  }
  if (view.consumerAt.get(host.pools.eventfd.slot(eventfd)) !== irqfd) {
    view.find("index", subject, `is registered under ${name}, and the index of irqfds does not lead to it`);
  }
  if (producer !== 0 && view.names("producer", producer, subject, "producer")) {
    // What the producer says is told there.
    if (view.producerAt.get(host.pools.eventfd.slot(eventfd)) === producer) return;
    view.find(
      "partner",
      subject,
      `is connected to ${view.name("producer", producer)}, which is not that of ${name}`,
    );
  }
}

/** What the target leads to lives: a vCPU of its VM, or an injection that belongs to this irqfd alone. */
function auditTarget(view: View, irqfd: number, subject: string): void {
  const { words, host } = view;
  const target = words.load(irqfd + Consumer.target);
  const vm = words.get(irqfd + Consumer.vm);
  const wrong = () => view.find("entry", subject, `its target says ${tell(target)}, which leads nowhere`);
  switch (modeOf(target)) {
    case Mode.relayed:
      if (!isReason(target)) wrong();
      return;
    case Mode.posted:
      if (!view.isLive("vcpu", host.pools.vcpu.at(targetOf(target)))) wrong();
      return;
    case Mode.injected: {
      const injection = host.pools.injection.at(targetOf(target));
      if (vectorOf(target) !== 0 || !view.isLive("injection", injection)) wrong();
      else if (view.own("injection", injection, subject)) {
        const fd = view.isLive("vm", vm) ? words.get(vm + Vm.fd) - 1 : -1;
        const same = words.get(injection + Injection.kind) === words.get(irqfd + Consumer.kind);
        if (!same || words.get(injection + Injection.fd) !== fd) {
          view.find(
            "value",
            view.name("injection", injection),
            `belongs to ${subject}, and goes to another VM`,
          );
        }
      }
      return;
    }
    default:
      wrong();
  }
}
