/*
 * One of N eventfds is written, found by epoll_wait, and read.
 *
 *   epoll N ROUND_MS
 */
#define ROUND_CLOCK CLOCK_PROCESS_CPUTIME_ID
#include "round.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define COUNT 1000
#define EVENTS 8

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	size_t n = strtoul(argv[1], NULL, 10), next = 0;
	double budget = strtod(argv[2], NULL) * 1e6, cost = clock_cost();
	struct rlimit files;
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(0), *fds = calloc(n, sizeof(*fds));
	uint64_t one = 1, taken;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (size_t i = 0; i < n; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };

		fds[i] = eventfd(0, EFD_NONBLOCK);
		if (fds[i] < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) < 0)
			unavailable("eventfd or epoll_ctl");
	}
	ready();
	while (next_round()) {
		double spent = 0, end = now_ns() + budget;
		size_t repeats = 0;

		do {
			double start = now_ns();

			for (int i = 0; i < COUNT; i++) {
				next = (next + 7) % n;
				(void)!write(fds[next], &one, sizeof(one));
				int found = epoll_wait(epoll, events, EVENTS, -1);

				for (int k = 0; k < found; k++)
					(void)!read(fds[events[k].data.u64], &taken, sizeof(taken));
			}
			spent += now_ns() - start - cost;
			repeats++;
		} while (now_ns() < end);
		answer_one("epoll", spent / repeats / COUNT);
	}
	return 0;
}
