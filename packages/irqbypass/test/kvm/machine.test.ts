import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ERRNO, IrqBypassError } from "#src/host/errors.js";
import { createMemory } from "#src/host/wasm.js";
import { whyNoKvm } from "#src/kvm/available.js";
import { bootGuest, guestPages } from "#src/kvm/guest.js";
import { KVM_CHECK_EXTENSION, KVM_CREATE_IRQCHIP, KVM_SET_CPUID2 } from "#src/kvm/ioctl.js";
import { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine, signalMsi } from "#src/kvm/machine.js";
import { enableLapic, encodeMsi, msiTo, requestedVectors } from "#src/kvm/structs.js";
import { EventfdFile } from "#src/linux/eventfd-file.js";
import type { Ffi } from "#src/linux/ffi.js";
import { loadFfi } from "#src/linux/koffi.js";
import { linux } from "../linux/available.js";
import { openDescriptors } from "../linux/descriptors.js";
import { kvmTests } from "./available.js";

describe("opening /dev/kvm", linux, () => {
  const opening = (result: number): Ffi => ({ ...loadFfi(), open: () => result });

  it("says which: another architecture, absent, not allowed, no driver, not KVM", () => {
    const cases: [Parameters<typeof Kvm.open>[0], string, RegExp][] = [
      [{ arch: "arm64" }, "ENOSYS", /x86 code; this machine is arm64/],
      [{ path: "/nonexistent/kvm" }, "ENOENT", /\/nonexistent\/kvm does not exist/],
      [
        { ffi: opening(-ERRNO.EACCES) },
        "EACCES",
        /\/dev\/kvm may not be opened by this user: join the group/,
      ],
      [{ ffi: opening(-ERRNO.EPERM) }, "EPERM", /device rules/],
      [{ ffi: opening(-ERRNO.ENODEV) }, "ENODEV", /virtualization is off/],
      [{ ffi: opening(-ERRNO.EMFILE) }, "EMFILE", /open on \/dev\/kvm failed with EMFILE \(errno 24\)/],
      [{ path: "/dev/null" }, "ENOTTY", /KVM_GET_API_VERSION on \/dev\/null failed with ENOTTY \(errno 25\)/],
    ];
    const before = openDescriptors();
    for (const [options, code, message] of cases) {
      assert.throws(() => Kvm.open({ arch: "x64", ...options }), { code, message });
      const why = whyNoKvm({ arch: "x64", ...options });
      assert.ok(why instanceof IrqBypassError);
      assert.equal(why.code, code);
    }
    assert.deepEqual(openDescriptors(), before);
  });
});

