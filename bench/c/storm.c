/*
 * Threads that register and unregister consumers of the manager in C as fast as they can, all at once, and what they
 * wait for its lock.
 *
 *   storm (list|radix) (address|dense) THREADS N ROUND_MS
 */
#define _GNU_SOURCE
#include "manager.h"
#include "round.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWN 64
/* Waits of a thread that are kept for the percentile; a round has fewer. */
#define MOST_WAITS (1 << 20)

struct thread {
	_Alignas(64) struct object *own;
	size_t operations, taken, contended, parks;
	double waited, longest;
	float *waits;
};

static __thread struct thread *self;
static _Alignas(64) atomic_int lock_word; /* 0 free, 1 taken, 2 taken and somebody may sleep */
static _Alignas(64) atomic_int busy;
static atomic_int resting;
static size_t threads;

static void futex(atomic_int *word, int call, int value)
{
	syscall(SYS_futex, word, call, value, NULL, NULL, 0);
}

/* A look at the clock where it has to wait only, as on the other side of the comparison. */
static void lock(void)
{
	int seen = 0;

	self->taken++;
	if (atomic_compare_exchange_strong(&lock_word, &seen, 1))
		return;
	double start = now_ns(), waited;

	for (int look = 0; look < 100; look++) {
#ifdef __x86_64__
		__builtin_ia32_pause();
#endif
		seen = 0;
		if (atomic_compare_exchange_weak(&lock_word, &seen, 1))
			goto got;
	}
	while (atomic_exchange(&lock_word, 2) != 0) {
		self->parks++;
		futex(&lock_word, FUTEX_WAIT_PRIVATE, 2);
	}
got:
	waited = now_ns() - start;
	if (self->contended < MOST_WAITS)
		self->waits[self->contended] = waited;
	self->contended++;
	self->waited += waited;
	if (waited > self->longest)
		self->longest = waited;
}

static void unlock(void)
{
	if (atomic_exchange(&lock_word, 0) == 2)
		futex(&lock_word, FUTEX_WAKE_PRIVATE, 1);
}

static void *run(void *argument)
{
	self = argument;
	for (;;) {
		while (!atomic_load(&busy))
			futex(&busy, FUTEX_WAIT_PRIVATE, 0);
		size_t operations = 0;

		while (atomic_load_explicit(&busy, memory_order_relaxed)) {
			for (int i = 0; i < OWN && atomic_load_explicit(&busy, memory_order_relaxed); i++) {
				add(&consumers, &producers, &self->own[i]);
				del(&consumers, &self->own[i]);
				operations++;
			}
		}
		self->operations = operations;
		atomic_fetch_add(&resting, 1);
	}
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The wait that 99 of 100 do not exceed; those that did not wait have waited 0 ns. */
static double p99(struct thread *all, size_t taken, size_t contended)
{
	size_t beyond = taken - (size_t)(taken * 0.99), kept = 0;

	if (beyond > contended)
		return 0;
	float *waits = malloc(contended * sizeof(*waits));

	for (size_t t = 0; t < threads; t++) {
		size_t own = all[t].contended < MOST_WAITS ? all[t].contended : MOST_WAITS;

		memcpy(waits + kept, all[t].waits, own * sizeof(*waits));
		kept += own;
	}
	qsort(waits, kept, sizeof(*waits), by_size);
	double found = beyond > kept ? 0 : waits[kept - beyond];

	free(waits);
	return found;
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	int dense = strcmp(argv[2], "dense") == 0;
	size_t n = strtoul(argv[4], NULL, 10);
	double budget = strtod(argv[5], NULL);

	threads = strtoul(argv[3], NULL, 10);
	struct eventfd *fds = aligned_alloc(4096, (n + threads * OWN + 64) / 64 * 64 * sizeof(*fds));
	struct object *all = objects(n + threads * OWN, fds, dense);
	struct thread *each = aligned_alloc(64, threads * sizeof(*each));

	memset(each, 0, threads * sizeof(*each));
	self = each; /* filling counts for nobody: it is taken back below */
	each->waits = malloc(MOST_WAITS * sizeof(float));
	producers.list = consumers.list = strcmp(argv[1], "list") == 0;
	for (size_t i = 0; i < n; i++)
		fill(&consumers, &producers, &all[i]);
	for (size_t t = 0; t < threads; t++) {
		pthread_t thread;

		each[t].own = all + n + t * OWN;
		if (t > 0)
			each[t].waits = malloc(MOST_WAITS * sizeof(float));
		if (pthread_create(&thread, NULL, run, &each[t]) != 0)
			unavailable("pthread_create");
	}
	ready();
	while (next_round()) {
		size_t operations = 0, taken = 0, contended = 0, parks = 0, least = SIZE_MAX;
		double waited = 0, longest = 0;

		for (size_t t = 0; t < threads; t++) {
			each[t].taken = each[t].contended = each[t].parks = 0;
			each[t].waited = each[t].longest = 0;
		}
		atomic_store(&resting, 0);
		double start = now_ns(), spent;

		atomic_store(&busy, 1);
		futex(&busy, FUTEX_WAKE_PRIVATE, threads);
		usleep(budget * 1000);
		atomic_store(&busy, 0);
		spent = now_ns() - start;
		while ((size_t)atomic_load(&resting) < threads)
			usleep(100);
		for (size_t t = 0; t < threads; t++) {
			operations += each[t].operations;
			taken += each[t].taken;
			contended += each[t].contended;
			parks += each[t].parks;
			waited += each[t].waited;
			if (each[t].longest > longest)
				longest = each[t].longest;
			if (each[t].operations < least)
				least = each[t].operations;
		}
		printf("{\"values\":{\"mean\":%.3f,\"p99\":%.0f,\"longest\":%.0f,\"parks\":%.3f,"
		       "\"throughput\":%.0f,\"fairness\":%.3f}}\n",
		       waited / taken, p99(each, taken, contended), longest, 1000.0 * parks / taken,
		       operations / spent * 1e9, 1000.0 * least / operations);
		fflush(stdout);
	}
	return 0;
}
