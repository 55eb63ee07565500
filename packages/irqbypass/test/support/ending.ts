/** How a thread of a test comes to its own end. */

/** Ends the calling thread as `ending` says; does nothing where it is ended from outside, or simply returns. */
export async function endBy(ending: string, giveBack: () => Promise<void> | void): Promise<void> {
  switch (ending) {
    case "process.exit(0)":
      process.exit(0);
      break;
    case "process.exit(3)":
      process.exit(3);
      break;
    case "an uncaught error":
      throw new Error("on purpose");
    case "its own end, everything given back":
      await giveBack();
      break;
  }
}
