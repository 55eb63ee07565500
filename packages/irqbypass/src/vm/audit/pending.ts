import { Consumer, Thread, WAITED } from "../../host/layout.js";
import { Pending } from "../../host/pending.js";
import type { View } from "./view.js";

/** The set of pending irqfds: each bit has its summary, and each irqfd with an injection due has its bit. */
export function auditPending(view: View): void {
  const { words, host } = view;
  const { levels } = host.pending;
  const { consumer } = host.pools;
  let size = consumer.capacity;
  levels.forEach((level, depth) => {
    const bits = size;
    size = Math.ceil(size / 32);
    for (let word = 0; word < size; word++) {
      const set = words.load(level + word);
      if (set === 0) continue;
      const subject = `the pending irqfds, word ${word} of level ${depth}`;
      const above = levels[depth + 1];
      const summary = above === undefined || (words.load(above + (word >>> 5)) & (1 << (word & 31))) !== 0;
      if (!summary)
        view.find(
          "pending",
          subject,
          "it has bits, and the level above does not say so: no relay looks at it",
        );
      if (word * 32 + 31 - Math.clz32(set) >= bits)
        view.find("pending", subject, "it has a bit for what does not exist");
    }
  });
  for (const irqfd of view.live.consumer) {
    const state = words.load(irqfd + Consumer.pending);
    const slot = consumer.slot(irqfd);
    const bit = (words.load(levels[0]! + (slot >>> 5)) & (1 << (slot & 31))) !== 0;
    if (state === Pending.due && !bit) {
      view.find(
        "lost",
        view.name("consumer", irqfd),
        "has an injection due, and is not among the pending irqfds: no relay looks for it",
      );
    }
    if (state === Pending.idle || state === Pending.due) continue;
    if (view.isAttached(state) && (words.load(state + Thread.writing) & ~WAITED) === irqfd) continue;
    view.find("lost", view.name("consumer", irqfd), "is being injected, and by no thread");
  }
}
