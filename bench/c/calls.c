/*
 * Single operations that carry a signal.
 *
 *   calls (or|eventfd|futex) ROUND_MS
 */
#include "round.h"
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT 200

static struct { _Alignas(64) atomic_int word; } words[COUNT];

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	double budget = strtod(argv[2], NULL) * 1e6, cost = clock_cost();
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t one = 1, taken;

	if (fd < 0)
		unavailable("eventfd");
	ready();
	while (next_round()) {
		double spent = 0, end = now_ns() + budget;
		size_t repeats = 0;

		do {
			double start = now_ns();

			for (int i = 0; i < COUNT; i++) {
				if (argv[1][0] == 'o')
					atomic_fetch_or(&words[i].word, 2);
				else if (argv[1][0] == 'e')
					(void)!write(fd, &one, sizeof(one));
				else
					syscall(SYS_futex, &words[i].word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
			}
			spent += now_ns() - start - cost;
			repeats++;
			(void)!read(fd, &taken, sizeof(taken));
			for (int i = 0; i < COUNT; i++)
				atomic_store_explicit(&words[i].word, 0, memory_order_relaxed);
		} while (now_ns() < end);
		answer_one("signal", spent / repeats / COUNT);
	}
	return 0;
}
