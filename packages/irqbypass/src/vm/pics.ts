/**
 * The pair of 8259s of a software VM that was made with `pic: true`: its registers in shared memory, under the VM's mutex. What it asks
 * for goes to a vCPU by its LINT0. A host of `irqbypass` has this as `host.pics`; `irqbypass/slim` is without.
 */
import { Chip, PIC_PINS, Pic, PicDue, Vm } from "../host/layout.js";
import type { HostMemory, Pics } from "../host/memory.js";
import {
  acknowledgePics,
  type PicChip,
  type PicPair,
  readPicPort,
  requestPicsAgain,
  setPicPin,
  updatePics,
  writePicPort,
} from "./pic.js";
import { picLinesOf, takerOf, wakeTaker } from "./pic-lines.js";
import type { PicPorts } from "./pic-ports.js";
import { asking, endOfService } from "./resample.js";
import { type VmLife, vmMutex } from "./vm-mutex.js";

/** Pins that may be level-triggered: not the timer, the keyboard and the cascade, nor the clock and the coprocessor. */
const ELCR_MASK = { [Chip.picMaster]: 0xf8, [Chip.picSlave]: 0xde } as const;

/** The pair of a VM, with what it has not seen yet. `ended` hears of each pin whose service ends. Under the VM's mutex. */
function pairOf(memory: HostMemory, vm: number, ended: PicPair["ended"]): PicPair {
  const { words } = memory;
  const at = (chip: Chip, register: Pic) => vm + Vm.pics + chip * Pic.words + register;
  const pair: PicPair = {
    get: (chip, register) => (register === Pic.elcrMask ? ELCR_MASK[chip] : words.get(at(chip, register))),
    set: (chip, register, value) => words.set(at(chip, register), value),
    output(high) {
      const was = words.exchange(vm + Vm.picOutput, high ? 1 : 0);
      if (high && was === 0) wakeTaker(memory, vm); // after the output: who clears what this sets looks there
    },
    ended,
    isTaken: () => takerOf(memory, vm) !== 0,
  };
  const due = words.load(vm + Vm.picDue);
  if (due !== 0) catchUp(memory, vm, pair, due);
  return pair;
}

/** Does for the pair what is noted. All of it may be done once more: a thread that dies in between has it noted still. */
function catchUp({ words }: HostMemory, vm: number, pair: PicPair, due: number): void {
  if (due & PicDue.service) requestPicsAgain(pair);
  const lines = picLinesOf(words, vm);
  for (const chip of [Chip.picMaster, Chip.picSlave] as const) {
    for (let pin = 0; pin < PIC_PINS; pin++) {
      const bit = 1 << (chip * PIC_PINS + pin);
      const seen = () => (pair.get(chip, Pic.lastIrr) & (1 << pin)) !== 0;
      if (due & bit) {
        if (seen()) setPicPin(pair, chip, pin, false); // it fell before it rose
        setPicPin(pair, chip, pin, true);
      }
      const level = (lines & bit) !== 0;
      if (seen() !== level) setPicPin(pair, chip, pin, level);
    }
  }
  updatePics(pair);
  words.and(vm + Vm.picDue, ~due); // last
}

/** Does something by which a service may end; the level-triggered irqfds of that pin are asked after it. */
function act<T>(
  memory: HostMemory,
  vm: number,
  guard: (section: () => T) => T,
  what: (pair: PicPair) => T,
): T {
  return asking(memory, guard, (asked) =>
    what(pairOf(memory, vm, (chip, pin) => endOfService(memory, vm, chip, pin, asked))),
  );
}

const nobody = (): void => {};

/** What a thread that has the whole library does for VMs with a pair. */
export const pics: Pics = {
  follow(memory, vm, chip, pin) {
    const level = (picLinesOf(memory.words, vm) & (1 << (chip * PIC_PINS + pin))) !== 0;
    return setPicPin(pairOf(memory, vm, nobody), chip as PicChip, pin, level);
  },
  ask(memory, vm) {
    const { words } = memory;
    if (words.load(vm + Vm.picDue) !== 0) vmMutex(memory, vm).guard(() => pairOf(memory, vm, nobody));
    return words.load(vm + Vm.picOutput) !== 0;
  },
  acknowledge(memory, vm, vcpu) {
    if (!pics.ask(memory, vm)) return undefined;
    const guard = <T>(section: () => T) => vmMutex(memory, vm).guard(section);
    return act<number | undefined>(memory, vm, guard, (pair) => {
      const { words } = memory;
      if (words.load(vm + Vm.picOutput) === 0) return undefined; // another vCPU was first
      words.store(vm + Vm.picServer, vcpu); // before it is in service: by this that is requested again after a death
      return acknowledgePics(pair);
    });
  },
};

/** The ports of a VM's pair, each access under its mutex. */
export function portsOf(life: VmLife): PicPorts {
  const { memory, record } = life;
  const through = <T>(what: (pair: PicPair) => T): T =>
    act(memory, record, (section) => life.guard(section), what);
  return {
    vm: life.id,
    read: (port) => through((pair) => readPicPort(pair, port)),
    write: (port, value) => through((pair) => writePicPort(pair, port, value)),
    registers: (chip) => through(({ get }) => Array.from({ length: Pic.words }, (_, i) => get(chip, i))),
    check: () => memory.checkCall(),
  };
}
