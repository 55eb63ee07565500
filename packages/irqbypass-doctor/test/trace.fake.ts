/**
 * A tracing file system of ordinary files, for the generations of formats that kernels have had. The pipe is a real
 * one (a FIFO), so that reads without data end as they do on the kernel's own.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { type TraceFiles, traceFiles } from "#src/trace/files.js";

/** Text of a `format` file with these fields ("unsigned int gsi") and this print format. */
export function formatFile(name: string, fields: readonly string[], print: string): string {
  const common = ["unsigned short common_type", "unsigned char common_flags", "int common_pid"];
  const line = (field: string, i: number) => `\tfield:${field};\toffset:${i * 4};\tsize:4;\tsigned:0;\n`;
  return `name: ${name}\nID: 75\nformat:\n${common.map(line).join("")}\n${fields.map(line).join("")}\nprint fmt: ${print}\n`;
}

const PI_ARGS = 'REC->set ? "enabled and being updated" : "disabled", REC->gsi';
const TARGET = "gsi: 0x%x, gvec: 0x%x";
const PI_FIELDS = ["unsigned int gsi", "unsigned int gvec"];

/** The four generations of kvm_pi_irte_update, oldest first. */
export const PI_FORMATS = {
  first: formatFile(
    "kvm_pi_irte_update",
    ["unsigned int vcpu_id", ...PI_FIELDS, "u64 pi_desc_addr", "bool set"],
    `"VT-d PI is %s for this irq, vcpu %u, ${TARGET}, pi_desc_addr: 0x%llx", ${PI_ARGS}`,
  ),
  second: formatFile(
    "kvm_pi_irte_update",
    ["unsigned int host_irq", "unsigned int vcpu_id", ...PI_FIELDS, "u64 pi_desc_addr", "bool set"],
    `"VT-d PI is %s for irq %u, vcpu %u, ${TARGET}, pi_desc_addr: 0x%llx", ${PI_ARGS}`,
  ),
  third: formatFile(
    "kvm_pi_irte_update",
    ["unsigned int host_irq", "unsigned int vcpu_id", ...PI_FIELDS, "u64 pi_desc_addr", "bool set"],
    `"PI is %s for irq %u, vcpu %u, ${TARGET}, pi_desc_addr: 0x%llx", ${PI_ARGS}`,
  ),
  fourth: formatFile(
    "kvm_pi_irte_update",
    ["unsigned int host_irq", "int vcpu_id", ...PI_FIELDS, "bool set"],
    `"PI is %s for irq %u, vcpu %d, ${TARGET}", ${PI_ARGS}`,
  ),
} as const;

export const OTHER_FORMATS: Readonly<Record<string, string>> = {
  "kvm/kvm_apicv_inhibit_changed": formatFile(
    "kvm_apicv_inhibit_changed",
    ["int reason", "bool set", "unsigned long inhibits"],
    `"%s reason=%u, inhibits=0x%lx%s%s", REC->set ? "set" : "cleared", REC->reason, (REC->inhibits), (REC->inhibits) ? " " : "", (REC->inhibits) ? __print_flags(REC->inhibits, "|", { BIT(APICV_INHIBIT_REASON_DISABLED), "DISABLED" }, { BIT(APICV_INHIBIT_REASON_HYPERV), "HYPERV" }, { BIT(APICV_INHIBIT_REASON_ABSENT), "ABSENT" }) : ""`,
  ),
  "irq/irq_handler_entry": formatFile(
    "irq_handler_entry",
    ["int irq", "__data_loc char[] name"],
    '"irq=%d name=%s", REC->irq, __get_str(name)',
  ),
  "kvm/kvm_msi_set_irq": formatFile(
    "kvm_msi_set_irq",
    ["__u64 address", "__u64 data"],
    '"dst %llx vec %u (%s|%s|%s%s)", (u8)(REC->address >> 12), (u8)REC->data',
  ),
  "kvm/kvm_avic_ga_log": formatFile(
    "kvm_avic_ga_log",
    ["u32 vmid", "u32 vcpuid"],
    '"vmid=%u, vcpuid=%u", REC->vmid, REC->vcpuid',
  ),
};

/** Formats of a Linux 6.18 host. */
export const FORMATS_618: Readonly<Record<string, string>> = {
  "kvm/kvm_pi_irte_update": PI_FORMATS.fourth,
  ...OTHER_FORMATS,
};

/** One line as a `trace_pipe` has it. */
export function line(event: string, text: string, at = 100.5, tid = 4711, task = "qemu-system-x86"): string {
  return `${`${task}-${tid}`.padStart(23)} [003] d.h1. ${at.toFixed(6)}: ${event}: ${text}\n`;
}

const made: FakeTracefs[] = [];
after(() => {
  for (const one of made) one.dispose();
});

/** Goes away at the end of the tests, also of those that fail. */
export class FakeTracefs {
  readonly root = mkdtempSync(join(tmpdir(), "irqbypass-trace-"));
  /** Called for each control file that is written; may throw. */
  beforeWrite: (path: string, text: string) => void = () => {};
  readonly written: [string, string][] = [];
  readonly files: TraceFiles;

  constructor(formats: Readonly<Record<string, string>> = FORMATS_618) {
    for (const [event, text] of Object.entries(formats)) {
      this.#put(`template/events/${event}/format`, text);
      for (const control of ["enable", "filter"]) this.#put(`template/events/${event}/${control}`, "0\n");
    }
    for (const control of ["events/enable", "tracing_on", "trace_clock", "buffer_size_kb"]) {
      this.#put(`template/${control}`, "\n");
    }
    made.push(this);
    mkdirSync(join(this.root, "instances"));
    const real = traceFiles(this.root);
    this.files = {
      ...real,
      write: (path, text) => {
        this.beforeWrite(path, text);
        this.written.push([path, text]);
        real.write(path, text);
      },
      makeInstance: (path) => {
        real.makeInstance(path);
        cpSync(join(this.root, "template"), join(this.root, path), { recursive: true });
        execFileSync("mkfifo", [join(this.root, path, "trace_pipe")]);
      },
      removeInstance: (path) => rmSync(join(this.root, path), { recursive: true }),
    };
  }

  get instances(): string[] {
    return readdirSync(join(this.root, "instances"));
  }

  /** What a control file of the only instance holds. */
  control(path: string): string {
    return readFileSync(join(this.root, "instances", this.instances[0]!, path), "utf8");
  }

  /** Lets events happen; the pipe takes up to 64 KiB that nobody has read. */
  emit(text: string): void {
    const fd = openSync(join(this.root, "instances", this.instances[0]!, "trace_pipe"), "r+");
    this.#writers.push(fd);
    writeSync(fd, text);
  }

  dispose(): void {
    for (const fd of this.#writers.splice(0)) closeSync(fd);
    rmSync(this.root, { recursive: true, force: true });
  }

  readonly #writers: number[] = [];

  #put(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }
}
