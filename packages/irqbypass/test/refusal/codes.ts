/** The one code of each fault: what the refusal matrix demands, and what docs/errors.md says. */
import type { ErrorCode } from "irqbypass";
import type { Entry } from "../fuzz/surface.js";

/** What may be wrong with a call, and what it is refused with then. */
export const CODES = {
  "in a callback": "EDEADLK",
  "on what has ended": "EBADF",
  "an argument has ended": "EBADF",
  "of another host": "EXDEV",
  "stale handle": "ESTALE",
  "handle of something else": "ESTALE",
  misspelt: "EINVAL",
  "wrong type": "EINVAL",
  "cannot be read": "EINVAL",
  "out of range": "EINVAL",
  "no record left": "ENOMEM",
  "no descriptor left": "EMFILE",
  "may not block": "EAGAIN",
} as const satisfies Readonly<Record<string, ErrorCode>>;

export type Fault = keyof typeof CODES;

/** Which numbers an argument takes, and the code for the others. */
interface Range {
  /** What they are, as docs/errors.md has it where the code is not EINVAL. */
  readonly what: string;
  takes(value: number): boolean;
  code(value: number): ErrorCode;
}

const einval = () => "EINVAL" as const;
const whole = (from: number, to: number) => (value: number) =>
  Number.isInteger(value) && value >= from && value <= to;
const WORD: Range = {
  what: "a word of 32 bits, signed or not",
  takes: whole(-(2 ** 31), 2 ** 32 - 1),
  code: einval,
};
const UNSIGNED: Range = { what: "an unsigned word", takes: whole(0, 2 ** 32 - 1), code: einval };
const WIDE: Range = { what: "a count or a register", takes: whole(0, Number.MAX_SAFE_INTEGER), code: einval };
const COUNT: Range = { what: "how many", takes: whole(1, Number.MAX_SAFE_INTEGER), code: einval };
const NOTHING: Range = { what: "what this object has", takes: () => false, code: einval };
const HANDLE: Range = {
  what: "a handle",
  takes: () => false,
  code: (value) => (Number.isSafeInteger(value) && value >= 0 ? "EXDEV" : "EINVAL"),
};
const DESCRIPTOR: Range = { what: "a file descriptor", takes: () => false, code: () => "EBADF" };
const absent = (to: number): Range => ({
  what: "of an ioeventfd that there is not",
  takes: () => false,
  code: (value) => (whole(0, to)(value) ? "ENOENT" : "EINVAL"),
});
const ABSENT = absent(Number.MAX_SAFE_INTEGER);
const ABSENT_LENGTH = absent(2 ** 32 - 1);
const QUEUE: Range = { what: "a queue that a VMM names", takes: () => false, code: () => "ENOBUFS" };
const OFFSET: Range = {
  what: "where in a memory",
  takes: (value) => whole(0, 2 ** 31)(value) && value % 64 === 0,
  code: (value) => (Number.isSafeInteger(value) && value >= 0 && value % 64 === 0 ? "ENOMEM" : "EINVAL"),
};

const PLACE: Range = { what: "where in a memory that is there", takes: () => false, code: OFFSET.code };

/** The first row whose name fits the call and the place of the argument; where none does, no odd number is taken. */
const RANGES: readonly (readonly [call: RegExp, place: RegExp, Range])[] = [
  [/^InterruptFile\.(create|open)$/, /^1$/, PLACE],
  [/\.open$/, /^1$/, HANDLE],
  [/^(EventfdFile\.dup|LinuxEventfd\.adopt|signalMsi)$/, /^1$/, DESCRIPTOR],
  [/^eventfdInfo$/, /^0$/, DESCRIPTOR],
  [/^KvmMachine\.prototype\.(de)?assign(Irqfd|Ioeventfd)$/, /eventfd$/, DESCRIPTOR],
  [/deassignIoeventfd$/, /length$/, ABSENT_LENGTH],
  [/deassignIoeventfd$/, /(address|datamatch)$/, ABSENT],
  [/oeventfd$/, /(address|datamatch)$/, WIDE],
  [/^Vm\.prototype\.write$/, /^1$/, WIDE],
  [/^Vm\.prototype\.write$/, /^3$/, WORD],
  [/^VdpaSession\.prototype\.setVringCall$/, /^0$/, QUEUE],
  [/./, /platform\.cores$/, WIDE],
  [/^Host\.create$/, /byteOffset$/, OFFSET],
  [/^LocalApic\.prototype\.writeMsr$/, /^1$/, WIDE],
  [/^Vcpu\.prototype\.sendIpi$/, /to$/, UNSIGNED],
  [
    /^((IoApic|LocalApic)\.prototype\.write|IoApic\.prototype\.store|Producer\.prototype\.register)$/,
    /^1$/,
    WORD,
  ],
  [/(Eventfd|EventfdContext|EventfdFile)\.prototype\.write$/, /^0$/, WIDE],
  [/^KvmVcpu\.prototype\.setRegisters$/, /./, WIDE],
  [/^Epoll\.prototype\.add$/, /data$/, WIDE],
  [/^Epoll\.prototype\./, /maxEvents$/, COUNT],
  [/^(Eventfd|EventfdFile|LinuxEventfd)\.create$/, /(initial|count)$/, UNSIGNED],
  [/(irqfd|deassign|deassignIrqfd|assignIrqfd)$/, /gsi$|^1$/, UNSIGNED],
  [/setIrqLine$/, /^0$/, UNSIGNED],
  [/./, /(address|addressLow|addressHigh|data)$/, UNSIGNED],
];

/** Which numbers an argument of a call takes. */
export function rangeOf({ name }: Entry, place: string): Range {
  return RANGES.find(([call, where]) => call.test(name) && where.test(place))?.[2] ?? NOTHING;
}

/** The ranges that have a code of their own: their calls' doc comments name it. */
export const OWN_CODES: readonly (readonly [what: string, code: ErrorCode])[] = [
  [HANDLE.what, HANDLE.code(7)],
  [DESCRIPTOR.what, DESCRIPTOR.code(7)],
  [ABSENT.what, ABSENT.code(7)],
  [QUEUE.what, QUEUE.code(7)],
  [OFFSET.what, OFFSET.code(64)],
];
