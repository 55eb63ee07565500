/** What a thread beside a contestant can be; `threads/peer.ts` says what each does. */
export type Role =
  | "harvest"
  | "pingPong"
  | "rawPingPong"
  | "ringPingPong"
  | "halted"
  | "futex"
  | "eventfdReader"
  | "linuxReader"
  | "storm"
  | "hotProducer"
  | "messages";
