// Interrupt files in one module beside a bare `or`: what a post costs where it is compiled in. See bench/suites/file.ts.
#include "interrupt_file.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

static if_word id_of(if_word i) { return (i * 37) & 255; }

void EXPORT(bare)(interrupt_file *files, if_word n) {
  for (if_word i = 0; i < n; i++)
    __atomic_fetch_or(&files[i].words[id_of(i) >> 5], 1u << (id_of(i) & 31), __ATOMIC_SEQ_CST);
}

void EXPORT(post)(interrupt_file *files, if_word n) {
  for (if_word i = 0; i < n; i++) if_post(&files[i], id_of(i));
}

/* Nothing is pending any more, or ON is set. */
void EXPORT(reset)(interrupt_file *files, if_word n, if_word bits) {
  for (if_word i = 0; i < n; i++) files[i].words[IF_CONTROL] = bits | IF_NOTIFY_ONLY << IF_NV_SHIFT;
}
