// What the scenarios about dying threads share: who dies, who goes on, and what must hold after the repair.
import { Eventfd } from "irqbypass";
import { conserves } from "#scenarios/support/conservation.js";
import { leaveForIt, recoverMutexes } from "#src/vm/repair.js";
import { arrived, expect, guest, openVcpu, producer, relayNow } from "./guest.mjs";

export const GSI = 24;

/** The victim may die at any access; a time limit passes when nobody can go on otherwise. */
export const mortal = { kills: ["victim"], timeouts: "stuck" };

/**
 * Threads `victim`, which may die, `survivor`, and others by `names`. `make` gets the hosts and a guest that the survivor
 * owns; it returns what they do, `keeps`, and for the end the `signals` to be accounted for, and `check`. Where the victim has
 * died it is reported then, and repaired; before that the others repair what they wait for. `guestOf` makes the guest.
 */
export function dies(world, make, play = () => {}, names = [], guestOf = guest) {
  const made = guestOf(world, ["survivor", "victim", ...names]);
  const { survivor: host, victim } = made.hosts;
  const {
    keeps = [],
    check,
    signals,
    victim: operation,
    survivor,
    ...others
  } = make({ ...made, host, victim });
  const id = victim.threadId;
  play({ ...made, host });
  const hasDied = ({ victim }) => victim !== "done";
  const repairs = (results) => {
    if (hasDied(results)) host.threadLost(id);
    relayNow(host);
  };
  const end = (results) => {
    const died = hasDied(results);
    const { findings, live } = host.audit();
    expect(findings.length === 0, findings[0]?.message);
    expect(live.thread === names.length + (died ? 1 : 2), "the dead thread still has its record");
    check?.(results, died);
  };
  return {
    threads: {
      survivor: () => survivor?.() ?? "done",
      victim() {
        operation();
        return "done";
      },
      ...others,
    },
    keeps,
    end:
      signals === undefined
        ? (results) => {
            repairs(results);
            end(results);
          }
        : conserves((results) => {
            repairs(results);
            return signals(results, hasDied(results));
          }, end),
  };
}

/** The survivor's own device, connected: it signals, and its interrupt must arrive. */
export function device({ host, vm, eventfd }) {
  openVcpu(host, vm);
  const irqfd = vm.irqfd(eventfd, GSI);
  const source = producer(host, eventfd);
  return {
    survivor: () => source.signal(),
    keeps: [source, irqfd],
    signals: () => ({ host, vm, eventfd }),
    check: () => expect(arrived(host, vm), "the survivor's interrupt is lost"),
  };
}

/** A second eventfd with an irqfd of the survivor's VM, and the victim's handle to it. */
export function second(made) {
  const eventfd = Eventfd.create(made.host);
  const irqfd = made.vm.irqfd(eventfd, GSI);
  const own = Eventfd.open(made.victim, eventfd.handle);
  return { eventfd, irqfd, own };
}

/** Nobody makes whole what the host mutex guards. */
export function noHeal({ hosts }) {
  for (const host of Object.values(hosts)) host.repair.host = () => {};
}

/** The same for the mutexes of VMs. */
export function noHealVm({ hosts }) {
  for (const host of Object.values(hosts)) host.repair.vm = () => {};
}

/** Nobody is notified for a thread that has died. */
export function noNotification({ host }) {
  host.repair.thread = (gone) => {
    recoverMutexes(host, gone);
    leaveForIt(host, gone);
  };
}
