// The scenarios of the package that take more than a few seconds.
import { subjects } from "#src/explore/index.js";
import { testSubjects } from "./scenarios.js";

testSubjects((await subjects([])).filter(({ long }) => long));
