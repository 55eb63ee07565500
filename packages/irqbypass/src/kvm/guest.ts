/**
 * The guest: real-mode x86 code that counts its interrupts, in a few dozen bytes.
 *
 * Guest memory:
 *
 * | address            | bytes | what                                                                     |
 * |--------------------|-------|--------------------------------------------------------------------------|
 * | 0x0000             | 1024  | interrupt vector table: 256 x (offset, segment 0), to the stubs           |
 * | 0x1000             | 44    | code: idle loop, trap, handler; see the listing                          |
 * | 0x1100             | 2048  | one stub of 8 bytes for each vector                                      |
 * | 0x2000 + n * 0x1000| 4096  | page of vCPU n, where its DS and SS point                                |
 *
 * The page of a vCPU, 32-bit words indexed by vector:
 *
 * | offset | bytes | name  | written by         | meaning                                               |
 * |--------|-------|-------|--------------------|-------------------------------------------------------|
 * | 0x000  | 1024  | count | guest              | how often the handler of the vector ran, modulo 2^32  |
 * | 0x400  | 1024  | seen  | guest, after count | the value of `avail` that the last handler run found  |
 * | 0x800  | 1024  | avail | device             | index of the device's newest burst, before it signals |
 * | 0xc00  | 1024  | stack | guest              |                                                       |
 */
import { checkClass, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { isMemory, type WasmMemory } from "../host/wasm.js";
import { KvmMachine } from "./machine.js";
import { addApicBase, enableLapic, maskLint0, setRealModeSegment, X2APIC_ENABLED } from "./structs.js";
import type { KvmVcpu } from "./vcpu.js";

const VECTORS = 256;
/** Vectors below are the processor's exceptions. */
export const FIRST_VECTOR = 0x20;
/** More pages than this do not fit under a real-mode segment. */
export const MAX_GUEST_VCPUS = 240;

const IDLE = 0x1000;
const TRAP = 0x1008;
const HANDLER = 0x1010;
const STUBS = 0x1100;
const STUB_BYTES = 8;
const PAGES = 0x2000;
const PAGE_BYTES = 0x1000;
const SEEN = 0x400;
const AVAIL = 0x800;

/** One instruction: its address, its bytes, how an assembler writes it, and why it is there. */
export type Instruction = readonly [address: number, bytes: string, mnemonic: string, reason: string];

/** The guest's code. BX holds vector * 4 in the handler; no register survives an interrupt, idle uses none. */
export const guestListing: readonly Instruction[] = [
  [IDLE + 0x0, "fb", "sti", "interrupts on, but not before the next instruction has begun"],
  [IDLE + 0x1, "f4", "hlt", "so an interrupt cannot slip in between and leave us asleep"],
  [IDLE + 0x2, "eb fc", "jmp 0x1000", "woken and handled: sleep again"],

  [TRAP + 0x0, "e6 f4", "out 0xf4,al", "an exception, its number in AL: leaves KVM_RUN, which reports it"],
  [TRAP + 0x2, "eb fc", "jmp 0x1008", ""],

  [HANDLER + 0x00, "66 8b 87 00 08", "mov eax,DWORD PTR [bx+0x800]", "the device's newest burst"],
  [HANDLER + 0x05, "66 ff 07", "inc DWORD PTR [bx]", "count, before seen: who has seen finds it counted"],
  [HANDLER + 0x08, "66 89 87 00 04", "mov DWORD PTR [bx+0x400],eax", "seen"],
  [HANDLER + 0x0d, "66 31 c0", "xor eax,eax", "end of interrupt is the value 0 ..."],
  [HANDLER + 0x10, "66 31 d2", "xor edx,edx", ""],
  [HANDLER + 0x13, "66 b9 0b 08 00 00", "mov ecx,0x80b", "... in the x2APIC register EOI"],
  [HANDLER + 0x19, "0f 30", "wrmsr", "after seen: a signal from here on comes as a new interrupt"],
  [HANDLER + 0x1b, "cf", "iret", "interrupts on again"],
];

/** The stub that the vector table points to. */
export function stubListing(vector: number): readonly Instruction[] {
  const at = STUBS + vector * STUB_BYTES;
  const hex = (value: number, bytes: number) =>
    Array.from({ length: bytes }, (_, i) => ((value >> (8 * i)) & 0xff).toString(16).padStart(2, "0")).join(
      " ",
    );
  const jump = (from: number, to: number): Instruction => [
    from,
    `e9 ${hex(to - (from + 3), 2)}`,
    `jmp 0x${to.toString(16)}`,
    "",
  ];
  if (vector < FIRST_VECTOR) {
    const load: Instruction = [
      at,
      `b0 ${hex(vector, 1)}`,
      `mov al,0x${vector.toString(16)}`,
      "which exception",
    ];
    return [load, jump(at + 2, TRAP)];
  }
  const slot = vector * 4;
  return [
    [at, `bb ${hex(slot, 2)}`, `mov bx,0x${slot.toString(16)}`, "the vector's place in each table"],
    jump(at + 3, HANDLER),
  ];
}

/** Pages of 64 KiB that the guest needs for this many vCPUs. Throws EINVAL for none or too many. */
export function guestPages(vcpus: number): number {
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAX_GUEST_VCPUS) {
    throw new IrqBypassError("EINVAL", `the guest runs on 1 to ${MAX_GUEST_VCPUS} vCPUs, not ${show(vcpus)}`);
  }
  return Math.ceil((PAGES + vcpus * PAGE_BYTES) / 0x1_0000);
}

