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

const old = new VfioPciDevice(host, { msi: 1 });
const msi = old.vector("msi", 0);
const setMsi = (eventfd: EventfdContext | null) => old.setTrigger("msi", 0, eventfd);

const card = new VfioPciDevice(host, { intx: true });
const { intx } = card;
// It has masked itself in the round before: enabled anew it is not masked.
const setLine = (eventfd: EventfdContext | null) => {
  if (eventfd !== null) card.setTrigger("intx", 0, eventfd);
  else if (intx.enabled) card.disable("intx");
};
const setError = (eventfd: EventfdContext | null) => nic.setTrigger("err", 0, eventfd);
const setRequest = (eventfd: EventfdContext | null) => nic.setTrigger("req", 0, eventfd);

const disk = new VdpaDevice(host, { queues: 1, ops: { getVqIrq: (queue) => queue } });
const session = disk.open();
const queue = disk.queue(0);
const { acknowledge, driver, driverOk, featuresOk } = VIRTIO_STATUS;
const RUNS = acknowledge | driver | featuresOk | driverOk;
const setQueue = (eventfd: EventfdContext | null) => {
  session.setVringCall(0, eventfd);
  session.setStatus(RUNS);
};
const setConfig = (eventfd: EventfdContext | null) => {
  session.setConfigCall(eventfd);
  session.setStatus(RUNS);
};

/** Who signals, by the first words of a play, and how it is given an eventfd. One has it at a time: an eventfd has one producer. */
const sources: Readonly<Record<string, (eventfd: EventfdContext | null) => void>> = {
  "a vector": setTrigger,
  "a function": setTrigger,
  "an MSI": setMsi,
  "a line": setLine,
  "an error": setError,
  "a request": setRequest,
  "a virtqueue": setQueue,
  "a configuration": setConfig,
};

function sourceOf(play: Play): (eventfd: EventfdContext | null) => void {
  const found = Object.entries(sources).find(([words]) => play.startsWith(words));
  if (found === undefined) throw new Error(`who signals in ${play}?`);
  return found[1];
}

