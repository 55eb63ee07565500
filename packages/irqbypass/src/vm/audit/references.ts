import { closerOf } from "../../eventfd/reference.js";
import { Eventfd, Header, Reference, Role } from "../../host/layout.js";
import type { View } from "./view.js";

/** What threads have of eventfds, which is counted there; and who watches for changes. */
export function auditReferences(view: View): void {
  const { words } = view;
  let watchers = 0;
  for (const reference of view.live.reference) {
    const subject = view.name("reference", reference);
    const role = words.get(reference + Reference.role);
    const owner = words.get(reference + Reference.owner);
    const eventfd = words.get(reference + Reference.eventfd);
    if (!view.within(role, Role.handle, Role.watcher, subject, "role")) continue;
    if (view.isMsix(owner)) {
      view.ofVectors.add(eventfd);
      if (!view.isOwned(reference))
        view.find("unreachable", subject, "no vector of its MSI-X table leads to it");
    } else if (!view.isAttached(owner))
      view.find("orphan", subject, `${view.name("thread", owner)}, which has it, is gone`);
    if (role === Role.watcher) {
      watchers += 1;
      if (eventfd !== 0) view.find("value", subject, "is of one who watches, and names an eventfd");
    } else if (view.isLive("epoll", eventfd) || view.names("eventfd", eventfd, subject, "eventfd")) {
      if (role === Role.handle) view.handle(eventfd);
      else view.hold(eventfd);
    }
  }
  const counted = words.load(Header.watchers);
  if (counted !== watchers)
    view.find("count", "the header", `counts ${counted} who watch for changes, and there are ${watchers}`);
}

/**
 * An eventfd or an epoll lives by its handles and by those who hold it. Called after all of these have been looked at. Returns false
 * for one whose descriptor is being closed.
 */
export function auditCounts(view: View, record: number, subject: string): boolean {
  const { words } = view;
  const closer = closerOf(words, record);
  if (closer !== 0) {
    view.find("unfinished", subject, `${view.name("thread", closer)} is closing its descriptor`);
    return false;
  }
  const handles = words.get(record + Eventfd.handles);
  const holds = words.get(record + Eventfd.holds);
  view.counted(record, "handles", handles, subject);
  view.counted(record, "holds", holds, subject);
  if (handles === 0 && holds === 0)
    view.find("unreachable", subject, "it lives, and has no handle and nobody that holds it");
  return true;
}
