// SPDX-License-Identifier: MIT
// A kernel of two CPUs, as small as shows how one takes interrupts in workers: a tick for both, a device for CPU 0, and IPIs between
// the two. CPU 0 takes the device's packets and hands each to CPU 1; that one finishes it.
#include "interrupt_file.h"

#define EXPORT(name) __attribute__((export_name(#name))) name
#define ADD(word, value) __atomic_fetch_add(&(word), (value), __ATOMIC_SEQ_CST)
#define READ(word) __atomic_load_n(&(word), __ATOMIC_SEQ_CST)

enum { CPUS = 2, TICK = 0, WORK = 1, DEVICE = 33 };
enum { BALANCE_NS = 5000000 };

__attribute__((import_module("host"), import_name("now_ns"))) extern long long now_ns(void);

static interrupt_file files[CPUS];

// What the host reads and writes, too; a word each, in this order.
static struct {
  unsigned stop, sent, done;
  struct {
    unsigned ticks, packets, ipis, slept, deadlines;
  } cpu[CPUS];
} shared;
// Packets that CPU 0 has taken, and those that CPU 1 has of them.
static unsigned taken, finished;

interrupt_file *EXPORT(file_of)(unsigned cpu) { return &files[cpu]; }
void *EXPORT(shared_words)(void) { return &shared; }

void EXPORT(boot)(void) {
  for (unsigned cpu = 0; cpu < CPUS; cpu++) if_init(&files[cpu]);
}

static void handle(unsigned cpu, unsigned id) {
  if (id == TICK) {
    shared.cpu[cpu].ticks += 1;
  } else if (id == DEVICE) {
    // Interrupts coalesce: how many packets there are is in the ring, not in their number.
    unsigned fresh = READ(shared.sent) - taken;
    if (fresh == 0) return;
    shared.cpu[cpu].packets += fresh;
    ADD(taken, fresh);
    if_post(&files[1], WORK);
  } else if (id == WORK && cpu == 1) {
    unsigned fresh = READ(taken) - finished;
    shared.cpu[cpu].ipis += 1;
    shared.cpu[cpu].packets += fresh;
    finished += fresh;
    ADD(shared.done, fresh);
    IF_NOTIFY(&shared.done);
    if_post(&files[0], WORK);
  } else if (id == WORK) {
    shared.cpu[cpu].ipis += 1;
  }
}

void EXPORT(run)(unsigned cpu) {
  interrupt_file *file = &files[cpu];
  if_word pending[IF_PIR_WORDS] = {0};
  long long deadline = now_ns() + BALANCE_NS;
  while (!READ(shared.stop)) {
    if (if_harvest(file, pending)) {
      for (unsigned word = 0; word < IF_PIR_WORDS; word++)
        for (; pending[word]; pending[word] &= pending[word] - 1)
          handle(cpu, word * 32 + (unsigned)__builtin_ctz(pending[word]));
      continue;
    }
    // Idle, until something comes or the next thing is due.
    long long left = deadline - now_ns();
    if (left > 0) {
      shared.cpu[cpu].slept += 1;
      if_block(file, left);
    } else {
      shared.cpu[cpu].deadlines += 1;
      deadline = now_ns() + BALANCE_NS;
    }
  }
}
