/* SPDX-License-Identifier: MIT */
/*
 * Interrupt files: the pending interrupts of one CPU, 256 ids in 64 bytes of shared memory. Made by `npm run header` from the
 * table that the TypeScript side is built on; both work on the same words.
 *
 * Free-standing: no includes, no library. For clang: --target=wasm32 -matomics -mbulk-memory, at -O1 or more.
 *
 * The rule of sleeping, for code that does it by itself: whoever sleeps first makes NV (bits 16 to 23 of the control word)
 * IF_BLOCKED by a compare-exchange from a value without ON, SN, KICKED and EVENT, and waits for exactly that value. Others only
 * set bits, by `or`, before they notify, and notify all. ON, KICKED, EVENT and NV are changed back by the owner alone, awake.
 *
 * Override before the include, where the host may not block or has other ways:
 *   IF_WAIT(word, value, ns)   waits while *word is value, at most ns nanoseconds, signed, less than 0 for ever;
 *                              0 woken, 1 another value, 2 timed out
 *   IF_NOTIFY(word)            wakes all that wait for the word
 */
#ifndef INTERRUPT_FILE_H
#define INTERRUPT_FILE_H

#ifndef IF_WAIT
#define IF_WAIT(word, value, ns) __builtin_wasm_memory_atomic_wait32((int *)(word), (int)(value), (ns))
#endif
#ifndef IF_NOTIFY
#define IF_NOTIFY(word) ((void)__builtin_wasm_memory_atomic_notify((int *)(word), 0xffffffffu))
#endif

typedef unsigned int if_word;

/* At a multiple of 64 bytes. A new one is all zeros, then if_init. */
typedef struct interrupt_file {
  if_word words[@Descriptor.words@];
} __attribute__((aligned(64))) interrupt_file;

enum {
  /* Words of a file. */
  IF_PIR = @Descriptor.pir@,
  IF_CONTROL = @Descriptor.control@,
  IF_HEADER = @Descriptor.header@,
  IF_SUSPENSIONS = @Descriptor.suspensions@,
  IF_PIR_WORDS = @PIR_WORDS@,
  IF_FILE = @FILE_HEADER@,
  IF_MAGIC = @FILE_MAGIC@,
  IF_VERSION = @FILE_VERSION@,
  /* Bits of the control word. */
  IF_ON = @ON@,
  IF_SN = @SN@,
  IF_KICKED = @KICKED@,
  IF_EVENT = @EVENT@,
  IF_NV_SHIFT = @NV_SHIFT@,
  IF_NV_MASK = @NV_MASK@,
  IF_NOTIFY_ONLY = @NOTIFICATION_VECTOR@,
  IF_BLOCKED = @WAKEUP_VECTOR@
};

/* Why a wait ended. IF_WOKEN: by a notify that changed nothing; look at the clock, and block again for the rest. */
enum if_wake { IF_WAKE_INTERRUPT, IF_WAKE_EVENT, IF_WAKE_KICKED, IF_WAKE_TIMEOUT, IF_WAKE_SUSPENDED, IF_WOKEN };

#define IF_API static inline __attribute__((unused))
#define IF_LOAD(word) __atomic_load_n((word), __ATOMIC_SEQ_CST)

#ifdef IF_IMPORTED
/* The same functions, called in the host: what `file.imports()` returns has them. */
#define IF_CALL(name) __attribute__((import_module("interrupt_file"), import_name(#name))) extern
IF_CALL(post) void if_post(interrupt_file *file, if_word id);
IF_CALL(pending) int if_pending(interrupt_file *file);
IF_CALL(harvest) if_word if_harvest(interrupt_file *file, if_word *into);
IF_CALL(block) int if_block(interrupt_file *file, long long timeout_ns);
IF_CALL(kick) void if_kick(interrupt_file *file);
IF_CALL(suspend) void if_suspend(interrupt_file *file);
IF_CALL(resume) void if_resume(interrupt_file *file);
IF_CALL(renotify) void if_renotify(interrupt_file *file);
#else

IF_API if_word if_with_nv(if_word control, if_word vector) {
  return (control & ~IF_NV_MASK) | (vector << IF_NV_SHIFT);
}

IF_API int if_asks_for_wake_up(if_word control) {
  return (control & IF_NV_MASK) >> IF_NV_SHIFT == IF_BLOCKED;
}

IF_API int if_pir_has_bits(interrupt_file *file) {
  for (if_word i = 0; i < IF_PIR_WORDS; i++)
    if (IF_LOAD(&file->words[IF_PIR + i])) return 1;
  return 0;
}

/* Makes a file of 64 bytes that are all 0; its owner is there. */
IF_API void if_init(interrupt_file *file) {
  __atomic_store_n(&file->words[IF_CONTROL], if_with_nv(0, IF_NOTIFY_ONLY), __ATOMIC_SEQ_CST);
  /* Last: whoever sees it sees a file. */
  __atomic_store_n(&file->words[IF_HEADER], IF_FILE, __ATOMIC_SEQ_CST);
}

/* Is there a file of this layout? Of another one, bits 8 to 15 of the word IF_HEADER are the version. */
IF_API int if_is_file(interrupt_file *file) { return IF_LOAD(&file->words[IF_HEADER]) == IF_FILE; }

