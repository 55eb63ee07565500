// Which test files there are.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Where each package's tests are run, and where they lie there. */
const PLACES = [
  ["packages/atomics-explorer", "build/test"],
  ["packages/irqbypass-doctor", "build/test"],
  ["packages/irqbypass", "build/test"],
  ["bench", "build/test"],
  ["scripts", "test"],
  ["heavy", "test"],
];

/** Words for tests of a kind: what runs on real threads or ends them, and what looks at a package as others get it. */
const GROUPS = {
  "@threads": [
    ...[
      "storm",
      "death/",
      "thread",
      "terminate",
      "/race.",
      "/mutex.",
      "/spawn.",
      "/first-vm.",
      "/platform-node.",
      "/vcpu.",
      "/callbacks.",
      "/pairs.",
      "relay/",
      "lives/",
    ],
    ...[
      "eventfd/",
      "/linux-eventfd.",
      "linux/epoll.",
      "linux/kick.",
      "linux/blocking.",
      "linux/descriptor-ends.",
      "/ffi.",
      "test/kvm/",
      "/selftests.",
      "cli/run.",
      "cli/machine.",
      "/browser.",
      "/page.",
      "/bundled.",
      "heavy/test/kernel.",
      "heavy/test/v86.",
      "heavy/test/product.",
      "heavy/test/lifecycle.",
      "heavy/test/waits.",
      "heavy/test/example.",
      "/several.",
      "/beside.",
      "/attached.",
      "reports/lost.",
    ],
  ],
  "@packages": [
    "test/package/",
    "scripts/test/installed",
    "scripts/test/published",
    "scripts/test/shipped",
    "heavy/",
  ],
};

const sourceOf = (file) => file.replace(/\.js$/, ".ts");

/**
 * The test files whose path in the checkout contains one of `words`, or all of them, those that take minutes only with `long`;
 * "@threads" and "@packages" are words too. Each has the `package` that it belongs to, its `name`, which is the path of its source,
 * its `path`, where it is `built` in the checkout, and whether it is to run `alone` on the machine.
 */
export function findTests(words, long) {
  const parts = words.flatMap((word) => GROUPS[word] ?? [word]);
  return PLACES.flatMap(([house, tests]) => {
    const folder = join(ROOT, house);
    if (!existsSync(join(folder, tests))) return [];
    return readdirSync(join(folder, tests), { recursive: true })
      .filter((file) => /\.test\.m?js$/.test(file) || (long && file.endsWith(".long.js")))
      .filter((file) => existsSync(join(folder, "test", sourceOf(file)))) // what was built of a source that is gone
      .sort()
      .map((file) => ({
        package: house,
        folder,
        name: `${house}/test/${sourceOf(file)}`,
        path: join(folder, tests, file),
        built: join(house, tests, file),
        alone: file.includes(".alone."),
      }))
      .filter(
        ({ name, built }) =>
          parts.length === 0 || parts.some((part) => name.includes(part) || built.includes(part)),
      );
  });
}
