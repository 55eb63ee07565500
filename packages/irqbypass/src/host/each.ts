/** Does it to each, whatever it comes to of another: what the first refusal throws is thrown in the end. */
export function each<T>(all: Iterable<T>, act: (one: T) => void): void {
  const refused: unknown[] = [];
  for (const one of all) {
    try {
      act(one);
    } catch (error) {
      refused.push(error);
    }
  }
  if (refused.length > 0) throw refused[0];
}
