/** How a bug's test is written: once for the shipped piece, and once for each broken twin of it, which must fail. */
import assert from "node:assert/strict";

/** A bug's test with its twins. */
export interface Proof {
  /** The bug it is a test of. */
  readonly id: string;
  /** What holds here. */
  readonly sentence: string;
  /** The test on the shipped piece. */
  readonly holds: () => void | Promise<void>;
  /** The same test on each broken twin, by what is wrong with it. */
  readonly twins: ReadonlyMap<string, () => void | Promise<void>>;
}

/**
 * A proof. `run` is the test; it gets the piece that it is to test, the shipped one or a twin, in whatever form suits:
 * often a function that plays a fresh world false, and does nothing where the piece is the shipped one.
 */
export function prove<Piece>(
  id: string,
  sentence: string,
  shipped: Piece,
  twins: Readonly<Record<string, Piece>>,
  run: (piece: Piece) => void | Promise<void>,
): Proof {
  return {
    id,
    sentence,
    holds: () => run(shipped),
    twins: new Map(Object.entries(twins).map(([wrong, twin]) => [wrong, () => run(twin)])),
  };
}

/** Fails unless the test on a twin fails by one of its own assertions; returns what that one says. */
export async function assertBites(wrong: string, twin: () => void | Promise<void>): Promise<string> {
  try {
    await twin();
  } catch (error) {
    if (error instanceof assert.AssertionError) return error.message;
    throw error;
  }
  assert.fail(`the test passes on a twin that ${wrong}: it does not bite`);
}

/** Methods of an object by their names, private ones too: only twins may reach for those. */
type Methods = Record<string, (...args: never[]) => unknown>;

/** Plays an object false: replaces methods of this one object. `change` gets the shipped ones, to call them. */
export function playFalse(object: object, change: (shipped: Shipped) => Methods): void {
  const shipped: Shipped = (name, ...args) => (real[name] as (...args: unknown[]) => never)(...args);
  const real: Record<string, unknown> = {};
  const methods = change(shipped);
  for (const name of Object.keys(methods)) {
    real[name] = inside<(...args: unknown[]) => unknown>(object, name).bind(object);
  }
  Object.assign(object, methods);
}

/** Calls the shipped method of a name that is replaced. */
type Shipped = <Result>(name: string, ...args: unknown[]) => Result;

/** A private member by its name. */
export function inside<Member>(object: object, name: string): Member {
  return (object as Record<string, Member>)[name]!;
}
