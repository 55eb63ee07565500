/**
 * A fresh process that makes hosts of the default size with the library at the URL it is given: prints nanoseconds for each, the
 * first one cold, and the bytes that one reserves, as one line of JSON. The clock is one that loads nothing the library
 * may want as well.
 */
const HOSTS = 3;
const { Host } = (await import(process.argv[2] ?? "irqbypass")) as typeof import("irqbypass");
const { hrtime } = process;
hrtime.bigint(); // the clock itself is not cold
const times: number[] = [];
let bytes = 0;
for (let i = 0; i < HOSTS; i++) {
  const start = hrtime.bigint();
  const host = Host.create();
  times.push(Number(hrtime.bigint() - start));
  bytes = host.handle.memory.buffer.byteLength;
}
process.stdout.write(JSON.stringify({ times, bytes }));
process.exit();
