// The scenarios of the package that take more than a few seconds.
import { scenarios } from "#scenarios/support/scenarios.js";
import { testSubjects } from "./scenarios.js";

testSubjects((await scenarios()).filter(({ long }) => long));