/* Posts an id, 0 to 255; its lower eight bits count. From any thread, waits for nobody. */
IF_API void if_post(interrupt_file *file, if_word id) {
  if_word *control = &file->words[IF_CONTROL];
  id &= 255;
  __atomic_fetch_or(&file->words[IF_PIR + (id >> 5)], 1u << (id & 31), __ATOMIC_SEQ_CST);
  /* ON is looked at even if the bit was set already: whoever set it may have died before setting ON. */
  if (IF_LOAD(control) & (IF_ON | IF_SN)) return;
  if_word before = __atomic_fetch_or(control, IF_ON, __ATOMIC_SEQ_CST);
  if (!(before & (IF_ON | IF_SN)) && if_asks_for_wake_up(before)) IF_NOTIFY(control);
}

/* Is anything posted that was not harvested? From any thread. */
IF_API int if_pending(interrupt_file *file) {
  if_word control = IF_LOAD(&file->words[IF_CONTROL]);
  return (control & IF_ON) != 0 || ((control & IF_SN) != 0 && if_pir_has_bits(file));
}

/* Takes what is posted and adds it to eight words of the owner's. Returns in which of them there was something. The owner only. */
IF_API if_word if_harvest(interrupt_file *file, if_word *into) {
  if_word found = 0;
  if (!(IF_LOAD(&file->words[IF_CONTROL]) & IF_ON)) return 0;
  /* ON before the bits: one that is posted after they were read finds ON clear, and sets it again. */
  __atomic_fetch_and(&file->words[IF_CONTROL], ~(if_word)IF_ON, __ATOMIC_SEQ_CST);
  for (if_word i = 0; i < IF_PIR_WORDS; i++) {
    if_word bits = IF_LOAD(&file->words[IF_PIR + i]);
    if (!bits) continue;
    into[i] |= bits;
    __atomic_fetch_and(&file->words[IF_PIR + i], ~bits, __ATOMIC_SEQ_CST);
    found |= 1u << i;
  }
  return found;
}

/* Takes IF_KICKED or IF_EVENT, and returns whether it was there. The owner only. */
IF_API int if_take(interrupt_file *file, if_word what) {
  if (!(IF_LOAD(&file->words[IF_CONTROL]) & what)) return 0;
  __atomic_fetch_and(&file->words[IF_CONTROL], ~what, __ATOMIC_SEQ_CST);
  return 1;
}

IF_API void if_unblock(interrupt_file *file) {
  if_word *control = &file->words[IF_CONTROL];
  if_word seen = IF_LOAD(control);
  while (!__atomic_compare_exchange_n(control, &seen, if_with_nv(seen, IF_NOTIFY_ONLY), 0, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST))
    ;
}

/* Blocks until something is posted, there is an event or a kick, or the time is over; less than 0 for ever. The owner only. */
IF_API int if_block(interrupt_file *file, long long timeout_ns) {
  if_word *control = &file->words[IF_CONTROL];
  int slept = 0;
  for (;;) {
    if_word seen = IF_LOAD(control);
    if (seen & IF_SN) return IF_WAKE_SUSPENDED;
    if (seen & IF_ON) return IF_WAKE_INTERRUPT;
    if (if_take(file, IF_EVENT)) return IF_WAKE_EVENT;
    if (if_take(file, IF_KICKED)) return IF_WAKE_KICKED;
    if (slept) return slept;
    if (timeout_ns == 0) return IF_WAKE_TIMEOUT;
    /* From the very value that was looked at: what comes in between makes the exchange fail. */
    if_word asleep = if_with_nv(seen, IF_BLOCKED);
    if (!__atomic_compare_exchange_n(control, &seen, asleep, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    slept = IF_WAIT(control, asleep, timeout_ns) == 2 ? IF_WAKE_TIMEOUT : IF_WOKEN;
    if_unblock(file);
  }
}

IF_API void if_end_wait(interrupt_file *file, if_word what) {
  if_word before = __atomic_fetch_or(&file->words[IF_CONTROL], what, __ATOMIC_SEQ_CST);
  if (if_asks_for_wake_up(before)) IF_NOTIFY(&file->words[IF_CONTROL]);
}

/* Ends the owner's wait, the present one or the next. From any thread. */
IF_API void if_kick(interrupt_file *file) { if_end_wait(file, IF_KICKED); }

/* The same for something that the owner is to look at in a word of its own, which was set before. From any thread. */
IF_API void if_event(interrupt_file *file) { if_end_wait(file, IF_EVENT); }

/* The owner leaves its thread: posts stay until if_resume, and wake nobody. */
IF_API void if_suspend(interrupt_file *file) {
  __atomic_fetch_add(&file->words[IF_SUSPENSIONS], 1, __ATOMIC_SEQ_CST);
  if_end_wait(file, IF_SN);
}

/* The mirror image, in the thread that the CPU has come to. */
IF_API void if_resume(interrupt_file *file) {
  if_unblock(file);
  __atomic_fetch_and(&file->words[IF_CONTROL], ~(if_word)IF_SN, __ATOMIC_SEQ_CST);
  /* What was posted meanwhile left ON clear, and would sit there until the next post. */
  if (if_pir_has_bits(file)) __atomic_fetch_or(&file->words[IF_CONTROL], IF_ON, __ATOMIC_SEQ_CST);
}

/* Notifies once more of all that is posted, for a thread that may have died while it posted. From any thread. */
IF_API void if_renotify(interrupt_file *file) {
  if_word *control = &file->words[IF_CONTROL];
  if (if_pir_has_bits(file) && !(IF_LOAD(control) & IF_SN)) __atomic_fetch_or(control, IF_ON, __ATOMIC_SEQ_CST);
  IF_NOTIFY(control);
}
#endif
#endif
