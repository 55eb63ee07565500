// A guest of a few bytes: a BIOS that goes to protected mode and then works, or halts, for ever. Each interrupt that it takes it
// says on the first serial port, as its vector, and ends it.

const [SIZE, BASE] = [0x10000, 0xf0000];
/** Where in the BIOS the parts are. */
const [MAIN, GDT, GDTR, IDTR, IDT, HANDLERS] = [0x100, 0x200, 0x220, 0x230, 0x1000, 0x2000];
const HANDLER_BYTES = 32;
const VECTORS = 256;
/** The vectors of the two 8259s: line n of the machine is vector 0x20 + n. */
const FIRST_OF_LINES = 0x20;
const LINES = 16;

const word = (value) => [value & 0xff, (value >> 8) & 0xff];
const long = (value) => [...word(value), ...word(value >>> 16)];
/** `mov dword [address], value` */
const store = (address, value) => [0xc7, 0x05, ...long(address), ...long(value)];
/** `mov al, value; out port, al` */
const out = (port, value) => [0xb0, value, 0xe6, port];

const APIC = 0xfee00000;
const [SPURIOUS, EOI] = [APIC + 0xf0, APIC + 0xb0];
const COUNTER = 0x1000;
const STACK = 0x8000;

const TO_PROTECTED_MODE = [
  0xfa, // cli
  ...[0x2e, 0x66, 0x0f, 0x01, 0x16, ...word(GDTR)], // lgdt cs:[GDTR]
  ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // cr0 |= PE
  ...[0x66, 0xea, ...long(BASE + MAIN), ...word(8)], // jmp 8:MAIN
];
const SET_UP = [
  ...[0x66, 0xb8, ...word(0x10), 0x8e, 0xd8, 0x8e, 0xd0], // mov ax, 10h; mov ds, ax; mov ss, ax
  ...[0xbc, ...long(STACK)], // mov esp, STACK
  ...[0x0f, 0x01, 0x1d, ...long(BASE + IDTR)], // lidt [IDTR]
  ...store(SPURIOUS, 0x1ff), // the APIC on
  // Both 8259s: edges, their vectors, the cascade, 8086 mode; all lines open.
  ...[out(0x20, 0x11), out(0x21, FIRST_OF_LINES), out(0x21, 4), out(0x21, 1), out(0x21, 0)].flat(),
  ...[out(0xa0, 0x11), out(0xa1, FIRST_OF_LINES + 8), out(0xa1, 2), out(0xa1, 1), out(0xa1, 0)].flat(),
  0xfb, // sti
];
const WORK = [0xff, 0x05, ...long(COUNTER), 0xeb, 0xf8]; // inc dword [COUNTER]; jmp back
const HALT = [0xf4, 0xeb, 0xfd]; // hlt; jmp back

/** Says its vector on the serial port and ends the interrupt where it came from. */
function handler(vector) {
  const line = vector - FIRST_OF_LINES;
  const fromLine = line >= 0 && line < LINES;
  return [
    ...[0x50, 0x52, 0x66, 0xba, ...word(0x3f8), 0xb0, vector, 0xee], // push eax; push edx; out 3f8h, vector
    ...(fromLine ? [...(line < 8 ? [] : out(0xa0, 0x20)), ...out(0x20, 0x20)] : store(EOI, 0)),
    ...[0x5a, 0x58, 0xcf], // pop edx; pop eax; iret
  ];
}

/** The bytes of the BIOS: `busy`: works between its interrupts instead of halting. */
export function guest({ busy }) {
  const bios = new Uint8Array(SIZE).fill(0xf4);
  bios.set(TO_PROTECTED_MODE, 0);
  bios.set([...SET_UP, ...(busy ? WORK : HALT)], MAIN);
  const flat = (access) => [0xff, 0xff, 0, 0, 0, access, 0xcf, 0];
  bios.set([...new Array(8).fill(0), ...flat(0x9b), ...flat(0x93)], GDT);
  bios.set([...word(23), ...long(BASE + GDT)], GDTR);
  bios.set([...word(8 * VECTORS - 1), ...long(BASE + IDT)], IDTR);
  for (let vector = 0; vector < VECTORS; vector++) {
    const at = HANDLERS + vector * HANDLER_BYTES;
    bios.set(handler(vector), at);
    bios.set([...word(at), 8, 0, 0, 0x8e, ...word(BASE >>> 16)], IDT + 8 * vector);
  }
  bios.set([0xea, 0, 0, ...word(BASE >>> 4)], SIZE - 16); // jmp f000:0000
  return bios;
}
