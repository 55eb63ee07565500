/** How a step uses a word: reads it plainly, changes it plainly, or uses it atomically. */
export type Touch = 0 | 1 | 2;
