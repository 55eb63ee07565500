// Compiles the kernel with clang and runs it in Node's workers: node main.mjs [packets]
import { build } from "./build.mjs";
import { run } from "./machine.mjs";

const packets = Number(process.argv[2] ?? 10_000);
console.log(JSON.stringify(await run({ bytes: build(), packets })));
