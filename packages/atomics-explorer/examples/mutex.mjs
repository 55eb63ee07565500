// A mutex in one word, as two threads take it: 0 free, 1 taken, 2 taken and somebody may sleep.
//   atomics-explorer ./mutex.mjs

const MUTEX = 0;
const INSIDE = 1;

/** Takes the mutex, and sleeps while another has it. */
function lock(words) {
  if (words.compareExchange(MUTEX, 0, 1) === 0) return;
  while (words.exchange(MUTEX, 2) !== 0) words.wait(MUTEX, 2, Infinity);
}

function unlock(words) {
  if (words.exchange(MUTEX, 0) === 2) words.notify(MUTEX, 1);
}

/** Two threads that enter once each; `inside` counts who is there, plainly, since the mutex guards it. */
const cast = (locking, unlocking) => (world) => {
  world.memory(2, ["mutex", "inside"]);
  const enter = (name) => {
    const words = world.words(name);
    return () => {
      if (locking(words) === false) return undefined;
      const before = words.get(INSIDE);
      words.set(INSIDE, before + 1);
      words.set(INSIDE, before);
      unlocking(words);
      return before;
    };
  };
  return {
    threads: { left: enter("left"), right: enter("right") },
    end({ left, right }) {
      if (left === 1 || right === 1) throw new Error("both were inside");
    },
  };
};

export const exclusion = {
  sentence: "One thread at a time is inside, and none sleeps for ever.",
  setup: cast(lock, unlock),
  twins: {
    "two-steps": {
      sentence: "looks whether the mutex is free, and takes it in another step",
      setup: cast((words) => {
        while (words.load(MUTEX) !== 0) words.relax();
        words.store(MUTEX, 1);
      }, unlock),
    },
    "no-notify": {
      sentence: "gives the mutex back and wakes nobody",
      setup: cast(lock, (words) => words.store(MUTEX, 0)),
    },
  },
};

export const death = {
  sentence: "A thread that dies beside the other does not keep it: it gets the mutex, or gives up in time.",
  kills: ["left"],
  timeouts: "stuck",
  setup: cast((words) => {
    if (words.compareExchange(MUTEX, 0, 1) === 0) return;
    while (words.exchange(MUTEX, 2) !== 0) if (words.wait(MUTEX, 2, 10) === "timed-out") return false;
  }, unlock),
  twins: {
    "waits-for-ever": { sentence: "waits without a time limit for whoever died", setup: cast(lock, unlock) },
  },
};