describe("a machine of KVM", kvmTests, () => {
  const boot = (vcpus = 1, options: ConstructorParameters<typeof KvmMachine>[1] = {}) => {
    using kvm = Kvm.open();
    const machine = new KvmMachine(kvm, { pages: guestPages(vcpus), ...options });
    bootGuest(machine, vcpus);
    return machine;
  };

  it("needs an in-kernel irqchip, and says so", () => {
    const real = loadFfi();
    const ffi: Ffi = {
      ...real,
      ioctl: (fd, request, argument) =>
        request === KVM_CHECK_EXTENSION.request && argument === 0 ? 0 : real.ioctl(fd, request, argument),
    };
    const before = openDescriptors();
    assert.throws(() => Kvm.open({ ffi }), {
      code: "EOPNOTSUPP",
      message: /no in-kernel irqchip: KVM_CAP_IRQCHIP missing/,
    });
    assert.deepEqual(openDescriptors(), before);
  });

  it("leaves nothing open where a step of its making fails, and makes a request again that a signal met", () => {
    using kvm = Kvm.open();
    const before = openDescriptors();
    const failing = (name: { request: number }, errno: number, times = Number.POSITIVE_INFINITY): Kvm => {
      const fail = (request: number) => request === name.request && times-- > 0;
      const ffi: Ffi = {
        ...kvm.ffi,
        ioctl: (fd, request, arg) => (fail(request) ? -errno : kvm.ffi.ioctl(fd, request, arg)),
        ioctlBuffer: (fd, request, arg) => (fail(request) ? -errno : kvm.ffi.ioctlBuffer(fd, request, arg)),
      };
      return Object.create(kvm, {
        ffi: { value: ffi },
        fd: { value: kvm.fd },
        runBytes: { value: kvm.runBytes },
        supportedCpuid: { value: kvm.supportedCpuid },
      }) as Kvm;
    };
    assert.throws(() => new KvmMachine(failing(KVM_CREATE_IRQCHIP, ERRNO.ENOMEM)), {
      code: "ENOMEM",
      syscall: "KVM_CREATE_IRQCHIP",
      message: /KVM_CREATE_IRQCHIP on VM fd \d+ failed with ENOMEM \(errno 12\)/,
    });
    assert.deepEqual(openDescriptors(), before);
    {
      using machine = new KvmMachine(failing(KVM_SET_CPUID2, ERRNO.EINVAL));
      const made = openDescriptors();
      assert.throws(() => machine.createVcpu(), { syscall: "KVM_SET_CPUID2", subject: "vCPU 0" });
      assert.deepEqual(openDescriptors(), made);
    }
    assert.deepEqual(openDescriptors(), before);
    using machine = new KvmMachine(failing(KVM_CREATE_IRQCHIP, ERRNO.EINTR, 2));
    assert.throws(() => new KvmMachine(kvm, { memory: { buffer: new ArrayBuffer(65536) } }), {
      code: "EINVAL",
    });
    assert.throws(() => new KvmMachine(kvm, { memory: createMemory(0) }), { code: "EINVAL" });
    assert.throws(() => bootGuest(machine, 15), { code: "EINVAL", message: /needs 131072 bytes/ });
    assert.throws(() => bootGuest(machine, 0), { code: "EINVAL" });
  });

  it("closes every descriptor at dispose, twice without harm", () => {
    using kvm = Kvm.open();
    const before = openDescriptors();
    const machine = new KvmMachine(kvm, { pages: guestPages(3) });
    bootGuest(machine, 3);
    assert.ok(openDescriptors().length > before.length);
    machine[Symbol.dispose]();
    machine[Symbol.dispose]();
    assert.deepEqual(openDescriptors(), before);
    assert.throws(() => machine.setGsiRouting([]), { code: "EBADF", message: /closed by dispose/ });
    assert.throws(() => machine.createVcpu(), { code: "EBADF" });
    assert.throws(() => machine.vcpus[0]!.start(), { code: "EBADF" });
    assert.throws(() => machine.vcpus[0]!.lapic(), { code: "EBADF" });
  });

  it("holds a message for a vCPU that does not run", () => {
    using machine = boot(2);
    assert.equal(machine.signalMsi(msiTo(1, 0x41)), true);
    assert.equal(signalMsi(machine.ffi, machine.fd, encodeMsi(msiTo(1, 0xff))), true);
    assert.equal(machine.signalMsi(msiTo(7, 0x41)), false, "no such local APIC");
    assert.deepEqual(requestedVectors(machine.vcpus[0]!.lapic()), []);
    assert.deepEqual(requestedVectors(machine.vcpus[1]!.lapic()), [0x41, 0xff]);
    assert.throws(() => machine.vcpus[0]!.setLapic(new Uint8Array(8)), { code: "EINVAL" });
  });

  it("has one irqfd for an eventfd, in any machine and through any dup", () => {
    using first = boot();
    using second = boot();
    using eventfd = EventfdFile.create(first.ffi);
    using again = EventfdFile.dup(first.ffi, eventfd.fd);
    first.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 });
    const busy = { code: "EBUSY", syscall: "KVM_IRQFD", message: /assigning eventfd \d+ to GSI 24/ };
    assert.throws(() => first.assignIrqfd({ eventfd: again.fd, gsi: 24 }), busy);
    assert.throws(() => second.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 }), busy);
    first.deassignIrqfd({ eventfd: again.fd, gsi: 25 });
    assert.throws(() => second.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 }), busy, "the pair decides");
    first.deassignIrqfd({ eventfd: again.fd, gsi: 24 });
    second.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 });
    second[Symbol.dispose]();
    first.assignIrqfd({ eventfd: eventfd.fd, gsi: 0xffff_ffff });
    assert.throws(() => first.assignIrqfd({ eventfd: 9999, gsi: 24 }), {
      code: "EBADF",
      syscall: "KVM_IRQFD",
    });
    assert.throws(() => first.deassignIrqfd({ eventfd: 9999, gsi: 24 }), { code: "EBADF" });
  });

  it("keeps its routing table where a new one is refused", () => {
    using machine = boot();
    using eventfd = EventfdFile.create(machine.ffi);
    machine.setGsiRouting([{ gsi: 24, msi: msiTo(0, 0x41) }]);
    machine.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 });
    assert.throws(
      () =>
        machine.setGsiRouting([
          { gsi: 24, msi: msiTo(0, 0x42) },
          { gsi: 10, chip: 2, pin: 24 },
        ]),
      { code: "EINVAL", syscall: "KVM_SET_GSI_ROUTING", message: /table of 2 routes/ },
    );
    eventfd.write();
    assert.deepEqual(requestedVectors(machine.vcpus[0]!.lapic()), [0x41]);
    assert.equal(eventfd.count, 0n, "the irqfd took the count");
    machine.setGsiRouting([{ gsi: 24, msi: msiTo(0, 0x42) }]);
    eventfd.write();
    assert.deepEqual(requestedVectors(machine.vcpus[0]!.lapic()), [0x41, 0x42]);
  });

  it("raises and lowers lines of the I/O APIC, by hand and by a resampled irqfd", () => {
    using machine = boot();
    using eventfd = EventfdFile.create(machine.ffi);
    using resample = EventfdFile.create(machine.ffi);
    machine.setGsiRouting([{ gsi: 10, chip: 2, pin: 10 }]);
    const asserted = () => machine.ioapic().irr & (1 << 10);
    assert.equal(machine.ioapic().pins.length, 24);
    machine.setIrqLine(10, true);
    assert.notEqual(asserted(), 0);
    machine.setIrqLine(10, false);
    assert.equal(asserted(), 0);
    const level = { eventfd: eventfd.fd, gsi: 10, resample: resample.fd };
    machine.assignIrqfd(level);
    eventfd.write();
    // Not an MSI, so the kernel injects it from a work item.
    const deadline = Date.now() + 20_000;
    while (asserted() === 0) assert.ok(Date.now() < deadline, "the line was not raised");
    machine.deassignIrqfd(level);
    assert.equal(asserted(), 0, "deassign lets the line down");
  });

  it("without PICs and I/O APIC takes messages alone, without any chip nothing", () => {
    using kvm = Kvm.open();
    using eventfd = EventfdFile.create(kvm.ffi);
    using split = new KvmMachine(kvm, { irqchip: "split" });
    bootGuest(split, 1);
    assert.throws(() => split.assignIrqfd({ eventfd: eventfd.fd, gsi: 10, resample: eventfd.fd }), {
      code: "EINVAL",
    });
    assert.throws(() => split.setGsiRouting([{ gsi: 10, chip: 2, pin: 10 }]), { code: "EINVAL" });
    split.setGsiRouting([{ gsi: 24, msi: msiTo(0, 0x41) }]);
    split.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 });
    eventfd.write();
    assert.deepEqual(requestedVectors(split.vcpus[0]!.lapic()), [0x41]);
    using none = new KvmMachine(kvm, { irqchip: "none" });
    using other = EventfdFile.create(kvm.ffi);
    assert.throws(() => none.assignIrqfd({ eventfd: other.fd, gsi: 24 }), {
      code: "EINVAL",
      syscall: "KVM_IRQFD",
    });
  });

  it("takes no message before software has enabled the local APIC", () => {
    using kvm = Kvm.open();
    using machine = new KvmMachine(kvm);
    const vcpu = machine.createVcpu();
    machine.signalMsi(msiTo(0, 0x41));
    assert.deepEqual(requestedVectors(vcpu.lapic()), []);
    const lapic = vcpu.lapic();
    enableLapic(lapic);
    vcpu.setLapic(lapic);
    machine.signalMsi(msiTo(0, 0x41));
    assert.deepEqual(requestedVectors(vcpu.lapic()), [0x41]);
  });
});
