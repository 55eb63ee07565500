import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ioctls from "#src/kvm/ioctl.js";
import * as structs from "#src/kvm/structs.js";

// As a C compiler prints them from linux/kvm.h on x86-64.
const header: Readonly<Record<string, number>> = {
  KVM_GET_API_VERSION: 44544,
  KVM_CREATE_VM: 44545,
  KVM_CHECK_EXTENSION: 44547,
  KVM_GET_VCPU_MMAP_SIZE: 44548,
  KVM_GET_SUPPORTED_CPUID: 3221794309,
  KVM_CREATE_VCPU: 44609,
  KVM_SET_USER_MEMORY_REGION: 1075883590,
  KVM_SET_TSS_ADDR: 44615,
  KVM_SET_IDENTITY_MAP_ADDR: 1074310728,
  KVM_CREATE_IRQCHIP: 44640,
  KVM_IRQ_LINE: 1074310753,
  KVM_GET_IRQCHIP: 3255348834,
  KVM_SET_IRQCHIP: 2181607011,
  KVM_IRQ_LINE_STATUS: 3221794407,
  KVM_SET_GSI_ROUTING: 1074310762,
  KVM_IRQFD: 1075883638,
  KVM_IOEVENTFD: 1077980793,
  KVM_ENABLE_CAP: 1080602275,
  KVM_SIGNAL_MSI: 1075883685,
  KVM_RUN: 44672,
  KVM_GET_REGS: 2156965505,
  KVM_SET_REGS: 1083223682,
  KVM_GET_SREGS: 2167975555,
  KVM_SET_SREGS: 1094233732,
  KVM_SET_SIGNAL_MASK: 1074048651,
  KVM_GET_LAPIC: 2214637198,
  KVM_SET_LAPIC: 1140895375,
  KVM_SET_CPUID2: 1074310800,
  KVM_GET_MP_STATE: 2147790488,
  KVM_SET_MP_STATE: 1074048665,
  KVM_SET_VCPU_EVENTS: 1077980832,
};

describe("KVM's requests", () => {
  it("have the names and numbers of the kernel's header", () => {
    const ours = Object.fromEntries(
      Object.entries(ioctls).flatMap(([key, value]) =>
        typeof value === "object" && "request" in value ? [[key, value]] : [],
      ),
    );
    assert.deepEqual(Object.keys(ours).sort(), Object.keys(header).sort());
    for (const [key, value] of Object.entries(ours)) {
      assert.deepEqual(value, { name: key, request: header[key] });
    }
  });

  it("name the exits of KVM_RUN", () => {
    const names = [0, 2, 8, 9, 10, 17, 24, 63].map(ioctls.exitReasonName);
    assert.deepEqual(names, [
      "KVM_EXIT_UNKNOWN",
      "KVM_EXIT_IO",
      "KVM_EXIT_SHUTDOWN",
      "KVM_EXIT_FAIL_ENTRY",
      "KVM_EXIT_INTR",
      "KVM_EXIT_INTERNAL_ERROR",
      "KVM_EXIT_SYSTEM_EVENT",
      "exit reason 63",
    ]);
  });
});

describe("KVM's structures", () => {
  it("lay out an irqfd and its mirror image", () => {
    assert.deepEqual(
      [...structs.encodeIrqfdAssign({ eventfd: 7, gsi: 0xffff_ffff })],
      [7, 0xffff_ffff, 0, 0, 0, 0, 0, 0],
    );
    const level = { eventfd: 7, gsi: 10, resample: 8 };
    assert.deepEqual([...structs.encodeIrqfdAssign(level)], [7, 10, 2, 8, 0, 0, 0, 0]);
    assert.equal(structs.encodeIrqfdDeassign(level)[2], 1);
  });

  it("lay out a routing table", () => {
    const msi = { addressLow: 1, addressHigh: 2, data: 3 };
    const table = structs.encodeRouting([
      { gsi: 24, msi },
      { gsi: 10, chip: 2, pin: 11 },
    ]);
    assert.equal(table.byteLength, 8 + 2 * 48);
    assert.deepEqual(
      [...table],
      [2, 0, 24, 2, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 10, 1, 0, 0, 2, 11, 0, 0, 0, 0, 0, 0],
    );
    assert.equal(structs.encodeRouting([]).byteLength, 8);
  });

  it("lay out messages", () => {
    assert.deepEqual(structs.msiTo(3, 0x41), { addressLow: 0xfee0_3000, addressHigh: 0, data: 0x41 });
    assert.deepEqual([...structs.encodeMsi(structs.msiTo(0, 255))], [0xfee0_0000, 0, 255, 0, 0, 0, 0, 0]);
  });

  it("refuse numbers that do not fit instead of cutting them", () => {
    for (const gsi of [-1, 0.5, 2 ** 32, Number.NaN]) {
      assert.throws(() => structs.encodeIrqfdAssign({ eventfd: 3, gsi }), { code: "EINVAL" });
      assert.throws(() => structs.encodeRouting([{ gsi, chip: 0, pin: 0 }]), { code: "EINVAL" });
      assert.throws(() => structs.encodeIrqLevel(gsi, true), { code: "EINVAL" });
      assert.throws(() => structs.encodeIrqfdAssign({ eventfd: gsi, gsi: 1 }), { code: "EBADF" });
      assert.throws(() => structs.encodeIrqfdAssign({ eventfd: 3, gsi: 1, resample: gsi }), {
        code: "EBADF",
      });
    }
    for (const id of [-1, 255, 1.5]) assert.throws(() => structs.msiTo(id, 0x41), { code: "EINVAL" });
    for (const vector of [15, 256, 32.5]) assert.throws(() => structs.msiTo(0, vector), { code: "EINVAL" });
  });

  it("read vectors out of a local APIC", () => {
    const lapic = new Uint8Array(structs.LAPIC_BYTES);
    const view = new DataView(lapic.buffer);
    view.setUint32(0x200 + 0x10, 1 << 1, true);
    view.setUint32(0x200 + 0x70, 2 ** 31, true);
    view.setUint32(0x100 + 0x20, 1, true);
    assert.deepEqual(structs.requestedVectors(lapic), [33, 255]);
    assert.deepEqual(structs.inServiceVectors(lapic), [64]);
  });
});
