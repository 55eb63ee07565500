import type { Access, Discipline } from "atomics-explorer";
import { Consumer, Device, Header, Ioeventfd, Rec, Vcpu, Vm } from "#src/host/layout.js";
import type { WordClass } from "#src/host/word-classes.js";
import type { HostScene } from "./host-scene.js";

/** The rules of the layout: which access of which word needs what. */
export class HostDiscipline implements Discipline {
  constructor(private readonly scene: HostScene) {}

  name(word: number): string {
    return this.scene.places.at(word).name;
  }

  isMutex(word: number): boolean {
    const { pool, record } = this.scene.places.at(word);
    return (
      word === Header.mutex ||
      (pool === "vm" && word === record + Vm.mutex) ||
      (pool === "device" && word === record + Device.mutex)
    );
  }

  objection(
    access: Access,
    word: number,
    value: number,
    thread: number,
    lastSet: (word: number) => number | undefined,
  ) {
    const place = this.scene.places.at(word);
    const { wordClass, name, record, pool } = place;
    const { view } = this.scene;
    const atomic = wordClass === "A" || wordClass === "A64";
    if (access === "wide")
      return wordClass === "A64" ? undefined : `${name} is 32 bits wide, and is used as 64`;
    if (access === "read" || access === "change") {
      if (!atomic) return `${name} is guarded, and is used atomically`;
      if (wordClass === "A64") return `${name} is 64 bits wide, and is used as 32`;
      if (access === "read" || pool === "header" || pool === "pending" || pool === "thread") return undefined;
      if (this.isMutex(word)) return undefined; // a VM's outlives it
      return view[record + Rec.generation]! & 1
        ? undefined
        : `${name} is changed after its record was given back`;
    }
    const locked = this.scene.holder(Header.mutex) === thread;
    if (access === "set" && value === 0 && locked) return undefined; // a record that is given back is zeroed whole
    if (wordClass === undefined) return `${name} is in no field of the layout`;
    if (atomic) return `${name} is atomic, and is used plainly`;
    if (wordClass === "C" && (access === "get" || locked)) return undefined;
    // It changes when the record changes hands, which whoever holds a handle to it keeps from happening.
    if (access === "get" && word === record + Rec.generation && pool !== "header") return undefined;
    if (wordClass === "H" && locked) return undefined;
    if (pool === "thread")
      return this.scene.threadOf(record) === thread ? undefined : `${name} is another thread's`;
    if (pool === "route" || pool === "routing") return undefined; // of a VM, or of whoever builds or frees the table
    if (wordClass === "V" && this.holdsVm(pool, record, thread)) return undefined;
    if (wordClass === "O" && this.scene.threadOf(view[record + Vcpu.runner]!) === thread) return undefined;
    // Nobody else knows a record yet that this thread has just taken.
    const generation = record + Rec.generation;
    if (pool !== "header" && pool !== "pending" && lastSet(generation) === view[generation]) return undefined;
    return `${name} is ${access === "get" ? "read" : "written"} without ${KEEPER[wordClass]}`;
  }

  private holdsVm(pool: string, record: number, thread: number): boolean {
    const { view } = this.scene;
    const of = pool === "consumer" ? Consumer.vm : pool === "ioeventfd" ? Ioeventfd.vm : undefined;
    const vm = of === undefined ? record : view[record + of]!;
    return this.scene.holder(vm + Vm.mutex) === thread;
  }
}

const KEEPER: Readonly<Record<WordClass, string>> = {
  A: "",
  A64: "",
  H: "the host mutex",
  V: "the mutex of its VM",
  O: "running the vCPU",
  C: "the host mutex",
};
