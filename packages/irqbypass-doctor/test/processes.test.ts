// Processes that come and go while they are looked at.
import assert from "node:assert/strict";
import { it } from "node:test";
import { readProcesses } from "#src/facts/processes.js";
import type { Reading, Source } from "#src/source/source.js";

/** A host with one process, which holds a VM; `stat` is asked for each time anew. */
function host(stat: () => string): Source {
  const reading = <T>(path: string, value: T | undefined): Reading<T> =>
    value === undefined ? { state: "absent", path } : { state: "read", path, value };
  const lists: Record<string, string[]> = { proc: ["7", "self"], "proc/7/fd": ["3"], "proc/7/task": ["7"] };
  return {
    name: "a host",
    list: (path) => reading(path, lists[path]),
    read: (path) =>
      reading(
        path,
        path === "proc/7/stat" ? stat() : path === "proc/7/cmdline" ? "/usr/bin/qemu\0-S\0" : undefined,
      ),
    link: (path) => reading(path, path === "proc/7/fd/3" ? "anon_inode:kvm-vm" : undefined),
  };
}

const stat = (name: string, began: number) =>
  `7 (${name}) S 1 7 7 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 3 0 ${began} 1 1\n`;

it("one that got the number of another meanwhile is not taken for it", () => {
  const pids = (source: Source) => readProcesses(source).found.map(({ pid }) => pid);
  assert.deepEqual(pids(host(() => stat("qemu", 900))), [7]);
  let began = 900;
  assert.deepEqual(pids(host(() => stat("qemu", began++))), []);
  // What its owner called it changes nothing.
  let calls = 0;
  assert.deepEqual(pids(host(() => stat(calls++ === 0 ? "a) R 1 2" : "b ) ) 9 9", 900))), [7]);
  // Where it does not show, as in captures, it is the same.
  assert.deepEqual(pids(host(() => "")), [7]);
});
