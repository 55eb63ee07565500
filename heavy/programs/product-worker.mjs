// A worker of a page's program: does one job on a host, and says what came of it.
import { Epoll, Eventfd, Host, InterruptFile, Vcpu, VfioPciDevice } from "irqbypass";

const LIMIT = { timeoutMs: 30_000 };
const ready = () => postMessage({ ready: true });

const JOBS = {
  wait(host, handle) {
    const vcpu = Vcpu.open(host, handle);
    ready();
    const woke = vcpu.wait(LIMIT);
    const vector = vcpu.acknowledge();
    vcpu.eoi();
    vcpu.put();
    return `${woke} ${vector}`;
  },
  read(host, handle) {
    const eventfd = Eventfd.open(host, handle);
    ready();
    const count = eventfd.read(LIMIT);
    eventfd.close();
    return Number(count);
  },
  epoll(host, handle) {
    const epoll = Epoll.open(host, handle);
    ready();
    const found = epoll.wait(LIMIT);
    epoll.close();
    return found;
  },
  block(_host, { memory, byteOffset }) {
    const file = InterruptFile.open(memory, byteOffset);
    ready();
    return file.block(LIMIT);
  },
  /** Signals without end, until it is ended. */
  async storm(host, handle) {
    const nic = new VfioPciDevice(host, { msix: 1 });
    nic.setTrigger("msix", 0, Eventfd.open(host, handle));
    const vector = nic.vector("msix", 0);
    await host.provable();
    ready();
    for (;;) vector.signal();
  },
  /** Blocks for good, when its end would prove itself. */
  async hold(host, handle) {
    await host.provable();
    return JOBS.holdAtOnce(host, handle);
  },
  /** Blocks as soon as it has attached, without its event loop. */
  holdAtOnce(host, handle) {
    const vcpu = Vcpu.open(host, handle);
    ready();
    for (;;) vcpu.wait();
  },
};

addEventListener(
  "message",
  async ({ data: { host: handle, name, job, given } }) => {
    const host = Host.attach(handle, { name });
    let said;
    try {
      said = { result: await JOBS[job](host, given), fastPath: host.fastPath };
    } catch (error) {
      said = { error: String(error) };
    }
    host.dispose(); // first: who has the result audits the host, and nothing is to be under way there
    postMessage(said);
    close();
  },
  { once: true },
);
