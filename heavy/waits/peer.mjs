// The other end of a round trip in a page: as the benchmark's, in a worker of a browser.
import { Host, Vcpu } from "irqbypass";
import { answerTrips, joined, openEnd } from "../../bench/build/harness/trips.js";
import { answer, pause } from "./words.mjs";

/** Answers on its event loop, in slices of 50 us, after each of which it looks and returns to the loop. */
function inSlices(look) {
  const { port1, port2 } = new MessageChannel(); // a timer's shortest time is 4 ms
  port1.onmessage = () => {
    pause(0.05);
    look();
    port2.postMessage(0);
  };
  port2.postMessage(0);
}

const ROLES = {
  builds(_words, kind) {
    postMessage(joined(kind));
  },

  answers(_words, { words, joined }) {
    const own = openEnd(joined, 1);
    postMessage("ready");
    answerTrips(words, own);
  },

  armed(words, { host, vcpu: handle }) {
    const vcpu = Vcpu.open(Host.attach(host), handle);
    const into = new Uint32Array(8);
    const idle = () => {
      do {
        if (vcpu.take(into)) answer(words);
      } while (!vcpu.arm(idle));
    };
    idle();
    postMessage("ready");
  },

  armedBusy(words, { host, vcpu: handle }) {
    const vcpu = Vcpu.open(Host.attach(host), handle);
    const into = new Uint32Array(8);
    inSlices(() => {
      if (vcpu.hasInterrupt() && vcpu.take(into)) answer(words);
    });
    postMessage("ready");
  },

  messages(words) {
    addEventListener("message", () => answer(words));
    postMessage("ready");
  },

  messagesBusy(words) {
    addEventListener("message", () => answer(words));
    inSlices(() => {});
    postMessage("ready");
  },

  computes() {
    postMessage("ready");
    for (;;);
  },
};

addEventListener("message", ({ data: { role, words, data } }) => ROLES[role](words, data), { once: true });
