// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define PASS_PERIOD	1.0
#define WHOLE_PERIOD	60.0
#define CPU_SHARE	0.05 /* of one CPU, at most, each round */
#define MIN_WAIT	0.001
#define UNCOUNTED_EVERY 8   /* passes: then bindings and subscribers are walked */
#define LOST_WAIT	2.0 /* the dead rest a second before a walk can free them */

/* What rounds consist of, in order. From conn4 on as bpfct_core.sweep[]. */
enum walk {
	WALK_LISTED4,
	WALK_LISTED6,
	WALK_CONN4,
	WALK_STUB6 = WALK_CONN4 + 3,
	WALK_BOUND,
	WALK_SUB,
	WALKS
};

struct round {
	struct ctd *d;
	struct event *timer;
	enum ct_stat counter;
	double period;
	bool (*takes)(const struct round *r, unsigned int walk);
	unsigned int walk;
	int iter_fd;		 /* the walk under way, -1: none */
	struct ct_sweep_req req; /* family 0: none */
	double begun;		 /* CLOCK_MONOTONIC */
	double cpu;		 /* CPU seconds so far */
	struct sweep_stats stats;
};

struct sweep {
	struct round pass, whole;
	uint32_t lost; /* by the graves, so far */
};

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void wait_for(struct round *r, double secs)
{
	struct timeval tv;

	if (secs < MIN_WAIT)
		secs = MIN_WAIT;
	tv.tv_sec = (time_t)secs;
	tv.tv_usec = (secs - tv.tv_sec) * 1e6;
	evtimer_add(r->timer, &tv);
}

static bool pass_takes(const struct round *r, unsigned int walk)
{
	if (walk < WALK_CONN4)
		return __atomic_load_n(&r->d->core.pins.table[walk].nodes, __ATOMIC_RELAXED);
	return walk >= WALK_BOUND && r->stats.passes % UNCOUNTED_EVERY == 0;
}

static bool whole_takes(const struct round *r, unsigned int walk)
{
	(void)r;
	return walk >= WALK_CONN4 && walk <= WALK_STUB6;
}

static void end_walk(struct round *r, int err)
{
	if (err)
		log_event(LOG_FAULT, "sweep", "walk=%u error=\"%s\"", r->walk, strerror(err));
	if (r->iter_fd >= 0)
		close(r->iter_fd);
	r->iter_fd = -1;
	r->req.family = 0;
	r->walk++;
}

static void listed_some(struct round *r)
{
	int ret;

	if (!r->req.family)
		r->req = (struct ct_sweep_req){.family = r->walk == WALK_LISTED4 ? 4 : 6};
	ret = bpfct_sweep_listed(r->d->core.listed_fd, &r->req);
	if (ret || !r->req.more)
		end_walk(r, -ret);
}

/*
 * One read: the kernel walks on until its program has written something (which
 * it does now and then so that we get the CPU back), or for a million entries
 * (EAGAIN), or to the end (0).
 */
static void walk_some(struct round *r)
{
	char buf[8];
	ssize_t n;

	if (r->iter_fd < 0)
		r->iter_fd = bpf_iter_create(bpf_link__fd(r->d->core.sweep[r->walk - WALK_CONN4]));
	if (r->iter_fd < 0) {
		end_walk(r, errno);
		return;
	}
	n = read(r->iter_fd, buf, sizeof(buf));
	if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR)))
		end_walk(r, n < 0 ? errno : 0);
}

/* Nobody else writes this counter. */
static void count(struct ctd *d, __u32 counter)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 *v = cpus > 0 ? calloc(cpus, sizeof(*v)) : NULL;

	if (v && !bpf_map_lookup_elem(d->core.pins.stat_fd, &counter, v)) {
		v[0]++;
		bpf_map_update_elem(d->core.pins.stat_fd, &counter, v, BPF_ANY);
	}
	free(v);
}

/* Are there dead that no grave names any more? Then the whole walk comes when they have rested. */
static void look_for_lost(struct ctd *d)
{
	struct ct_table *t = d->core.pins.table;
	uint32_t lost = __atomic_load_n(&t[0].grave_lost, __ATOMIC_RELAXED) +
			__atomic_load_n(&t[1].grave_lost, __ATOMIC_RELAXED);

	/* A walk that is under way may be past them: it ends first. */
	if (lost == d->sweep->lost || d->sweep->whole.begun)
		return;
	d->sweep->lost = lost;
	wait_for(&d->sweep->whole, LOST_WAIT);
}

static void end_round(struct round *r, double now)
{
	double wait = r->period - (now - r->begun);
	double owed = r->cpu / CPU_SHARE - (now - r->begun);

	count(r->d, r->counter);
	r->stats.passes++;
	r->stats.last_cpu_s = r->cpu;
	r->stats.last_wall_s = now - r->begun;
	r->walk = 0;
	r->cpu = 0;
	r->begun = 0;
	wait_for(r, wait > owed ? wait : owed);
	look_for_lost(r->d);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct round *r = arg;
	double cpu, now;

	(void)fd;
	(void)what;
	if (!r->begun)
		r->begun = seconds(CLOCK_MONOTONIC);
	/* Small tables in one go, large ones a stretch at a time. */
	do {
		cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
		if (!r->takes(r, r->walk))
			r->walk++;
		else if (r->walk < WALK_CONN4)
			listed_some(r);
		else
			walk_some(r);
		r->cpu += seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
		now = seconds(CLOCK_MONOTONIC);
	} while (r->walk < WALKS && r->cpu < CPU_SHARE * (now - r->begun));
	if (r->walk >= WALKS)
		end_round(r, now);
	else
		wait_for(r, r->cpu / CPU_SHARE - (now - r->begun));
}

static int round_start(struct round *r, struct ctd *d)
{
	r->d = d;
	r->timer = evtimer_new(d->base, on_timer, r);
	if (!r->timer)
		return -ENOMEM;
	wait_for(r, 0);
	return 0;
}

static void round_stop(struct round *r)
{
	if (r->timer)
		event_free(r->timer);
	if (r->iter_fd >= 0)
		close(r->iter_fd);
}

int sweep_start(struct ctd *d)
{
	struct sweep *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->pass = (struct round){.counter = CT_STAT_SWEEP_PASSES,
				 .period = PASS_PERIOD,
				 .takes = pass_takes,
				 .iter_fd = -1};
	s->whole = (struct round){.counter = CT_STAT_SWEEP_WHOLE,
				  .period = WHOLE_PERIOD,
				  .takes = whole_takes,
				  .iter_fd = -1};
	d->sweep = s;
	ret = round_start(&s->pass, d);
	return ret ? ret : round_start(&s->whole, d);
}

void sweep_stop(struct ctd *d)
{
	struct sweep *s = d->sweep;

	if (!s)
		return;
	round_stop(&s->pass);
	round_stop(&s->whole);
	free(s);
	d->sweep = NULL;
}

const struct sweep_stats *sweep_stats(const struct ctd *d)
{
	return &d->sweep->pass.stats;
}

const struct sweep_stats *sweep_whole_stats(const struct ctd *d)
{
	return &d->sweep->whole.stats;
}
