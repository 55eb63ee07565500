import assert from "node:assert/strict";
import { describeOperation, describeState, type Operation, type Route, type World } from "./operation.js";

/** A named case on one side: does operations, asserts what the facts say of them, and keeps a trace to be compared. */
export class Run {
  /** One line for each step: the operation, its outcome, and the whole state after it. */
  readonly trace: string[] = [];

  constructor(readonly world: World) {}

  /** Does it; it must succeed. */
  ok(operation: Operation): void {
    this.expect("ok", operation);
  }

  /** Does it; its outcome must be this errno, count or vector. */
  expect(outcome: string, operation: Operation): void {
    const got = this.world.perform(operation);
    this.trace.push(`${describeOperation(operation)} -> ${got}; ${describeState(this.world.state())}`);
    assert.equal(got, outcome, `${this.world.side}: ${this.trace.at(-1)}`);
  }

  /** Does what the project does otherwise, on purpose: each side has its own outcome. The trace only says why. */
  differs(
    outcomes: { readonly kernel: string; readonly software: string },
    operation: Operation,
    why: string,
  ): void {
    const got = this.world.perform(operation);
    this.trace.push(`${describeOperation(operation)} differs: ${why}`);
    assert.equal(got, outcomes[this.world.side], `${this.world.side}: ${describeOperation(operation)}`);
  }

  /** Notes what is true on both sides, where more than one outcome is allowed. */
  allowed(holds: boolean, what: string): void {
    assert.ok(holds, `${this.world.side}: ${what}`);
    this.trace.push(what);
  }

  /** Does it without a line in the trace: for what may come out in more than one way. */
  quietly(operation: Operation): string {
    return this.world.perform(operation);
  }

  assign(vm: number, e: number, gsi: number, resample?: number): void {
    this.ok({ op: "assign", vm, e, gsi, ...(resample === undefined ? {} : { resample }) });
  }

  busy(vm: number, e: number, gsi: number): void {
    this.expect("EBUSY", { op: "assign", vm, e, gsi });
  }

  deassign(vm: number, e: number, gsi: number): void {
    this.ok({ op: "deassign", vm, e, gsi });
  }

  write(e: number, value: number | bigint = 1): void {
    this.ok({ op: "write", e, value: String(value) });
  }

  routes(vm: number, ...routes: Route[]): void {
    this.ok({ op: "routes", vm, routes });
  }

  line(vm: number, gsi: number, level: boolean): void {
    this.ok({ op: "line", vm, gsi, level });
  }

  /** The vCPU takes and ends an interrupt of this vector. */
  serves(vm: number, vcpu: number, vector: number): void {
    this.expect(vector.toString(16), { op: "serve", vm, vcpu });
  }

  servesNone(vm: number, vcpu: number): void {
    this.expect("none", { op: "serve", vm, vcpu });
  }

  /** The vectors that wait in a vCPU. */
  irr(vm: number, vcpu: number, ...vectors: number[]): void {
    assert.deepEqual(
      this.world.state().irr[vm]![vcpu],
      vectors,
      `${this.world.side}: IRR after ${this.trace.at(-1)}`,
    );
  }

  count(e: number, value: number | bigint): void {
    assert.equal(
      this.world.state().counts[e],
      BigInt(value),
      `${this.world.side}: eventfd ${e} after ${this.trace.at(-1)}`,
    );
  }

  /** The pins whose line is up. */
  lines(vm: number, ...pins: number[]): void {
    const mask = pins.reduce((all, pin) => all | (1 << pin), 0);
    assert.equal(this.world.state().lines[vm], mask, `${this.world.side}: lines after ${this.trace.at(-1)}`);
  }
}
