/** What a promise comes to that a lost wake-up would leave pending. */
import { PATIENCE_MS } from "./worker.js";

/** The value of the promise; rejects where it has not come within {@link PATIENCE_MS}. */
export async function settledOrLate<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