/** Writes the vector table and the code into a guest's memory. */
export function loadGuest(memory: WasmMemory): void {
  const bytes = new Uint8Array(memory.buffer);
  const write = (listing: readonly Instruction[]) => {
    for (const [address, code] of listing) {
      bytes.set(
        code.split(" ").map((byte) => Number.parseInt(byte, 16)),
        address,
      );
    }
  };
  const table = new Uint16Array(memory.buffer, 0, VECTORS * 2);
  write(guestListing);
  for (let vector = 0; vector < VECTORS; vector++) {
    write(stubListing(vector));
    table[vector * 2] = STUBS + vector * STUB_BYTES;
  }
}

/** Puts a vCPU at the idle loop, on its own page, with its x2APIC on. */
function bootVcpu(vcpu: KvmVcpu, pic: boolean): void {
  placeVcpu(vcpu);
  const lapic = vcpu.lapic();
  enableLapic(lapic);
  if (!pic) maskLint0(lapic);
  vcpu.setLapic(lapic);
}

/** The same without what is in its local APIC. */
export function placeVcpu(vcpu: KvmVcpu): void {
  const page = (PAGES + vcpu.index * PAGE_BYTES) >> 4;
  vcpu.changeSpecialRegisters((sregs) => {
    setRealModeSegment(sregs, "cs", 0);
    for (const segment of ["ds", "es", "ss"] as const) setRealModeSegment(sregs, segment, page);
    addApicBase(sregs, X2APIC_ENABLED);
  });
  vcpu.setRegisters({ rip: IDLE, rsp: PAGE_BYTES, rflags: 2 });
}

/**
 * Loads the guest into a machine and readies this many vCPUs, which the caller then starts. With `pic` the first one's LINT0 stays open for
 * the 8259s, else nobody listens to them.
 */
export function bootGuest(machine: KvmMachine, vcpus: number, pic = false): void {
  checkClass(machine, KvmMachine, () => `${show(machine)} is no KvmMachine: make one to boot the guest in`);
  const needed = guestPages(vcpus) * 0x1_0000;
  if (machine.memory.buffer.byteLength < needed) {
    throw new IrqBypassError(
      "EINVAL",
      `the guest needs ${needed} bytes of memory for ${vcpus} vCPUs, the machine has ${machine.memory.buffer.byteLength}`,
    );
  }
  loadGuest(machine.memory);
  for (let index = 0; index < vcpus; index++) bootVcpu(machine.createVcpu(), pic);
}

/** The tables of one vCPU's page, for Atomics; index them by vector. */
export interface GuestTables {
  /** How often each vector was served. */
  readonly count: Uint32Array;
  /** The last value of `avail` that the handler of each vector has seen. */
  readonly seen: Uint32Array;
  /** Written by the device before it signals, read by the handler. */
  readonly avail: Uint32Array;
}

/** The tables of a vCPU in a guest's memory, in any thread that has the memory. */
export function guestTables(memory: WasmMemory, vcpu: number): GuestTables {
  if (!Number.isInteger(vcpu)) throw new IrqBypassError("EINVAL", `vcpu is ${show(vcpu)}: give its index`);
  const needed = guestPages(vcpu + 1) * 0x1_0000;
  if (!isMemory(memory) || memory.buffer.byteLength < needed) {
    throw new IrqBypassError(
      "EINVAL",
      `the memory is not that of a guest with ${vcpu + 1} vCPUs: pass KvmVm.memory`,
    );
  }
  const page = PAGES + vcpu * PAGE_BYTES;
  const table = (offset: number) => new Uint32Array(memory.buffer, page + offset, VECTORS);
  return { count: table(0), seen: table(SEEN), avail: table(AVAIL) };
}
