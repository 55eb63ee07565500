import { Ioeventfd, IoFlag, Vm } from "../../host/layout.js";
import { readDoorbell } from "../io-access.js";
import { Place } from "../io-bus.js";
import type { View } from "./view.js";

const ANY_FLAG = IoFlag.lengthMask | IoFlag.pio | IoFlag.match;
const LENGTHS: readonly number[] = [0, 1, 2, 4, 8];

/** The ioeventfds, each by itself, and that each is in the list of its VM once. */
export function auditIoeventfds(view: View): void {
  const { words } = view;
  for (const ioeventfd of view.live.ioeventfd) {
    const subject = view.name("ioeventfd", ioeventfd);
    const eventfd = words.get(ioeventfd + Ioeventfd.eventfd);
    if (view.names("eventfd", eventfd, subject, "eventfd")) view.hold(eventfd);
    view.names("vm", words.get(ioeventfd + Ioeventfd.vm), subject, "VM");
    view.within(words.get(ioeventfd + Ioeventfd.linked), 0, 1, subject, "place in the list of its VM");
    auditTakes(view, ioeventfd, subject);
    if (words.get(ioeventfd + Ioeventfd.closing) !== 0)
      view.find("unfinished", subject, "is being deassigned");
    view.madeBy(words.get(ioeventfd + Ioeventfd.owner), subject);
  }
  for (const vm of view.live.vm) auditList(view, vm, view.name("vm", vm));
  view.findUnowned("ioeventfd", "it is in the list of no VM");
}

function auditTakes(view: View, ioeventfd: number, subject: string): void {
  const { words } = view;
  const takes = words.get(ioeventfd + Ioeventfd.takes);
  const { length, match } = readDoorbell(words, ioeventfd);
  const known = (takes & ~ANY_FLAG) === 0 && LENGTHS.includes(length);
  if (!known || (match !== undefined && length === 0))
    view.find(
      "value",
      subject,
      `it takes what its word says, 0x${(takes >>> 0).toString(16)}, which none can`,
    );
  const value = words.get(ioeventfd + Ioeventfd.matchLow) | words.get(ioeventfd + Ioeventfd.matchHigh);
  if (match === undefined && value !== 0)
    view.find("value", subject, "takes any value, and has one to match");
}

/** Walks the list of a VM. */
function auditList(view: View, vm: number, subject: string): void {
  const { words } = view;
  const places = new Map<string, Place>();
  for (
    let one = words.get(vm + Vm.ioeventfds), previous = 0;
    one !== 0;
    previous = one, one = words.get(one + Ioeventfd.next)
  ) {
    if (!view.names("ioeventfd", one, subject, "list of ioeventfds")) break;
    if (!view.own("ioeventfd", one, subject)) break; // in a circle too
    const name = view.name("ioeventfd", one);
    if (words.get(one + Ioeventfd.linked) !== 1)
      view.find("list", subject, `${name} is in its list, and says that it is not`);
    if (words.get(one + Ioeventfd.vm) !== vm) {
      const other = view.name("vm", words.get(one + Ioeventfd.vm));
      view.find("partner", subject, `${name} is in its list, and says that it is of ${other}`);
    }
    if (words.get(one + Ioeventfd.previous) !== previous)
      view.find("list", subject, `${name} is in its list, and does not lead back to the one before`);
    auditPlace(view, places, one, name);
  }
}

/** No two take the same store. */
function auditPlace(view: View, places: Map<string, Place>, one: number, name: string): void {
  if (view.words.get(one + Ioeventfd.closing) !== 0) return; // another one may have its place already
  const doorbell = readDoorbell(view.words, one);
  const at = `${doorbell.space} ${doorbell.address}`;
  const place = places.get(at) ?? new Place();
  if (place.meets(doorbell))
    view.find("shared", name, "takes stores that another one in the list takes, too");
  place.add(doorbell, one);
  places.set(at, place);
}
