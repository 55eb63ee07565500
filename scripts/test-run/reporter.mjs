// The reporter of one test file: a line of JSON for each test as it starts and ends, for file.mjs to read.
import { inspect } from "node:util";

/** What is told of an error: the assertion, the stack, and what caused it. */
function told(error) {
  const { cause } = error;
  return inspect(cause instanceof Error ? cause : error, { depth: 4, breakLength: 110 });
}

export default async function* report(events) {
  for await (const { type, data } of events) {
    const { name, nesting, skip, todo, details, message } = data;
    const line = { type, name, nesting };
    if (type === "test:pass" || type === "test:fail") {
      Object.assign(line, { skip, todo, suite: details.type === "suite", ms: details.duration_ms });
      if (type === "test:fail") {
        line.because = details.error.failureType;
        line.error = told(details.error);
      }
    } else if (type === "test:diagnostic") line.message = message;
    else if (type !== "test:start" && type !== "test:dequeue") continue;
    yield `${JSON.stringify(line)}\n`;
  }
}
