/** As `storm.test.ts`, ten times as much. */
import { stormTests } from "./storm-tests.js";

stormTests(1e8, 3_000_000);
