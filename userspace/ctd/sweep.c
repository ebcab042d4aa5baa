// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define TABLES		BPFCT_SWEEPS
#define COUNTED		4 /* the first ones say how many entries they have */
#define PASS_PERIOD	1.0
#define CPU_SHARE	0.05 /* of one CPU, at most */
#define MIN_WAIT	0.001
#define UNCOUNTED_EVERY 8  /* passes: then the others are walked */
#define FULL_EVERY	60 /* passes: then tables that count no entries are walked too */

struct sweep {
	struct event *timer;
	int iter_fd; /* the walk under way, -1: none */
	unsigned int table;
	double begun; /* CLOCK_MONOTONIC */
	double cpu;   /* CPU seconds of this pass */
	struct sweep_stats stats;
};

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void wait_for(struct sweep *s, double secs)
{
	struct timeval tv;

	if (secs < MIN_WAIT)
		secs = MIN_WAIT;
	tv.tv_sec = (time_t)secs;
	tv.tv_usec = (secs - tv.tv_sec) * 1e6;
	evtimer_add(s->timer, &tv);
}

static void end_walk(struct sweep *s)
{
	if (s->iter_fd >= 0)
		close(s->iter_fd);
	s->iter_fd = -1;
	s->table++;
}

/* Buckets cost time though they are empty: two seconds of each minute
 * for the default sizes. */
static bool empty(const struct ctd *d, unsigned int table)
{
	const struct ct_table *t = &d->core.pins.table[table & 1];

	if (d->sweep->stats.passes % FULL_EVERY == 0)
		return false;
	if (table >= COUNTED)
		return d->sweep->stats.passes % UNCOUNTED_EVERY;
	return __atomic_load_n(table < 2 ? &t->nodes : &t->stubs, __ATOMIC_RELAXED) == 0;
}

/*
 * One read: the kernel walks on until its program has written something (which
 * it does now and then so that we get the CPU back), or for a million entries
 * (EAGAIN), or to the end (0).
 */
static void walk_some(struct ctd *d)
{
	struct sweep *s = d->sweep;
	char buf[8];
	ssize_t n;

	if (s->iter_fd < 0 && empty(d, s->table)) {
		s->table++;
		return;
	}
	if (s->iter_fd < 0)
		s->iter_fd = bpf_iter_create(bpf_link__fd(d->core.sweep[s->table]));
	if (s->iter_fd < 0) {
		log_event(LOG_FAULT, "sweep", "table=%u error=\"%s\"", s->table, strerror(errno));
		end_walk(s);
		return;
	}
	n = read(s->iter_fd, buf, sizeof(buf));
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (n < 0)
		log_event(LOG_FAULT, "sweep", "table=%u error=\"%s\"", s->table, strerror(errno));
	end_walk(s);
}

/* Nobody else writes this counter. */
static void count_pass(struct ctd *d)
{
	int cpus = libbpf_num_possible_cpus();
	__u32 slot = CT_STAT_SWEEP_PASSES;
	__u64 *v = cpus > 0 ? calloc(cpus, sizeof(*v)) : NULL;

	if (v && !bpf_map_lookup_elem(d->core.pins.stat_fd, &slot, v)) {
		v[0]++;
		bpf_map_update_elem(d->core.pins.stat_fd, &slot, v, BPF_ANY);
	}
	free(v);
}

static void end_pass(struct ctd *d, double now)
{
	struct sweep *s = d->sweep;
	double wait = PASS_PERIOD - (now - s->begun);
	double owed = s->cpu / CPU_SHARE - (now - s->begun);

	count_pass(d);
	s->stats.passes++;
	s->stats.last_cpu_s = s->cpu;
	s->stats.last_wall_s = now - s->begun;
	s->table = 0;
	s->cpu = 0;
	s->begun = 0;
	wait_for(s, wait > owed ? wait : owed);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct sweep *s = d->sweep;
	double cpu, now;

	(void)fd;
	(void)what;
	if (!s->begun)
		s->begun = seconds(CLOCK_MONOTONIC);
	/* Small tables in one go, large ones a slice at a time. */
	do {
		cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
		walk_some(d);
		s->cpu += seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
		now = seconds(CLOCK_MONOTONIC);
	} while (s->table < TABLES && s->cpu < CPU_SHARE * (now - s->begun));
	if (s->table >= TABLES)
		end_pass(d, now);
	else
		wait_for(s, s->cpu / CPU_SHARE - (now - s->begun));
}

int sweep_start(struct ctd *d)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->iter_fd = -1;
	d->sweep = s;
	s->timer = evtimer_new(d->base, on_timer, d);
	if (!s->timer)
		return -ENOMEM;
	wait_for(s, 0);
	return 0;
}

void sweep_stop(struct ctd *d)
{
	struct sweep *s = d->sweep;

	if (!s)
		return;
	if (s->timer)
		event_free(s->timer);
	if (s->iter_fd >= 0)
		close(s->iter_fd);
	free(s);
	d->sweep = NULL;
}

const struct sweep_stats *sweep_stats(const struct ctd *d)
{
	return &d->sweep->stats;
}
