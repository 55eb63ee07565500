// One process at a time, whatever it is part of: a lock of the machine that ends with its holder, however that ends. It is the
// name of an abstract socket, which only Linux has; elsewhere nothing is locked.
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const LINUX = process.platform === "linux";
const RETRY_MS = 50;

/** Runs `body` while no other process of this machine is in a `withLock` of the same name; waits for it as long as it takes. */
export async function withLock(name, body) {
  const release = LINUX ? await acquire(`\0irqbypass-${name}`) : async () => {};
  try {
    return await body();
  } finally {
    await release();
  }
}

async function acquire(path) {
  const waiting = new Set();
  for (;;) {
    const server = createServer((socket) => {
      waiting.add(socket.on("error", () => {}).on("close", () => waiting.delete(socket)));
    });
    const got = await new Promise((resolve, reject) => {
      server.once("listening", () => resolve(true));
      server.once("error", (error) => (error.code === "EADDRINUSE" ? resolve(false) : reject(error)));
      server.listen(path);
    });
    if (!got) {
      await holderGone(path);
      continue;
    }
    return () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of waiting) socket.destroy();
      return closed;
    };
  }
}

/** Resolves when whoever holds the lock has given it back, or has ended. */
async function holderGone(path) {
  await new Promise((resolve) => {
    connect(path)
      .on("error", () => {})
      .on("close", resolve)
      .resume();
  });
  await sleep(RETRY_MS); // of those that waited one gets it; the others come back here
}
