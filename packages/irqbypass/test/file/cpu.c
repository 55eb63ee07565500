// CPUs and devices in C over interrupt files, for storm.ts: as `interrupt_file.h` has them, or by calls of the host's.
#include "interrupt_file.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

// A poster bumps seq[id] before it posts; the owner copies it to seen[id] when it takes the bit.
typedef struct {
  unsigned seq[256], seen[256], stop, taken, slept;
} cpu;

void EXPORT(post)(interrupt_file *file, unsigned id) { if_post(file, id); }
int EXPORT(pending)(interrupt_file *file) { return if_pending(file); }
unsigned EXPORT(harvest)(interrupt_file *file, unsigned *into) { return if_harvest(file, into); }
int EXPORT(block)(interrupt_file *file, long long ns) { return if_block(file, ns); }
void EXPORT(kick)(interrupt_file *file) { if_kick(file); }
void EXPORT(suspend)(interrupt_file *file) { if_suspend(file); }
void EXPORT(resume)(interrupt_file *file) { if_resume(file); }
void EXPORT(renotify)(interrupt_file *file) { if_renotify(file); }
#ifndef IF_IMPORTED
void EXPORT(init)(interrupt_file *file) { if_init(file); }
int EXPORT(is_file)(interrupt_file *file) { return if_is_file(file); }
void EXPORT(event)(interrupt_file *file) { if_event(file); }
#endif

void EXPORT(poster)(interrupt_file *file, cpu *to, unsigned first, unsigned count, unsigned posts) {
  for (unsigned i = 0; i < posts; i++) {
    unsigned id = first + i % count;
    __atomic_fetch_add(&to->seq[id], 1, __ATOMIC_SEQ_CST);
    if_post(file, id);
  }
}

void EXPORT(owner)(interrupt_file *file, cpu *me, unsigned *into) {
  for (;;) {
    if (if_harvest(file, into)) {
      for (unsigned word = 0; word < IF_PIR_WORDS; word++) {
        unsigned bits = into[word];
        into[word] = 0;
        for (; bits; bits &= bits - 1) {
          unsigned id = word * 32 + (unsigned)__builtin_ctz(bits);
          me->taken += 1;
          __atomic_store_n(&me->seen[id], __atomic_load_n(&me->seq[id], __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
          __builtin_wasm_memory_atomic_notify((int *)&me->seen[id], 0xffffffffu);
        }
      }
    } else if (__atomic_load_n(&me->stop, __ATOMIC_SEQ_CST)) {
      return;
    } else if (if_block(file, -1) == IF_WAKE_INTERRUPT) {
      me->slept += 1;
    }
  }
}
