// The end that measures, a worker of a page; says the report, of the same form as the benchmark's, when it has it.
import { Eventfd, Host, Vcpu } from "irqbypass";
import { buildPosted, VECTOR } from "../../bench/build/harness/machines.js";
import { wait } from "../../bench/build/suites/wait.js";
import { ACK, PING, PONG, pause, timeOf, WORDS } from "./words.mjs";

/** A worker in a role; resolves when it has said that it is ready. */
async function start(role, words, data) {
  const worker = new Worker(new URL("peer.js", import.meta.url), { type: "module" });
  await new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = ({ message }) => reject(new Error(`${role}: ${message}`));
    worker.postMessage({ role, words, data });
  });
  return worker;
}

/** One round trip of each kind. */
const TRIPS = {
  async "Atomics.wait and notify"(words) {
    const peer = await start("bare", words);
    let value = 0;
    const trip = () => {
      value += 1;
      Atomics.store(words, PING, value);
      Atomics.notify(words, PING);
      while (Atomics.load(words, PONG) !== value) Atomics.wait(words, PONG, value - 1);
    };
    return { peer, trip };
  },

  async "eventfd.read()"(words) {
    const host = Host.create();
    const [there, back] = [Eventfd.create(host), Eventfd.create(host)];
    const peer = await start("doorbells", words, {
      host: host.handle,
      eventfds: [there.handle, back.handle],
    });
    const trip = () => {
      there.signal();
      back.read();
    };
    return { peer, trip };
  },

  async "vcpu.wait()"(words) {
    const { host, vm, producers } = buildPosted(2);
    const mine = Vcpu.open(host, vm.vcpu(0).handle);
    const back = Eventfd.create(host);
    vm.setGsiRouting([0, 1, 0].map((vcpu, i) => ({ gsi: 24 + i, msi: { vcpu, vector: VECTOR } })));
    vm.irqfd(back, 26, { bypass: "require" });
    const data = { host: host.handle, vcpu: vm.vcpu(1).handle, eventfd: back.handle };
    const peer = await start("interrupts", words, data);
    const into = new Uint32Array(8);
    const trip = () => {
      producers[1].signal();
      mine.wait();
      mine.take(into);
    };
    return { peer, trip };
  },

  "postMessage, idle": (words) => byMessage("messages", words),
  "vcpu.arm(), idle": (words) => byPost("armed", words),
  "postMessage, busy": (words) => byMessage("messagesBusy", words),
  "vcpu.hasInterrupt(), busy": (words) => byPost("armedBusy", words),
};

async function byMessage(role, words) {
  const peer = await start(role, words);
  return { peer, trip: answered(words, () => peer.postMessage(0)) };
}

async function byPost(role, words) {
  const { host, vm, producers } = buildPosted(1);
  const peer = await start(role, words, { host: host.handle, vcpu: vm.vcpu(0).handle });
  return { peer, trip: answered(words, () => producers[0].signal()) };
}

/** There by `send`, back by a bare word for which it spins. */
function answered(words, send) {
  let seen = Atomics.load(words, ACK);
  return () => {
    send();
    while (Atomics.load(words, ACK) === seen);
    seen = Atomics.load(words, ACK);
  };
}

async function roundTrip(contestant, computing, batches) {
  const words = new Int32Array(new SharedArrayBuffer(4 * WORDS));
  const others = [];
  for (let left = computing; left > 0; left--) others.push(await start("computes"));
  const { peer, trip } = await TRIPS[contestant](words);
  pause(20);
  const figure = timeOf(trip, { batches, batch: 20 });
  for (const worker of [peer, ...others]) worker.terminate();
  return figure;
}

async function looks() {
  const [{ title, contestants }] = wait.trials(false);
  const rows = [];
  for (const contestant of contestants) {
    const round = await wait.contestants[contestant]({});
    const times = Array.from({ length: 15 }, () => round().values.call).sort((a, b) => a - b);
    rows.push({ contestant, figures: { call: { median: times[7] } } });
  }
  return { trials: [{ title, rows }] };
}

async function trips(trials, batches) {
  const report = [];
  for (const { title, parameters, contestants } of trials) {
    const rows = [];
    for (const contestant of contestants) {
      const median = await roundTrip(contestant, parameters.computing ?? 0, batches);
      rows.push({ contestant, figures: { typical: { median } } });
    }
    report.push({ title, rows });
  }
  return { trials: report };
}

addEventListener("message", async ({ data: { trials, batches } }) =>
  postMessage({ suites: [await looks(), await trips(trials, batches)] }),
);
