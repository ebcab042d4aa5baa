// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * delay DEVICE1 DEVICE2 MILLISECONDS NET/LENGTH...
 *
 * A wire between two devices of this namespace on which every frame takes so
 * long. IPv4 packets go on only if their destination is in one of the nets: answers to
 * spoofed sources end here, in the kernel. So do IPv6 packets if a net is IPv6 (/32 at most). The
 * devices' peers must neither segment nor leave checksums to the card (ethtool -K tx off tso off
 * gso off).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME 2048u
#define QUEUE 8192u /* frames on their way in one direction, a power of two */
#define NETS  8

struct wire {
	int from, to;
	unsigned int head, tail;
	struct {
		double due;
		unsigned int len;
		unsigned char data[FRAME];
	} * queue;
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Appends: packets of this family (the type is in A) pass if their destination, of which
 * the word at off counts, is in one of its nets; those of others go on after that. */
static int filter_family(struct sock_fprog *prog, int family, char **nets, int n)
{
	unsigned int at = prog->len++, mask, off = family == AF_INET ? 30 : 38;
	__be32 addr[4];

	for (int i = 0; i < n; i++) {
		char *slash = strchr(nets[i], '/');
		int ok;

		if (!slash || !!strchr(nets[i], ':') != (family == AF_INET6))
			continue;
		*slash = 0;
		ok = inet_pton(family, nets[i], addr) == 1;
		*slash = '/';
		if (!ok || atoi(slash + 1) < 1 || atoi(slash + 1) > 32)
			return -EINVAL;
		mask = ~0u << (32 - atoi(slash + 1));
		prog->filter[prog->len++] =
			(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, off);
		prog->filter[prog->len++] =
			(struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask);
		prog->filter[prog->len++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, ntohl(addr[0]) & mask, 0, 1);
		prog->filter[prog->len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, FRAME);
	}
	if (prog->len == at + 1) { /* none of this family: all pass */
		prog->len = at;
		return 0;
	}
	prog->filter[prog->len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	prog->filter[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							family == AF_INET ? ETH_P_IP : ETH_P_IPV6,
							0, prog->len - at - 1);
	return 0;
}

static int filter(int fd, char **nets, int n)
{
	struct sock_filter f[6 + 4 * NETS] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12)};
	struct sock_fprog prog = {.len = 1, .filter = f};

	if (filter_family(&prog, AF_INET, nets, n) || filter_family(&prog, AF_INET6, nets, n))
		return -EINVAL;
	f[prog.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, FRAME);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
}

static int open_device(const char *name, char **nets, int n)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), one = 1, room = 32 << 20;

	addr.sll_ifindex = if_nametoindex(name);
	if (fd < 0 || !addr.sll_ifindex || filter(fd, nets, n) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    bind(fd, (void *)&addr, sizeof(addr))) {
		fprintf(stderr, "delay: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	return fd;
}

/* Takes in what has come, lets out what is due; the next time something is, or 0. */
static double serve(struct wire *w, double delay)
{
	double now = seconds();

	while (w->head - w->tail < QUEUE) {
		unsigned int at = w->head & (QUEUE - 1);
		ssize_t n = recv(w->from, w->queue[at].data, FRAME, MSG_TRUNC);

		if (n < 0)
			break;
		if (n > (ssize_t)FRAME)
			continue; /* somebody segments after all: the test will notice */
		w->queue[at].len = n;
		w->queue[at].due = now + delay;
		w->head++;
	}
	while (w->tail != w->head && w->queue[w->tail & (QUEUE - 1)].due <= now) {
		unsigned int at = w->tail++ & (QUEUE - 1);

		if (send(w->to, w->queue[at].data, w->queue[at].len, 0) < 0 && errno != ENOBUFS)
			fprintf(stderr, "delay: send: %s\n", strerror(errno));
	}
	return w->tail == w->head ? 0 : w->queue[w->tail & (QUEUE - 1)].due;
}

int main(int argc, char **argv)
{
	struct wire w[2] = {0};
	struct pollfd p[2];
	double delay, next;
	int i;

	if (argc < 5 || argc > 4 + NETS) {
		fprintf(stderr, "usage: delay DEVICE1 DEVICE2 MILLISECONDS NET/LENGTH...\n");
		return 2;
	}
	delay = atof(argv[3]) / 1000;
	for (i = 0; i < 2; i++) {
		w[i].from = w[!i].to = open_device(argv[1 + i], argv + 4, argc - 4);
		w[i].queue = calloc(QUEUE, sizeof(*w[i].queue));
		if (!w[i].queue)
			return 1;
		p[i] = (struct pollfd){.fd = w[i].from, .events = POLLIN};
	}
	prctl(PR_SET_TIMERSLACK, 1);
	puts("ready");
	fflush(stdout);
	for (;;) {
		double now = seconds();

		next = now + 1;
		for (i = 0; i < 2; i++) {
			double due = serve(&w[i], delay);

			if (due > 0 && due < next)
				next = due;
		}
		now = seconds();
		if (next > now) {
			struct timespec t = {.tv_nsec = (next - now) * 1e9};

			if (t.tv_nsec > 999999999)
				t.tv_nsec = 999999999;
			ppoll(p, 2, &t, NULL);
		}
	}
}