const plays: Readonly<Record<Play, (eventfd: EventfdContext) => void>> = {
  "a vector": () => vector.signal(),
  "a vector that is masked meanwhile"() {
    vector.mask();
    vector.signal();
    vector.unmask();
  },
  "a vector, pending, that is reset"() {
    vector.mask();
    vector.signal();
    vector.reset();
    vector.signal();
  },
  "a vector before it is reset"() {
    vector.signal();
    vector.reset();
  },
  "a vector before its device is reset"() {
    vector.signal();
    nic.reset();
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
  "an MSI": () => msi.signal(),
  "an MSI that is masked meanwhile"() {
    msi.mask();
    msi.signal();
    msi.unmask();
  },
  "an MSI, pending, whose device is reset"() {
    msi.mask();
    msi.signal();
    old.reset();
    msi.signal();
  },
  "an MSI, pending, that is reset"() {
    msi.mask();
    msi.signal();
    msi.reset();
    msi.signal();
  },
  "an MSI without a trigger, until it gets one"(eventfd) {
    setMsi(null);
    msi.signal();
    setMsi(eventfd);
  },
  "an MSI before its trigger is taken away"(eventfd) {
    msi.signal();
    setMsi(null);
    setMsi(eventfd);
  },
  "an MSI before its trigger is replaced"(eventfd) {
    msi.signal();
    setMsi(other);
    setMsi(eventfd);
  },
  "an MSI before it is disabled"() {
    msi.signal();
    old.disable("msi");
  },
  "an MSI that is disabled, until it is enabled"(eventfd) {
    old.disable("msi");
    msi.signal();
    setMsi(eventfd);
  },
  "a line"() {
    intx.assert();
    intx.deassert();
  },
  "a line that is masked meanwhile"() {
    card.mask("intx");
    intx.assert();
    card.unmask("intx");
    intx.deassert();
  },
  "a line that its guest disables meanwhile"() {
    intx.disIntx = true;
    intx.assert();
    intx.disIntx = false;
    intx.deassert();
  },
  "a line before its device is reset"() {
    intx.assert();
    card.reset();
  },
  "a line before it is disabled"() {
    intx.assert();
    card.disable("intx");
    intx.deassert();
  },
  "a line that is disabled, until it is enabled"(eventfd) {
    card.disable("intx");
    intx.assert();
    setLine(eventfd);
    intx.deassert();
  },
  "a line without a trigger, until it gets one and is unmasked"(eventfd) {
    card.setTrigger("intx", 0, null);
    intx.assert(); // masks itself, and nobody is told
    setLine(eventfd);
    card.unmask("intx");
    intx.deassert();
  },
  "a line before its trigger is taken away"(eventfd) {
    intx.assert();
    card.setTrigger("intx", 0, null);
    setLine(eventfd);
    intx.deassert();
  },
  "a line before its trigger is replaced"(eventfd) {
    intx.assert();
    setLine(other);
    setLine(eventfd);
    intx.deassert();
  },
  "an error": () => nic.reportError(),
  "an error for nobody, and one for its eventfd"(eventfd) {
    setError(null);
    nic.reportError();
    setError(eventfd);
    nic.reportError();
  },
  "an error before the device is reset"() {
    nic.reportError();
    nic.reset();
  },
  "an error before its eventfd is taken away"(eventfd) {
    nic.reportError();
    setError(null);
    setError(eventfd);
  },
  "a request": () => nic.requestRelease(),
  "a request for nobody, and one for its eventfd"(eventfd) {
    setRequest(null);
    nic.requestRelease();
    setRequest(eventfd);
    nic.requestRelease();
  },
  "a request before the device is reset"() {
    nic.requestRelease();
    nic.reset();
  },
  "a request before its eventfd is taken away"(eventfd) {
    nic.requestRelease();
    setRequest(null);
    setRequest(eventfd);
  },
  "a virtqueue": () => queue.signal(),
  "a virtqueue for nobody, and for its call"(eventfd) {
    session.setVringCall(0, null);
    queue.signal();
    session.setVringCall(0, eventfd);
    queue.signal();
  },
  "a virtqueue before the device is reset"() {
    queue.signal();
    session.setStatus(0);
  },
  "a virtqueue of a device that was reset, and is set up again"(eventfd) {
    session.setStatus(0);
    queue.signal();
    setQueue(eventfd);
    queue.signal();
  },
  "a virtqueue before its call is replaced"(eventfd) {
    queue.signal();
    session.setVringCall(0, other);
    session.setVringCall(0, eventfd);
  },
  "a virtqueue before its call is taken away"(eventfd) {
    queue.signal();
    session.setVringCall(0, null);
    session.setVringCall(0, eventfd);
  },
  "a configuration": () => disk.configChanged(),
  "a configuration for nobody, and for its call"(eventfd) {
    session.setConfigCall(null);
    disk.configChanged();
    session.setConfigCall(eventfd);
    disk.configChanged();
  },
  "a configuration before the device is reset"() {
    disk.configChanged();
    session.setStatus(0);
  },
  "a configuration before its call is replaced"(eventfd) {
    disk.configChanged();
    session.setConfigCall(other);
    session.setConfigCall(eventfd);
  },
  "a configuration before its call is taken away"(eventfd) {
    disk.configChanged();
    session.setConfigCall(null);
    session.setConfigCall(eventfd);
  },
  "a configuration of a device that was reset, and is set up again"(eventfd) {
    session.setStatus(0);
    disk.configChanged();
    setConfig(eventfd);
    disk.configChanged();
  },
};

let eventfd: EventfdContext | undefined;
let connect = setTrigger;
playRounds(work, random(7), (target, play) => {
  connect(null);
  session.setStatus(0);
  eventfd?.close();
  const given = (kinds === "none" ? Eventfd : LinuxEventfd).open(host, target);
  eventfd = given;
  const name = PLAYS[play]!;
  connect = sourceOf(name);
  connect(given);
  return () => plays[name](given);
});
for (const device of [nic, old, card]) device.dispose();
session.release();
host.dispose();
