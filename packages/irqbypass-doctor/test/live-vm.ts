/**
 * A process that is a VM, for the doctor to find: a kvm-vm descriptor, a vCPU and eventfds that are irqfds, one more
 * eventfd that is polled in user space. Prints a line of JSON when all stands, and ends when its stdin does.
 */
import { openSync, readFileSync } from "node:fs";
import koffi from "koffi";

const KVM_CREATE_VM = 0xae01;
const KVM_CREATE_VCPU = 0xae41;
const KVM_CREATE_IRQCHIP = 0xae60;
const KVM_IRQFD = 0x4020ae76;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;

const libc = koffi.load(null);
const ioctl = libc.func("ioctl", "int", ["int", "unsigned long", "unsigned long"]);
const ioctlPointer = libc.func("ioctl", "int", ["int", "unsigned long", "void *"]);
const eventfd = libc.func("eventfd", "int", ["unsigned int", "int"]);
const epollCreate = libc.func("epoll_create1", "int", ["int"]);
const epollCtl = libc.func("epoll_ctl", "int", ["int", "int", "int", "void *"]);

function call(name: string, result: number): number {
  if (result < 0) throw new Error(`${name}: errno ${koffi.errno()}`);
  return result;
}

function idOf(fd: number): number {
  return Number(/^eventfd-id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1]);
}

const device = openSync("/dev/kvm", "r+");
const vm = call("KVM_CREATE_VM", ioctl(device, KVM_CREATE_VM, 0));
call("KVM_CREATE_IRQCHIP", ioctl(vm, KVM_CREATE_IRQCHIP, 0));
call("KVM_CREATE_VCPU", ioctl(vm, KVM_CREATE_VCPU, 0));
const irqfds: number[] = [];
for (let gsi = 16; gsi < 20; gsi += 1) {
  const fd = call("eventfd", eventfd(0, 0));
  const request = Buffer.alloc(32);
  request.writeUInt32LE(fd, 0);
  request.writeUInt32LE(gsi, 4);
  call("KVM_IRQFD", ioctlPointer(vm, KVM_IRQFD, request));
  irqfds.push(fd);
}
const polled = call("eventfd", eventfd(3, 0));
const epoll = call("epoll_create1", epollCreate(0));
const event = Buffer.alloc(12);
event.writeUInt32LE(EPOLLIN, 0);
call("epoll_ctl", epollCtl(epoll, EPOLL_CTL_ADD, polled, event));

process.stdout.write(
  `${JSON.stringify({ pid: process.pid, irqfds: irqfds.map(idOf), polled: idOf(polled) })}\n`,
);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
