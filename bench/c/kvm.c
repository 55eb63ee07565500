/*
 * What a signal into a KVM guest costs from C. The guest has one vCPU with its APIC on, which does not run.
 *
 *   kvm (msi|irqfd) ROUND_MS        one KVM_SIGNAL_MSI, one write to an eventfd with an irqfd
 *   kvm assign ROUND_MS N           KVM_IRQFD while N irqfds stand assigned
 */
#include "round.h"
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define COUNT 100
#define GSI 24
#define SVR 0xf0
#define APIC_ON 0x100

static int vm;

static void irqfd(int fd, unsigned flags)
{
	struct kvm_irqfd call = { .fd = fd, .gsi = GSI, .flags = flags };

	if (ioctl(vm, KVM_IRQFD, &call) < 0)
		unavailable("KVM_IRQFD");
}

static int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		unavailable("eventfd");
	return fd;
}

static void route(struct kvm_msi *msi)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = { .head.nr = 1 };

	table.entry.gsi = GSI;
	table.entry.type = KVM_IRQ_ROUTING_MSI;
	table.entry.u.msi.address_lo = msi->address_lo;
	table.entry.u.msi.data = msi->data;
	if (ioctl(vm, KVM_SET_GSI_ROUTING, &table) < 0)
		unavailable("KVM_SET_GSI_ROUTING");
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	double budget = strtod(argv[2], NULL) * 1e6, cost = clock_cost();
	size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41 };
	struct rlimit files = { n + 100, n + 100 }, now;
	uint64_t one = 1;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		unavailable("/dev/kvm cannot be opened");
	/* Beyond the hard limit only for a privileged process; else eventfd says that there are no more. */
	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < files.rlim_cur &&
	    setrlimit(RLIMIT_NOFILE, &files) < 0) {
		files.rlim_cur = files.rlim_max = now.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
		unavailable("KVM_CREATE_VM or KVM_CREATE_IRQCHIP");
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	struct kvm_lapic_state lapic;

	if (vcpu < 0 || ioctl(vcpu, KVM_GET_LAPIC, &lapic) < 0)
		unavailable("KVM_CREATE_VCPU or KVM_GET_LAPIC");
	*(uint32_t *)&lapic.regs[SVR] |= APIC_ON;
	if (ioctl(vcpu, KVM_SET_LAPIC, &lapic) < 0)
		unavailable("KVM_SET_LAPIC");
	route(&msi);

	int *fds = calloc(n, sizeof(*fds));
	for (size_t i = 0; i < n; i++) {
		fds[i] = new_eventfd();
		irqfd(fds[i], 0);
	}
	uint32_t random = 1;
	ready();
	while (next_round()) {
		double up = 0, down = 0, end = now_ns() + budget;
		size_t repeats = 0;

		do {
			double start = now_ns();

			if (argv[1][0] == 'm') {
				for (int i = 0; i < COUNT; i++)
					if (ioctl(vm, KVM_SIGNAL_MSI, &msi) < 0)
						unavailable("KVM_SIGNAL_MSI");
				up += now_ns() - start - cost;
			} else if (argv[1][0] == 'i') {
				for (int i = 0; i < COUNT; i++)
					if (write(fds[0], &one, sizeof(one)) < 0)
						unavailable("write");
				up += now_ns() - start - cost;
			} else {
				random = random * 1664525 + 1013904223;
				size_t at = ((uint64_t)random * n) >> 32;
				double middle;

				irqfd(fds[at], KVM_IRQFD_FLAG_DEASSIGN);
				middle = now_ns();
				down += middle - start - cost;
				irqfd(fds[at], 0);
				up += now_ns() - middle - cost;
			}
			repeats++;
		} while (now_ns() < end);
		if (argv[1][0] == 'a')
			answer_two("deassign", down / repeats, "assign", up / repeats);
		else
			answer_one("signal", up / repeats / COUNT);
	}
	return 0;
}
