/** A process of its own, whose main thread waits for what never comes, in the way that its argument says; or, after what came, ends. */
import { Eventfd, Host, Vm } from "irqbypass";
import { kvm } from "irqbypass/kvm";
import { linux } from "irqbypass/linux";
import { SMALL } from "../support/host.js";
import { Scene } from "./scene.js";
import { waiterOf } from "./waits.js";
import type { Wait, WaiterWork } from "./work.js";

const wait = process.argv[2] as Wait;
const host = Host.create({ kinds: [linux(), kvm()], capacity: SMALL });
const vm = new Vm(host, { vcpus: 1 });
const scene = new Scene(host, vm, 0, 20);
const work: WaiterWork = { ...scene.work(), wait, ending: "its own end", turns: Infinity };
// Something that is relayed, too: a process is not to wait for its relays.
const eventfd = Eventfd.create(host);
vm.irqfd(eventfd, 9);
const waiter = waiterOf(host, work);
process.stdout.write("waits\n");
void waiter.run(() => true);
