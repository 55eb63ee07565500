import { show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Chip } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import { isPicPort, type PicChip } from "./pic.js";

/** Where the registers of a pair of 8259s are. */
export interface PicPorts {
  /** The id of its VM. */
  readonly vm: number;
  read(port: number): number;
  write(port: number, value: number): void;
  registers(chip: PicChip): readonly number[];
  /** Throws where no call may be made now. */
  check(): void;
}

const CHIPS = { "pic-master": Chip.picMaster, "pic-slave": Chip.picSlave } as const;

/**
 * A VM's pair of 8259As, as its guest programs it through the ports (the 8259A's data sheet; arch/x86/kvm/i8259.c). A guest takes what they ask
 * for with the vCPU whose LINT0 is open as ExtINT, vCPU 0's after a reset: `vcpu.acknowledge` returns it, before what its local APIC has, and
 * its end of interrupt is a write to a port, not `vcpu.eoi`. From any thread; each call takes the VM's mutex.
 */
export class Pic extends Shown {
  /** @internal `Vm.pic` makes it. */
  constructor(private readonly ports: PicPorts) {
    super();
  }

  /**
   * What a guest's load of one byte from a port finds: the command ports 0x20 and 0xa0, the data ports 0x21 and 0xa1, and which pins are
   * level-triggered at 0x4d0 and 0x4d1 (ELCR). Loads of other lengths find 0. Throws EINVAL for another port.
   */
  read(port: number): number {
    this.checkPort(port);
    return this.ports.read(port);
  }

  /**
   * A guest's store of one byte to a port: ICW1 to ICW4, OCW1 to OCW3, ELCR. Stores of other lengths are ignored. An end of interrupt signals the
   * resample eventfds of its pin. Throws EINVAL for another port, and for what is no byte.
   */
  write(port: number, value: number): void {
    this.checkPort(port);
    if (!Number.isInteger(value) || value < 0 || value > 255)
      throw new IrqBypassError("EINVAL", `value is ${show(value)}: a port of an 8259 takes a byte, 0 to 255`);
    this.ports.write(port, value);
  }

  /** The registers of one of the two, as KVM_GET_IRQCHIP has them: the 16 bytes of a struct kvm_pic_state. Throws EINVAL for another chip. */
  state(chip: "pic-master" | "pic-slave"): Uint8Array {
    this.ports.check();
    if (typeof chip !== "string" || !Object.hasOwn(CHIPS, chip))
      throw new IrqBypassError("EINVAL", `chip is ${show(chip)}: use ${Object.keys(CHIPS).join(" or ")}`);
    return Uint8Array.from(this.ports.registers(CHIPS[chip]));
  }

  /** @internal */
  protected describe(): object {
    this.ports.check();
    const shown = (chip: PicChip) => [...this.ports.registers(chip)].slice(1, 4);
    return { vm: this.ports.vm, master: shown(Chip.picMaster), slave: shown(Chip.picSlave) };
  }

  private checkPort(port: unknown): void {
    this.ports.check();
    if (typeof port === "number" && isPicPort(port)) return;
    const ports = "0x20, 0x21, 0xa0, 0xa1, 0x4d0 and 0x4d1";
    throw new IrqBypassError("EINVAL", `port is ${show(port)}: a pair of 8259s has ${ports}`);
  }
}
