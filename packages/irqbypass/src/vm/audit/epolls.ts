import { EPOLL_BITS, Epoll, EpollControl, Eventfd, Watch } from "../../host/layout.js";
import { auditCounts } from "./references.js";
import type { View } from "./view.js";

const CONTROL = EpollControl.ready | EpollControl.kicked | EpollControl.asleep;

/** The epolls and what they watch; called before the eventfds, which the watches hold. */
export function auditEpolls(view: View): void {
  const ofEventfds = listed(view, view.live.eventfd, Eventfd.watches, 1, Watch.next, "eventfd");
  const ofEpolls = listed(view, view.live.epoll, Epoll.rows, EPOLL_BITS, Watch.nextInRow, "epoll");
  for (const watch of view.live.watch) auditWatch(view, watch, ofEventfds.get(watch), ofEpolls.get(watch));
  for (const epoll of view.live.epoll) auditEpoll(view, epoll);
}

/** Each watch that is in one of these lists, with its head. */
function listed(
  view: View,
  records: readonly number[],
  heads: number,
  count: number,
  next: Watch.next | Watch.nextInRow,
  pool: "eventfd" | "epoll",
): Map<number, number> {
  const { words } = view;
  const found = new Map<number, number>();
  for (const record of records) {
    const subject = view.name(pool, record);
    for (let head = record + heads; head < record + heads + count; head++) {
      for (let watch = words.load(head); watch !== 0; watch = words.load(watch + next)) {
        if (!view.names("watch", watch, subject, "list of watches")) break;
        if (found.has(watch)) {
          view.find(
            "list",
            subject,
            `its list of watches leads to ${view.name("watch", watch)}, which is in a list already`,
          );
          break;
        }
        found.set(watch, head);
      }
    }
  }
  return found;
}

function auditWatch(view: View, watch: number, eventfdsHead = 0, row = 0): void {
  const { words } = view;
  const subject = view.name("watch", watch);
  const eventfd = words.get(watch + Watch.eventfd);
  const epoll = words.get(watch + Watch.epoll);
  if (!view.names("eventfd", eventfd, subject, "eventfd") || !view.names("epoll", epoll, subject, "epoll"))
    return;
  view.hold(eventfd);
  view.hold(epoll);
  view.within(words.get(watch + Watch.edge), 0, 1, subject, "edge");
  view.within(words.load(watch + Watch.fired), 0, 1, subject, "fired");
  const bit = words.get(watch + Watch.bit);
  if (!view.within(bit, 0, EPOLL_BITS - 1, subject, "bit")) return;
  const holder = words.get(watch + Watch.holder);
  if (holder !== 0) {
    view.find("unfinished", subject, `${view.name("thread", holder)} is adding or removing it`);
    return;
  }
  if (eventfdsHead !== eventfd + Eventfd.watches)
    view.find("list", subject, `whoever signals ${view.name("eventfd", eventfd)} does not find it`);
  if (row !== epoll + Epoll.rows + bit)
    view.find("list", subject, `whoever waits for ${view.name("epoll", epoll)} does not find it`);
  const word = words.load(epoll + Epoll.bits + (bit >>> 5));
  if (words.load(watch + Watch.fired) !== 0 && (word & (1 << (bit & 31))) === 0)
    view.find("lost", subject, `it was fired, and its bit ${bit} is clear: no wait looks at it`);
}

function auditEpoll(view: View, epoll: number): void {
  const { words } = view;
  const subject = view.name("epoll", epoll);
  const control = words.load(epoll + Epoll.control);
  if ((control & ~CONTROL) !== 0)
    view.find("value", subject, `its control word is ${control}, which no epoll has`);
  const waiter = words.load(epoll + Epoll.waiter);
  if (waiter !== 0 && !view.isAttached(waiter))
    view.find("orphan", subject, `${view.name("thread", waiter)}, which waits for it, is gone`);
  if ((control & EpollControl.asleep) !== 0 && waiter === 0)
    view.find("value", subject, "somebody sleeps for it, and nobody waits");
  view.within(words.load(epoll + Epoll.turn), 0, EPOLL_BITS - 1, subject, "turn");
  let bits = 0;
  for (let word = 0; word < EPOLL_BITS / 32; word++) bits |= words.load(epoll + Epoll.bits + word);
  if (bits !== 0 && (control & EpollControl.ready) === 0)
    view.find(
      "lost",
      subject,
      "something may be ready, and its control word does not say so: no wait looks for it",
    );
  if (words.load(epoll + Epoll.fd) < 0)
    view.find("value", subject, `its descriptor is ${words.load(epoll + Epoll.fd) - 1}`);
  auditCounts(view, epoll, subject);
}
