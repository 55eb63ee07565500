/** What signals in a round, and what its device does to it beside that. */
export const PLAYS = [
  "a vector",
  "a vector that is masked meanwhile",
  "a function that is masked meanwhile",
  "a vector without a trigger, until it gets one",
  "a vector before its trigger is taken away",
  "a vector before its trigger is replaced",
  "a vector before it is disabled",
  "a vector that is disabled, until it is enabled",
  "a virtqueue",
  "a virtqueue before the device is reset",
  "a virtqueue before its call is replaced",
] as const;
export type Play = (typeof PLAYS)[number];
