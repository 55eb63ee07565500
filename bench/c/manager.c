/*
 * A manager in C: one lock, two indexes, connect and disconnect.
 *
 *   manager (list|radix) (address|dense) (register|pair|memory) N BATCH ROUND_MS
 */
#include "manager.h"
#include "round.h"
#include <stdatomic.h>

static atomic_int lock_word;

/* Uncontended here, so the cost is that of any mutex: one compare-exchange, one exchange. */
static void lock(void)
{
	int free_value = 0;

	while (!atomic_compare_exchange_strong(&lock_word, &free_value, 1))
		free_value = 0;
}

static void unlock(void)
{
	atomic_exchange(&lock_word, 0);
}

int main(int argc, char **argv)
{
	if (argc != 7)
		return 2;
	int dense = strcmp(argv[2], "dense") == 0;
	const char *work = argv[3];
	size_t n = strtoul(argv[4], NULL, 10), batch = strtoul(argv[5], NULL, 10);
	double budget = strtod(argv[6], NULL) * 1e6, cost = clock_cost();
	int both = strcmp(work, "pair") == 0;
	struct eventfd *fds = aligned_alloc(4096, (n + batch + 64) / 64 * 64 * sizeof(*fds));
	struct object *cs = objects(n + batch, fds, dense), *ps = objects(n + batch, fds, dense);
	uint32_t random = 1;

	producers.list = consumers.list = strcmp(argv[1], "list") == 0;
	for (size_t i = 0; i < n; i++) {
		fill(&consumers, &producers, &cs[i]);
		if (both) {
			fill(&producers, &consumers, &ps[i]);
			cs[i].partner = &ps[i];
			ps[i].partner = &cs[i];
		}
	}
	ready();
	while (next_round()) {
		double up = 0, down = 0, end = now_ns() + budget;
		size_t repeats = 0;

		if (strcmp(work, "memory") == 0) {
			answer_one("consumer", consumers.list ? 2.0 * sizeof(void *)
							      : (double)consumers.nodes * sizeof(struct node) / n);
			continue;
		}
		do {
			double start = now_ns(), middle;

			if (strcmp(work, "register") == 0) {
				for (size_t i = n; i < n + batch; i++)
					add(&consumers, &producers, &cs[i]);
				middle = now_ns();
				up += middle - start - cost;
				for (size_t i = n; i < n + batch; i++)
					del(&consumers, &cs[i]);
				down += now_ns() - middle - cost;
			} else {
				for (size_t i = n; i < n + batch; i++) {
					add(&consumers, &producers, &cs[i]);
					add(&producers, &consumers, &ps[i]);
					del(&producers, &ps[i]);
					del(&consumers, &cs[i]);
				}
				middle = now_ns();
				up += middle - start - cost;
				for (size_t i = 0; i < batch; i++) {
					random = random * 1664525 + 1013904223;
					size_t at = ((uint64_t)random * n) >> 32;

					del(&producers, &ps[at]);
					del(&consumers, &cs[at]);
					add(&consumers, &producers, &cs[at]);
					add(&producers, &consumers, &ps[at]);
				}
				down += now_ns() - middle - cost;
			}
			repeats++;
		} while (now_ns() < end);
		if (strcmp(work, "register") == 0)
			answer_two("register", up / repeats / batch, "unregister", down / repeats / batch);
		else
			answer_two("pair", up / repeats / batch, "churn", down / repeats / batch);
	}
	return 0;
}
