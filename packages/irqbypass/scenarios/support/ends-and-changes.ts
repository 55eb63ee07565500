import { type Cast, Explorer, type Subject, type World } from "atomics-explorer";
import { LEAVING, RelayState, ThreadState } from "#src/host/layout.js";
import { HostDiscipline } from "./discipline.js";

/** What a word of the memory goes from and to, by its place in the layout: `pool.field`. */
type Matters = (before: number, after: number) => boolean;

const anyChange: Matters = () => true;
const toNothing: Matters = (_before, after) => after === 0;

/** The words by which something ends, or its interrupts come to go another way. */
const ENDS_AND_CHANGES: Readonly<Record<string, Matters>> = {
  "eventfd.irqfd": (_before, after) => after === 0 || (after & LEAVING) !== 0,
  "eventfd.handles": toNothing,
  "producer.eventfd": toNothing,
  "producer.irte": anyChange,
  "consumer.eventfd": toNothing,
  "consumer.target": (before) => before !== 0, // from 0 it is assigned
  "header.bypass": anyChange,
  "header.relays": (_before, after) => after === RelayState.stopping,
  "thread.state": (_before, after) => after === ThreadState.free,
  "vcpu.runner": toNothing,
  "vm.dying": anyChange,
  "vm.ioapic": anyChange,
  "vm.routing": anyChange,
  "watch.epoll": toNothing,
};

/** The words in which a signal is somewhere. */
const SIGNALS: Readonly<Record<string, Matters>> = {
  "consumer.pending": (_before, after) => after !== 0,
  "eventfd.counter": anyChange,
  "vcpu.pir": (_before, after) => after !== 0,
};

/** What a scenario does, as far as the conservation of signals is concerned. */
export interface Doings {
  /** Words by which something has ended or changed. */
  readonly ends: readonly string[];
  /** Words in which a signal was. */
  readonly signals: readonly string[];
  /** Is there a host in it? A scenario of a mutex alone has none, and no signals. */
  readonly hosted: boolean;
  readonly cast: Cast;
}

/** Runs a scenario once, by its first schedule, and notes what its threads have done. Throws where that does not hold. */
export async function doings({ name, settings, setup }: Subject): Promise<Doings> {
  const ends = new Set<string>();
  const signals = new Set<string>();
  let cast: Cast | undefined;
  let hosted = false;
  const noting = (world: World): Cast => {
    cast = setup(world);
    const { discipline } = world;
    const transition = discipline?.transition?.bind(discipline);
    if (discipline === undefined || transition === undefined) return cast;
    hosted = discipline instanceof HostDiscipline;
    discipline.transition = (thread, word, before, after) => {
      const field = fieldOf(discipline.name(word));
      if (ENDS_AND_CHANGES[field]?.(before, after)) ends.add(field);
      if (SIGNALS[field]?.(before, after)) signals.add(field);
      return transition(thread, word, before, after);
    };
    return cast;
  };
  const explorer = new Explorer(noting, settings);
  await explorer.follow([]);
  if (explorer.violation !== undefined) throw new Error(`${name}: ${explorer.violation.message}`);
  return { ends: [...ends], signals: [...signals], hosted, cast: cast! };
}

/** `consumer 0 pending` is `consumer.pending`, `vcpu 1 pir[3]` is `vcpu.pir`, and `bypass` is `header.bypass`. */
function fieldOf(name: string): string {
  const [, pool = "header", field = name] = /^(\w+) \d+ (.*)$/.exec(name) ?? [];
  return `${pool}.${field.replace(/(\[\d+\]|\+\d+)$/, "")}`;
}
