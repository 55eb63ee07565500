/** The module of a relay in whose thread a loss may be planted: as a program's own way to start the library's workers has it. */
import { workerData } from "node:worker_threads";
import type { ThreadName } from "#src/host/spawn.js";
import { type PlantName, plant } from "./plants.js";

const { name, planted } = workerData as { name: ThreadName; planted: PlantName | undefined };
plant(planted, name === "irqbypass/relay-worker" ? "relay" : "linux-relay");
await import(name);
