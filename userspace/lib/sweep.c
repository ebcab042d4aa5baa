// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
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

/* Times are seconds of CLOCK_MONOTONIC. */
struct round {
	enum ct_stat counter;
	double period;
	bool (*takes)(const struct bpfct_sweep *s, unsigned int walk);
	unsigned int walk;
	int iter_fd;		 /* the walk under way, -1: none */
	struct ct_sweep_req req; /* family 0: none */
	double due;		 /* when it goes on */
	double begun;		 /* 0: not yet */
	double cpu;		 /* CPU seconds so far */
	struct bpfct_sweep_stats stats;
};

struct bpfct_sweep {
	struct bpfct_core *core;
	bpfct_sweep_fault *fault;
	void *arg;
	struct round pass, whole;
	uint32_t lost; /* by the graves, so far */
};

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static bool pass_takes(const struct bpfct_sweep *s, unsigned int walk)
{
	if (walk < WALK_CONN4)
		return __atomic_load_n(&s->core->pins.table[walk].nodes, __ATOMIC_RELAXED);
	return walk >= WALK_BOUND && s->pass.stats.passes % UNCOUNTED_EVERY == 0;
}

static bool whole_takes(const struct bpfct_sweep *s, unsigned int walk)
{
	(void)s;
	return walk >= WALK_CONN4 && walk <= WALK_STUB6;
}

static void end_walk(struct bpfct_sweep *s, struct round *r, int err)
{
	if (err)
		s->fault(s->arg, r->walk, err);
	if (r->iter_fd >= 0)
		close(r->iter_fd);
	r->iter_fd = -1;
	r->req.family = 0;
	r->walk++;
}

static void listed_some(struct bpfct_sweep *s, struct round *r)
{
	int ret;

	if (!r->req.family)
		r->req = (struct ct_sweep_req){.family = r->walk == WALK_LISTED4 ? 4 : 6};
	ret = bpfct_sweep_listed(s->core->listed_fd, &r->req);
	if (ret || !r->req.more)
		end_walk(s, r, -ret);
}

/*
 * One read: the kernel walks on until its program has written something (which
 * it does now and then so that we get the CPU back), or for a million entries
 * (EAGAIN), or to the end (0).
 */
static void walk_some(struct bpfct_sweep *s, struct round *r)
{
	char buf[8];
	ssize_t n;

	if (r->iter_fd < 0)
		r->iter_fd = bpf_iter_create(bpf_link__fd(s->core->sweep[r->walk - WALK_CONN4]));
	if (r->iter_fd < 0) {
		end_walk(s, r, errno);
		return;
	}
	n = read(r->iter_fd, buf, sizeof(buf));
	if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR)))
		end_walk(s, r, n < 0 ? errno : 0);
}

/* Nobody else writes this counter. */
static void count(struct bpfct_core *core, __u32 counter)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 *v = cpus > 0 ? calloc(cpus, sizeof(*v)) : NULL;

	if (v && !bpf_map_lookup_elem(core->pins.stat_fd, &counter, v)) {
		v[0]++;
		bpf_map_update_elem(core->pins.stat_fd, &counter, v, BPF_ANY);
	}
	free(v);
}

/* Are there dead that no grave names any more? Then the whole walk comes when they have rested. */
static void look_for_lost(struct bpfct_sweep *s, double now)
{
	struct ct_table *t = s->core->pins.table;
	uint32_t lost = __atomic_load_n(&t[0].grave_lost, __ATOMIC_RELAXED) +
			__atomic_load_n(&t[1].grave_lost, __ATOMIC_RELAXED);

	/* A walk that is under way may be past them: it ends first. */
	if (lost == s->lost || s->whole.begun)
		return;
	s->lost = lost;
	s->whole.due = now + LOST_WAIT;
}

static void end_round(struct bpfct_sweep *s, struct round *r, double now)
{
	double wait = r->period - (now - r->begun);
	double owed = r->cpu / CPU_SHARE - (now - r->begun);

	count(s->core, r->counter);
	r->stats.passes++;
	r->stats.last_cpu_s = r->cpu;
	r->stats.last_wall_s = now - r->begun;
	r->walk = 0;
	r->cpu = 0;
	r->begun = 0;
	r->due = now + (wait > owed ? wait : owed);
	look_for_lost(s, now);
}

static void go_on(struct bpfct_sweep *s, struct round *r)
{
	double cpu, now = seconds(CLOCK_MONOTONIC);

	if (now < r->due)
		return;
	if (!r->begun)
		r->begun = now;
	/* Small tables in one go, large ones a stretch at a time. */
	do {
		cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
		if (!r->takes(s, r->walk))
			r->walk++;
		else if (r->walk < WALK_CONN4)
			listed_some(s, r);
		else
			walk_some(s, r);
		r->cpu += seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
		now = seconds(CLOCK_MONOTONIC);
	} while (r->walk < WALKS && r->cpu < CPU_SHARE * (now - r->begun));
	if (r->walk >= WALKS)
		end_round(s, r, now);
	else
		r->due = r->begun + r->cpu / CPU_SHARE;
}

double bpfct_sweep_run(struct bpfct_sweep *s)
{
	double wait;

	go_on(s, &s->pass);
	go_on(s, &s->whole);
	wait = s->pass.due < s->whole.due ? s->pass.due : s->whole.due;
	wait -= seconds(CLOCK_MONOTONIC);
	return wait > MIN_WAIT ? wait : MIN_WAIT;
}

struct bpfct_sweep *bpfct_sweep_new(struct bpfct_core *core, bpfct_sweep_fault *fault, void *arg)
{
	struct bpfct_sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->core = core;
	s->fault = fault;
	s->arg = arg;
	s->pass = (struct round){.counter = CT_STAT_SWEEP_PASSES,
				 .period = PASS_PERIOD,
				 .takes = pass_takes,
				 .iter_fd = -1};
	s->whole = (struct round){.counter = CT_STAT_SWEEP_WHOLE,
				  .period = WHOLE_PERIOD,
				  .takes = whole_takes,
				  .iter_fd = -1};
	return s;
}

void bpfct_sweep_free(struct bpfct_sweep *s)
{
	if (s && s->pass.iter_fd >= 0)
		close(s->pass.iter_fd);
	if (s && s->whole.iter_fd >= 0)
		close(s->whole.iter_fd);
	free(s);
}

const struct bpfct_sweep_stats *bpfct_sweep_pass(const struct bpfct_sweep *s)
{
	return &s->pass.stats;
}

const struct bpfct_sweep_stats *bpfct_sweep_whole(const struct bpfct_sweep *s)
{
	return &s->whole.stats;
}
