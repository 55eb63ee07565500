import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { ERRNO, IrqBypassError } from "#src/host/errors.js";
import { createMemory } from "#src/host/wasm.js";
import { checked } from "#src/linux/checked.js";
import { O_CLOEXEC, O_RDWR, PROT_READ } from "#src/linux/ffi.js";
import { loadFfi } from "#src/linux/koffi.js";
import { KICK_SIGNAL, kickThread, onlyKickUnblocked, threadId } from "#src/linux/signal.js";
import { linux } from "./available.js";

const require = createRequire(import.meta.url);

describe("loading the FFI", () => {
  const refusal = (source: Parameters<typeof loadFfi>[0]) => {
    try {
      loadFfi(source);
    } catch (error) {
      assert.ok(error instanceof IrqBypassError);
      assert.equal(error.code, "ENOSYS");
      return error.message;
    }
    assert.fail("loaded");
  };

  it("names the platform where it is not Linux", () => {
    assert.match(refusal({ platform: "darwin", arch: "arm64", require }), /need Linux, this is darwin/);
  });

  it("says that koffi is not installed", () => {
    const without = (name: string) => {
      throw Object.assign(new Error(`Cannot find module '${name}'\nRequire stack:`), {
        code: "MODULE_NOT_FOUND",
      });
    };
    assert.match(
      refusal({ platform: "linux", arch: "x64", require: without }),
      /not installed; run: npm install koffi/,
    );
  });

  it("says that koffi has no binary for the machine, and keeps the cause", () => {
    const cause = new Error("Cannot find the native Koffi module; did you bundle it correctly?");
    const broken = () => {
      throw cause;
    };
    assert.match(
      refusal({ platform: "linux", arch: "mips", require: broken }),
      /no binary .* linux-mips .*native Koffi/,
    );
    assert.throws(() => loadFfi({ platform: "linux", arch: "mips", require: broken }), { cause });
  });
});

describe("the FFI on this machine", linux, () => {
  it("gives the negative errno value of a failed call", () => {
    const ffi = loadFfi();
    assert.equal(ffi.open("/nonexistent", O_RDWR | O_CLOEXEC, 0), -ERRNO.ENOENT);
    assert.equal(ffi.close(-1), -ERRNO.EBADF);
    assert.equal(ffi.mmap(4096, PROT_READ, 1, -1, 0), -ERRNO.EBADF);
    assert.equal(ffi.ioctl(-1, 0, 0), -ERRNO.EBADF);
  });

  it("passes shared memory in place", () => {
    const ffi = loadFfi();
    const memory = createMemory(1);
    const bytes = new Uint8Array(memory.buffer);
    const fd = checked(ffi.open("/dev/zero", O_RDWR | O_CLOEXEC, 0), "open", "/dev/zero");
    bytes.fill(0xaa);
    assert.equal(ffi.read(fd, bytes.subarray(8, 24)), 16);
    ffi.close(fd);
    assert.deepEqual([bytes[7], bytes[8], bytes[23], bytes[24]], [0xaa, 0, 0, 0xaa]);
    assert.equal(ffi.addressOf(bytes.subarray(100)), ffi.addressOf(bytes) + 100);
    bytes[200] = 77;
    const copy = new Uint8Array(2);
    ffi.copyFrom(ffi.addressOf(bytes) + 199, copy);
    assert.deepEqual([...copy], [0xaa, 77]);
  });

  it("errors name the call, the object and the number, also of codes that have no name here", () => {
    assert.throws(() => checked(-22, "KVM_IRQFD", "fd 3", "look at the flags"), {
      code: "EINVAL",
      errno: -22,
      syscall: "KVM_IRQFD",
      subject: "fd 3",
      message: "EINVAL: KVM_IRQFD on fd 3 failed with EINVAL (errno 22); look at the flags",
    });
    assert.throws(() => checked(-71, "x", "y"), { code: "EIO", message: /EPROTO \(errno 71\)/ });
  });

  it("waits for an eventfd with epoll", () => {
    const ffi = loadFfi();
    const epoll = checked(ffi.epollCreate(O_CLOEXEC), "epoll_create1", "epoll");
    const eventfd = checked(ffi.eventfd(0, O_CLOEXEC), "eventfd", "eventfd");
    try {
      // struct epoll_event is packed on x86-64 only; the data follows the events at 4 there, at 8 elsewhere.
      const event = new Uint8Array(16);
      new DataView(event.buffer).setUint32(0, 1, true);
      assert.equal(ffi.epollControl(epoll, 1, eventfd, event), 0);
      assert.equal(ffi.epollWait(epoll, new Uint8Array(16), 1, 0), 0);
      assert.equal(ffi.write(eventfd, new BigUint64Array([1n])), 8);
      assert.equal(ffi.epollWait(epoll, new Uint8Array(16), 1, -1), 1);
    } finally {
      ffi.close(epoll);
      ffi.close(eventfd);
    }
  });

  it("works in several threads at once", async () => {
    const code = `
      const { parentPort } = require("node:worker_threads");
      import(${JSON.stringify(import.meta.resolve("#src/linux/koffi.js"))}).then(({ loadFfi }) => {
        const ffi = loadFfi();
        let bad = 0;
        for (let i = 0; i < 20000; i++) if (ffi.close(-1) !== -9 || ffi.open("/nonexistent", 0, 0) !== -2) bad++;
        parentPort.postMessage(bad);
      });`;
    const answers = Array.from(
      { length: 3 },
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(code, { eval: true });
          worker.once("message", resolve).once("error", reject);
        }),
    );
    assert.deepEqual(await Promise.all(answers), [0, 0, 0]);
  });
});

describe("the kick signal", linux, () => {
  it("is blocked in the thread alone and stays pending", async () => {
    const code = `
      const { parentPort } = require("node:worker_threads");
      const { readFileSync } = require("node:fs");
      Promise.all([${["koffi", "signal"].map((name) => `import(${JSON.stringify(import.meta.resolve(`#src/linux/${name}.js`))})`)}]).then(([k, s]) => {
        const ffi = k.loadFfi();
        s.blockKick(ffi);
        const tid = s.threadId();
        const sent = s.kickThread(ffi, tid);
        parentPort.postMessage({ tid, sent, status: readFileSync("/proc/self/task/" + tid + "/status", "latin1") });
      });`;
    const worker = new Worker(code, { eval: true });
    const { tid, sent, status } = await new Promise<{ tid: number; sent: boolean; status: string }>(
      (resolve, reject) => worker.once("message", resolve).once("error", reject),
    );
    const bit = 1n << BigInt(KICK_SIGNAL - 1);
    const mask = (text: string, name: string) =>
      BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)`, "m").exec(text)?.[1]}`);
    assert.equal(sent, true);
    assert.notEqual(tid, threadId());
    assert.equal(mask(status, "SigBlk") & bit, bit);
    assert.equal(mask(status, "SigPnd") & bit, bit);
    const mine = readFileSync(`/proc/self/task/${threadId()}/status`, "latin1");
    assert.equal(mask(mine, "SigBlk") & bit, 0n);
  });

  it("says where the thread is gone", () => {
    // Above the kernel's highest thread id, 2^22.
    assert.equal(kickThread(loadFfi(), 2 ** 22 + 1), false);
  });

  it("has a mask that leaves only it open", () => {
    const open = [...onlyKickUnblocked()].flatMap((byte, index) =>
      Array.from({ length: 8 }, (_, bit) => index * 8 + bit + 1).filter(
        (n) => !(byte & (1 << ((n - 1) & 7))),
      ),
    );
    assert.deepEqual(open, [KICK_SIGNAL]);
  });
});
