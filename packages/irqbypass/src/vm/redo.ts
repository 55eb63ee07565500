/**
 * Several words of a VM that change as one, whoever dies meanwhile: they are noted in the VM's record first.
 */
import { broken } from "../host/errors.js";
import { IN_ONE, Vm } from "../host/layout.js";
import type { Words } from "../host/words.js";

/** A word with its new value. */
export type Change = readonly [word: number, value: number];

/** Makes changes, all or none. Under the VM's mutex. */
export function changeInOne(words: Words, vm: number, changes: readonly Change[]): void {
  if (changes.length > IN_ONE) broken(`${changes.length} words were to change as one`);
  changes.forEach(([word, value], index) => {
    const place = vm + Vm.redo + 1 + 2 * index;
    words.set(place, word);
    words.set(place + 1, value);
  });
  words.set(vm + Vm.redo, changes.length); // from here on they are made, by this thread or by whoever repairs after it
  redo(words, vm);
}

/** Makes the changes that are noted, if any are; once more where that has been begun. Under the VM's mutex. */
export function redo(words: Words, vm: number): void {
  const count = words.get(vm + Vm.redo);
  for (let index = 0; index < count; index++) {
    const place = vm + Vm.redo + 1 + 2 * index;
    words.set(words.get(place), words.get(place + 1));
  }
  words.set(vm + Vm.redo, 0); // last
}
