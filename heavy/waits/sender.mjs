// The end that measures, a worker of a page; says the report, of the same form as the benchmark's, when it has it.
import { buildPosted } from "../../bench/build/harness/machines.js";
import { openEnd, Trips, tripWords } from "../../bench/build/harness/trips.js";
import { wait } from "../../bench/build/suites/wait.js";
import { ACK, median, pause, typicalOf, WORDS } from "./words.mjs";

/** A worker in a role, and what it says once it is ready. */
async function begin(role, words, data) {
  const worker = new Worker(new URL("peer.js", import.meta.url), { type: "module" });
  const said = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(`${role}: ${message}`));
    worker.postMessage({ role, words, data });
  });
  return { worker, said };
}

const start = async (...what) => (await begin(...what)).worker;

/** One trip to an event loop, of each kind. */
const TO_LOOP = {
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

/** There by `send`, back by a bare word for which it sleeps: awake it would want a core that the other end may want. */
function answered(words, send) {
  return () => {
    const seen = Atomics.load(words, ACK);
    Atomics.wait(words, ACK, seen, Math.random() / 5); // anywhere in a slice of the other's work
    const start = performance.now();
    send();
    while (Atomics.load(words, ACK) === seen) Atomics.wait(words, ACK, seen);
    return performance.now() - start;
  };
}

async function computes(count) {
  const workers = [];
  for (let left = count; left > 0; left--) workers.push(await start("computes"));
  return workers;
}

/** Nanoseconds a trip. */
async function toLoop(contestant, batches) {
  const words = new Int32Array(new SharedArrayBuffer(4 * WORDS));
  const { peer, trip } = await TO_LOOP[contestant](words);
  pause(20);
  const typical = typicalOf(trip, { batches, batch: 20 });
  peer.terminate();
  return { typical };
}

/** There and back between two threads that sleep, beside a bare wait of the same two, turn by turn. */
async function between(kind, computing, batches) {
  const words = tripWords();
  // In a third thread, as the benchmark does: whoever has created a host sees to the wishes of others when it waits.
  const { worker: builder, said: both } = await begin("builds", words, kind);
  const others = await computes(computing);
  const peer = await start("answers", words, { words, joined: both });
  const trips = new Trips(words, openEnd(both, 0));
  const times = { bare: [], own: [] };
  for (let left = batches; left > 0; left--) {
    for (const what of ["bare", "own"]) {
      let begun = 0;
      const count = trips.take(what, () => {
        begun = performance.now();
      });
      times[what].push(((performance.now() - begun) * 1e6) / count);
    }
  }
  for (const worker of [peer, builder, ...others]) worker.terminate();
  const [typical, bare] = [median(times.own), median(times.bare)];
  return { typical, bare, over: (1000 * typical) / bare };
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

const KINDS = { "eventfd.read()": "doorbells", "vcpu.wait()": "interrupts" };

async function trips(trials, batches) {
  const report = [];
  for (const { title, parameters, contestants } of trials) {
    const rows = [];
    for (const contestant of contestants) {
      const kind = KINDS[contestant];
      const figures = kind
        ? await between(kind, parameters.computing ?? 0, batches)
        : await toLoop(contestant, batches);
      const shown = Object.entries(figures).map(([key, value]) => [key, { median: value }]);
      rows.push({ contestant, figures: Object.fromEntries(shown) });
    }
    report.push({ title, rows });
  }
  return { trials: report };
}

addEventListener("message", async ({ data: { trials, batches } }) =>
  postMessage({ suites: [await looks(), await trips(trials, batches)] }),
);
