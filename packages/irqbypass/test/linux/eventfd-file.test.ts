import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { describe, it } from "node:test";
import { Kvm } from "#src/kvm/kvm.js";
import { EventfdFile } from "#src/linux/eventfd-file.js";
import { eventfdInfo, parseEventfdInfo } from "#src/linux/eventfd-info.js";
import type { Ffi } from "#src/linux/ffi.js";
import { loadFfi } from "#src/linux/koffi.js";
import { linux } from "./available.js";
import { openDescriptors } from "./descriptors.js";

describe("fdinfo of an eventfd", () => {
  const text =
    "pos:\t0\nflags:\t02004002\nmnt_id:\t16\nino:\t1\neventfd-count:                ff\neventfd-id: 12\neventfd-semaphore: 1\n";

  it("gives id, hexadecimal count, semaphore and non-blocking", () => {
    assert.deepEqual(parseEventfdInfo(text, "fd 3"), {
      id: 12,
      count: 255n,
      semaphore: true,
      nonblocking: true,
    });
    const older = text.replace(/eventfd-semaphore.*\n/, "").replace("02004002", "02000002");
    assert.deepEqual(parseEventfdInfo(older, "fd 3"), {
      id: 12,
      count: 255n,
      semaphore: false,
      nonblocking: false,
    });
  });

  it("is refused without a usable id", () => {
    assert.throws(() => parseEventfdInfo(text.replace("eventfd-id: 12", "eventfd-id: -1"), "fd 3"), {
      code: "ENOSPC",
      message: /fd 3 has eventfd-id -1/,
    });
    assert.throws(() => parseEventfdInfo(text.replace("eventfd-id: 12\n", ""), "fd 3"), {
      code: "ENOSYS",
      message: /5\.2/,
    });
    assert.throws(() => parseEventfdInfo("pos:\t0\nflags:\t02\n", "fd 3"), {
      code: "EINVAL",
      message: /fd 3 is not an eventfd/,
    });
  });
});

describe("an eventfd of the kernel", linux, () => {
  const ffi = linux.skip === false ? loadFfi() : undefined!;

  it("counts, and a read takes all", () => {
    using file = EventfdFile.create(ffi, { count: 2 });
    file.write();
    file.write(2n ** 40n);
    assert.equal(file.count, 2n ** 40n + 3n);
    assert.equal(file.read(), 2n ** 40n + 3n);
    assert.throws(() => file.read(), { code: "EAGAIN", syscall: "read" });
  });

  it("as a semaphore gives one at a time", () => {
    using file = EventfdFile.create(ffi, { count: 2, semaphore: true });
    assert.deepEqual([file.read(), file.read(), file.count], [1n, 1n, 0n]);
    assert.equal(file.semaphore, true);
  });

  it("has no room above 2^64 - 2 and refuses what is no count", () => {
    using file = EventfdFile.create(ffi);
    file.write(2n ** 64n - 2n);
    assert.throws(() => file.write(), { code: "EAGAIN", syscall: "write" });
    file.write(0);
    for (const bad of [-1, 1.5, Number.NaN, 2 ** 53, -1n, 2n ** 64n - 1n]) {
      assert.throws(() => file.write(bad), { code: "EINVAL" }, String(bad));
    }
    for (const bad of [-1, 1.5, 2 ** 32]) {
      assert.throws(() => EventfdFile.create(ffi, { count: bad }), { code: "EINVAL" }, String(bad));
    }
    assert.equal(file.read(), 2n ** 64n - 2n);
  });

  it("is the same across dup and differs from another", () => {
    using first = EventfdFile.create(ffi);
    using again = EventfdFile.dup(ffi, first.fd);
    using other = EventfdFile.create(ffi);
    assert.notEqual(again.fd, first.fd);
    assert.equal(again.id, first.id);
    assert.notEqual(other.id, first.id);
    again.write(5);
    assert.equal(first.read(), 5n);
  });

  it("is not mistaken for the one that takes over its descriptor number", () => {
    const fd = ffi.eventfd(0, 0);
    using held = EventfdFile.dup(ffi, fd);
    assert.equal(ffi.close(fd), 0);
    const reused = ffi.eventfd(0, 0);
    try {
      assert.equal(reused, fd, "the kernel gives the lowest free number");
      using other = EventfdFile.dup(ffi, reused);
      assert.notEqual(other.id, held.id);
      other.write(3);
      assert.equal(held.count, 0n);
    } finally {
      ffi.close(reused);
    }
  });

  it("refuses a closed descriptor and another kind of file, and leaves no descriptor behind", () => {
    const fd = openSync("/dev/null", "r");
    const before = openDescriptors();
    assert.throws(() => EventfdFile.dup(ffi, fd), { code: "EINVAL" });
    assert.deepEqual(openDescriptors(), before);
    closeSync(fd);
    assert.throws(() => EventfdFile.dup(ffi, fd), { code: "EBADF" });
    assert.throws(() => eventfdInfo(fd), { code: "EBADF" });
    for (const bad of [-1, 0.5, Number.NaN]) {
      assert.throws(() => EventfdFile.dup(ffi, bad), { code: "EBADF" });
    }
  });

  it("refuses what is no C library, as Kvm.open does", () => {
    const error = { code: "EINVAL", message: /: pass the C library, as loadFfi\(\) gives it$/ };
    for (const bad of [undefined, null, 3, "libc", () => ffi, {}, [], { fcntl: 1 }] as unknown[] as Ffi[]) {
      assert.throws(() => EventfdFile.create(bad), error);
      assert.throws(() => EventfdFile.dup(bad, 0), error);
      if (bad !== undefined && bad !== null) assert.throws(() => Kvm.open({ ffi: bad }), error);
    }
  });

  it("after dispose is an error that says so; dispose is idempotent", () => {
    const file = EventfdFile.create(ffi);
    const { fd } = file;
    file[Symbol.dispose]();
    using _taken = EventfdFile.create(ffi);
    assert.equal(_taken.fd, fd);
    file[Symbol.dispose]();
    assert.equal(_taken.count, 0n, "the second dispose closed nothing");
    assert.throws(() => file.write(), { code: "EBADF", message: /was closed by dispose/ });
  });
});
