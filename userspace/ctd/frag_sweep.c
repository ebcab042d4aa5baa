// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "frag_sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "frag_icmp.h"

#define PERIOD_MS 500
/* ICMP errors a second, in all. */
#define ICMP_RATE 10

struct frag_sweep {
	struct event *timer;
	unsigned int tokens;
	unsigned int passes;
};

/* Nobody else writes this counter. */
static void count_icmp(struct ctd *d, int family)
{
	__u32 slot = 2 * FRAG_STAT_ICMP + (family == 6);
	int cpus = libbpf_num_possible_cpus();
	__u64 *v = cpus > 0 ? calloc(cpus, sizeof(*v)) : NULL;

	if (v && !bpf_map_lookup_elem(d->core.pins.frag_stat_fd, &slot, v)) {
		v[0]++;
		bpf_map_update_elem(d->core.pins.frag_stat_fd, &slot, v, BPF_ANY);
	}
	free(v);
}

static void tell(struct ctd *d, const struct frag_expired *e)
{
	struct frag_sweep *s = d->frag_sweep;
	int ret;

	if (!s->tokens || !frag_icmp_allowed(e))
		return;
	s->tokens--;
	ret = frag_icmp_send(e);
	if (ret)
		log_event(LOG_INFO, "frag_icmp", "error=\"%s\"", strerror(-ret));
	else
		count_icmp(d, e->head.family);
}

/* Walks all slots; what the walk writes are datagrams that timed out. */
static int walk(struct ctd *d)
{
	int fd = bpf_iter_create(bpf_link__fd(d->core.sweep[BPFCT_SWEEPS]));
	struct frag_expired e;
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (;;) {
		n = read(fd, (char *)&e + have, sizeof(e) - have);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		have += n;
		if (have < sizeof(e))
			continue;
		tell(d, &e);
		have = 0;
	}
	close(fd);
	return n < 0 ? -errno : 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct frag_sweep *s = d->frag_sweep;
	int ret;

	(void)fd;
	(void)what;
	if (s->passes++ % (1000 / PERIOD_MS) == 0)
		s->tokens = ICMP_RATE;
	if (!__atomic_load_n(&d->core.pins.frag->use.datagrams, __ATOMIC_RELAXED))
		return;
	ret = walk(d);
	if (ret)
		log_event(LOG_FAULT, "frag_sweep", "error=\"%s\"", strerror(-ret));
}

int frag_sweep_start(struct ctd *d)
{
	static const struct timeval period = {.tv_usec = PERIOD_MS * 1000};
	struct frag_sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	d->frag_sweep = s;
	s->timer = event_new(d->base, -1, EV_PERSIST, on_timer, d);
	if (!s->timer || event_add(s->timer, &period))
		return -ENOMEM;
	return 0;
}

void frag_sweep_stop(struct ctd *d)
{
	struct frag_sweep *s = d->frag_sweep;

	if (!s)
		return;
	if (s->timer)
		event_free(s->timer);
	free(s);
	d->frag_sweep = NULL;
}
