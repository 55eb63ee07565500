/** A device in a thread of its own: signals once in each round, and does to its interrupt meanwhile what devices and VMMs do. */
import { workerData } from "node:worker_threads";
import { Eventfd, type EventfdContext, Host, VdpaDevice, VfioPciDevice, VIRTIO_STATUS } from "irqbypass";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { random } from "../death/random.js";
import { type BesideWork, playRounds } from "./beside-work.js";
import { PLAYS, type Play } from "./device-plays.js";

const work = workerData as BesideWork;
const { host: handle, kinds } = work.host!;
const own = kinds === "none" ? [] : [linux()];
const host = Host.attach(handle, {
  kinds: kinds === "kvm" ? [...own, (await import("irqbypass/kvm")).kvm()] : own,
});
const create = () => (kinds === "none" ? Eventfd : LinuxEventfd).create(host);
const other = create();

const nic = new VfioPciDevice(host, { msix: 1 });
const vector = nic.vector("msix", 0);
const setTrigger = (eventfd: EventfdContext | null) => nic.setTrigger("msix", 0, eventfd);

const disk = new VdpaDevice(host, { queues: 1, ops: { getVqIrq: (queue) => queue } });
const session = disk.open();
const queue = disk.queue(0);
const { acknowledge, driver, driverOk, featuresOk } = VIRTIO_STATUS;
const RUNS = acknowledge | driver | featuresOk | driverOk;

const plays: Readonly<Record<Play, (eventfd: EventfdContext) => void>> = {
  "a vector": () => vector.signal(),
  "a vector that is masked meanwhile"() {
    vector.mask();
    vector.signal();
    vector.unmask();
  },
  "a function that is masked meanwhile"() {
    nic.functionMask = true;
    vector.signal();
    nic.functionMask = false;
  },
  "a vector without a trigger, until it gets one"(eventfd) {
    setTrigger(null);
    vector.signal();
    setTrigger(eventfd);
  },
  "a vector before its trigger is taken away"(eventfd) {
    vector.signal();
    setTrigger(null);
    setTrigger(eventfd);
  },
  "a vector before its trigger is replaced"(eventfd) {
    vector.signal();
    setTrigger(other);
    setTrigger(eventfd);
  },
  "a vector before it is disabled"() {
    vector.signal();
    nic.disable("msix");
  },
  "a vector that is disabled, until it is enabled"(eventfd) {
    nic.disable("msix");
    vector.signal();
    setTrigger(eventfd);
  },
  "a virtqueue": () => queue.signal(),
  "a virtqueue before the device is reset"() {
    queue.signal();
    session.setStatus(0);
  },
  "a virtqueue before its call is replaced"(eventfd) {
    queue.signal();
    session.setVringCall(0, other);
    session.setVringCall(0, eventfd);
  },
};

let eventfd: EventfdContext | undefined;
playRounds(work, random(7), (target, play) => {
  eventfd?.close();
  eventfd = (kinds === "none" ? Eventfd : LinuxEventfd).open(host, target);
  const name = PLAYS[play]!;
  const isQueue = name.startsWith("a virtqueue");
  setTrigger(isQueue ? null : eventfd);
  session.setVringCall(0, isQueue ? eventfd : null);
  if (isQueue) session.setStatus(RUNS);
  return () => plays[name](eventfd!);
});
nic.dispose();
session.release();
host.dispose();
