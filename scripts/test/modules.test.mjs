// What is done to the modules that are published: only white space, and none that a program prints.
import assert from "node:assert/strict";
import { it } from "node:test";
import { withTabs } from "../pack/modules.mjs";

it("indents with tabs, and leaves the text of templates as it is", () => {
  const text = `\`a\n    b\${b}\n        c\``;
  const code = `class A {\n    f(b) {\n        return ${text};\n    }\n}\n`;
  assert.equal(withTabs(code), `class A {\n\tf(b) {\n\t\treturn ${text};\n\t}\n}\n`);
});
