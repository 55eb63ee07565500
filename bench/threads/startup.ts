/** A fresh process that measures its own start: prints nanoseconds for each step as one line of JSON. */
const parts: readonly string[] = process.argv.slice(2);
const times: Record<string, number> = {};
let last = performance.now();
const step = (name: string) => {
  const now = performance.now();
  times[name] = (now - last) * 1e6;
  last = performance.now();
};

const { Eventfd, Host, Producer, Vm } = await import("irqbypass");
for (const part of parts) await import(part);
step("import");
const host = Host.create();
step("create");
const vm = new Vm(host);
vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
const eventfd = Eventfd.create(host);
vm.irqfd(eventfd, 24);
const producer = Producer.create(host);
producer.register(eventfd);
step("first");
process.stdout.write(JSON.stringify(times));
process.exit();
