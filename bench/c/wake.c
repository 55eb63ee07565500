/*
 * Waking a thread that sleeps on a futex: what it costs the one that wakes, or how long it takes until the other runs.
 *
 *   wake (cost|latency) ROUND_MS
 */
#define _GNU_SOURCE
#include "round.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A wake-up's round is mostly waiting for the sleep, so it takes longer than others. */
#define LONGER 4
/* The sleeper has slept for so long that its core sleeps too. */
#define SLEEP_US 250
#define MOST (1 << 16)
/* The buckets of the harness: exact below 32, then 16 to each power of two up to 2^36. */
#define EXACT 32
#define SPLIT 16
#define MAX_BITS 36
#define BUCKETS (EXACT + (MAX_BITS - 5) * SPLIT)

static _Alignas(64) atomic_int word;
static _Alignas(64) atomic_int asleep;
static _Alignas(64) atomic_int acknowledged;
static double woken_at;

static void futex(atomic_int *at, int call, int value)
{
	syscall(SYS_futex, at, call, value, NULL, NULL, 0);
}

static void *sleeper(void *unused)
{
	for (int seen = 0;;) {
		atomic_store(&asleep, 1);
		futex(&word, FUTEX_WAIT_PRIVATE, seen);
		atomic_store(&asleep, 0);
		if (atomic_load(&word) == seen)
			continue;
		seen = atomic_load(&word);
		woken_at = now_ns();
		atomic_fetch_add(&acknowledged, 1);
	}
	return unused;
}

static int bucket_of(double ns)
{
	uint64_t value = ns < 0 ? 0 : ns;

	if (value >= 1ull << MAX_BITS)
		value = (1ull << MAX_BITS) - 1;
	if (value < EXACT)
		return value;
	int bits = 63 - __builtin_clzll(value);

	return EXACT + (bits - 5) * SPLIT + (int)(value >> (bits - 4)) - SPLIT;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double share(const double *sorted, size_t count, double part)
{
	size_t rank = part * count + 0.999999;

	return sorted[rank == 0 ? 0 : rank - 1];
}

static void answer_latencies(double *all, size_t count)
{
	static unsigned counts[BUCKETS];
	const char *comma = "";

	qsort(all, count, sizeof(*all), by_size);
	printf("{\"values\":{\"typical\":%.0f,\"p90\":%.0f,\"p99\":%.0f,\"p999\":%.0f},\"latencies\":[",
	       share(all, count, 0.5), share(all, count, 0.9), share(all, count, 0.99), share(all, count, 0.999));
	memset(counts, 0, sizeof(counts));
	for (size_t i = 0; i < count; i++)
		counts[bucket_of(all[i])]++;
	for (int i = 0; i < BUCKETS; i++)
		if (counts[i]) {
			printf("%s[%d,%u]", comma, i, counts[i]);
			comma = ",";
		}
	puts("]}");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	double budget = strtod(argv[2], NULL) * 1e6 * LONGER, cost = clock_cost();
	static double latencies[MOST];
	pthread_t thread;
	int woken = 0;

	if (pthread_create(&thread, NULL, sleeper, NULL) != 0)
		unavailable("pthread_create");
	ready();
	while (next_round()) {
		double spent = 0, end = now_ns() + budget;
		size_t count = 0;

		do {
			while (!atomic_load(&asleep))
				;
			for (double until = now_ns() + SLEEP_US * 1e3; now_ns() < until;)
				;
			double start = now_ns();

			atomic_fetch_add(&word, 1);
			futex(&word, FUTEX_WAKE_PRIVATE, 1);
			spent += now_ns() - start - cost;
			woken++;
			while (atomic_load(&acknowledged) != woken)
				;
			latencies[count++] = woken_at - start;
		} while (now_ns() < end && count < MOST);
		if (argv[1][0] == 'c')
			answer_one("signal", spent / count);
		else
			answer_latencies(latencies, count);
	}
	return 0;
}
