/** Real threads lose no interrupt: TypeScript, the compiled fast path and C over the same files. */
import { stormTests } from "./storm-tests.js";

stormTests(1e7, 300_000);
