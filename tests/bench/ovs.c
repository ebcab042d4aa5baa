// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Times Open vSwitch with our datapath beside others, round after round, and prints a line a
 * figure: `name value unit`. tests/bench/ovs.sh builds the sides: `bpf`, which comes first,
 * `redirect`, a bare one, and OVS's userspace datapath as `userspace` (AF_PACKET) or `afxdp`, each
 * but the redirect with its vswitchd's process, whose CPU time counts; a
 * flow's number decides its destination port (path.h), and that the OpenFlow rule that it meets.
 */
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/side.h"

#define FLOWS	    1000
#define SETTLE	    40	/* flows a burst while they are new: what a packet socket takes */
#define UPCALLS	    200 /* fresh flows a burst: what a port's share of its ring takes */
#define BURSTS	    10	/* a round */
#define FIRST_TRIES 51

/* The n-th rule's flows: n * PATH_SPORTS ... */
enum rule { OUTPUT, SET, CTNAT, FRESH, NRULES };
static const char *const rule_name[] = {"output", "set", "ctnat"};
static const char *const width_name[] = {"1", "1k"};
static const unsigned int width[] = {1, FLOWS};

static struct side *const bpf = &sides[0];
static bool again; /* -a: what the other run has said is not said twice */

static bool is_redirect(const struct side *s)
{
	return !strcmp(s->name, "redirect");
}

static bool said(const struct side *s)
{
	return again && (s == bpf || is_redirect(s));
}

/*
 * Of the vswitchds only that of the side in hand runs: one that polls takes a core (or a core's
 * other thread) from sides beside which it would not be. NULL: all run.
 */
static void turn_to(const struct side *s)
{
	for (int i = 0; i < nsides; i++)
		if (sides[i].daemon)
			kill(atoi(sides[i].arg), !s || s == &sides[i] ? SIGCONT : SIGSTOP);
}

static int settle_portion(struct side *s, enum dir dir, unsigned int first)
{
	struct path_sink *k = &s->state->sink[dir];
	bool lossy = s->lossy;

	s->lossy = true;
	for (int tries = 0; tries < 20; tries++) {
		double ns;

		k->learn = 1;
		k->bad_csum = 0;
		ns = measure(s, dir, first, SETTLE, SETTLE);
		k->learn = 0;
		if (ns >= 0 && k->frames == SETTLE && !k->bad_csum) {
			s->lossy = lossy;
			return 0;
		}
	}
	fprintf(stderr, "ovs: %s: flows from %u on: %llu of %d arrive, %llu wrong checksums\n",
		s->name, first, (unsigned long long)k->frames, SETTLE,
		(unsigned long long)k->bad_csum);
	return -1;
}

/* Every flow has its datapath flow, every connection its answer; checksums are verified. */
static int settle(struct side *s, enum rule rule)
{
	turn_to(s);
	for (unsigned int n = 0; n < FLOWS; n += SETTLE) {
		unsigned int first = rule * PATH_SPORTS + n;

		if (settle_portion(s, ORIG, first))
			return -1;
		if (rule == CTNAT &&
		    (settle_portion(s, REPLY, first) || settle_portion(s, ORIG, first)))
			return -1;
	}
	return 0;
}

/* Of the rule and width in hand, beside side.ns. */
static double cpu_ns[SIDES_MAX][ROUNDS_MAX], least_ns[SIDES_MAX][ROUNDS_MAX];
static double came[SIDES_MAX][ROUNDS_MAX];

/* The figures without a number of flows are the lower ones of the two. */
struct lowest {
	double wall, cpu, least;
};

/* Median over the rounds of how many times as much the other takes as ours. */
static double ratio(const double *other, const double *ours)
{
	double r[ROUNDS_MAX];

	for (int i = 0; i < rounds; i++)
		r[i] = other[i] / ours[i];
	return median(r, rounds);
}

/* lowest: lowered to what was found. */
static void print_ratios(enum rule rule, int w, int side, struct lowest *lowest)
{
	const char *of = rule_name[rule], *at = width_name[w], *name = sides[side].name;
	double r = ratio(sides[side].ns, bpf->ns);

	if (!said(&sides[side]))
		printf("ovs_%s_%s_vs_%s %.2f x\n", of, at, name, r);
	lowest->wall = r < lowest->wall ? r : lowest->wall;
	if (!sides[side].daemon)
		return;
	r = ratio(cpu_ns[side], cpu_ns[0]);
	printf("ovs_%s_%s_vs_%s_cpu %.2f x\n", of, at, name, r);
	lowest->cpu = r < lowest->cpu ? r : lowest->cpu;
	r = ratio(least_ns[side], least_ns[0]);
	printf("ovs_%s_%s_vs_%s_cpu_least %.2f x\n", of, at, name, r);
	lowest->least = r < lowest->least ? r : lowest->least;
	printf("ovs_%s_%s_%s_came %.0f %%\n", of, at, name, 100 * median(came[side], rounds));
	for (int i = 1; i < nsides; i++)
		if (is_redirect(&sides[i]))
			printf("ovs_%s_%s_redirect_vs_%s %.2f x\n", of, at, name,
			       ratio(sides[side].ns, sides[i].ns));
}

/* One rule at one width. */
static int forward_at(enum rule rule, int w, struct lowest lowest[])
{
	for (int n = 0; n < rounds; n++) {
		for (int i = 0; i < nsides; i++) {
			int side = (n + i) % nsides;
			struct side *s = &sides[side];

			turn_to(s);
			s->ns[n] = measure(s, ORIG, rule * PATH_SPORTS, width[w], packets);
			if (s->ns[n] <= 0) {
				fprintf(stderr, "ovs: %s: hardly a packet arrives\n", s->name);
				return -1;
			}
			cpu_ns[side][n] = s->cpu_ns;
			least_ns[side][n] = s->least_ns;
			came[side][n] = s->came;
		}
	}
	for (int i = 0; i < nsides; i++) {
		if (said(&sides[i]))
			continue;
		printf("ovs_%s_%s_%s_ns %.0f ns\n", rule_name[rule], width_name[w], sides[i].name,
		       median(sides[i].ns, rounds));
		printf("ovs_%s_%s_%s_cpu_ns %.0f ns\n", rule_name[rule], width_name[w],
		       sides[i].name, median(cpu_ns[i], rounds));
	}
	for (int i = 1; i < nsides; i++)
		print_ratios(rule, w, i, &lowest[i]);
	fflush(stdout);
	return 0;
}

static int forward(enum rule rule)
{
	struct lowest lowest[SIDES_MAX];

	for (int i = 0; i < nsides; i++) {
		lowest[i] = (struct lowest){1e9, 1e9, 1e9};
		sides[i].nat = rule != OUTPUT && !is_redirect(&sides[i]);
		if (settle(&sides[i], rule))
			return -1;
	}
	for (int w = 0; w < 2; w++)
		if (forward_at(rule, w, lowest))
			return -1;
	for (int i = 1; i < nsides; i++) {
		if (said(&sides[i]))
			continue;
		printf("ovs_%s_vs_%s %.2f x\n", rule_name[rule], sides[i].name, lowest[i].wall);
		if (!sides[i].daemon)
			continue;
		printf("ovs_%s_vs_%s_cpu %.2f x\n", rule_name[rule], sides[i].name, lowest[i].cpu);
		printf("ovs_%s_vs_%s_cpu_least %.2f x\n", rule_name[rule], sides[i].name,
		       lowest[i].least);
	}
	return 0;
}

/* Until all n are there, or for too long none has come. The core of vswitchd may be another's for a
 * while (100 ms were too few on a busy machine), so that a loss is what a second does not bring;
 * a side that loses much is not waited for as long once some have come. */
static void await(const struct side *s, unsigned int n)
{
	const volatile __u64 *frames = &s->state->sink[ORIG].frames;
	unsigned int silent_ms = 0;
	__u64 before = 0;

	while (*frames < n && silent_ms < (s->lossy && before ? 100 : 1000)) {
		usleep(10000);
		silent_ms += 10;
		if (*frames != before) {
			before = *frames;
			silent_ms = 0;
		}
	}
}

/* n flows never seen before, a packet each. Their number that arrived, by upcall and EXECUTE;
 * *ns from the first that was sent to the last that came. */
static int offer(struct side *s, unsigned int *next, unsigned int n, double *ns)
{
	struct path_gen *g = &s->state->gen[ORIG];
	struct path_sink *k = &s->state->sink[ORIG];

	if (setns(s->ns_fd[ORIG], CLONE_NEWNET))
		return fail("enter", s->prefix);
	g->first = FRESH * PATH_SPORTS + *next;
	g->flows = n;
	g->next = 0;
	g->begun_ns = 0;
	k->frames = 0;
	k->time_each = 1;
	if (burst(s, ORIG, n))
		return -1;
	await(s, n);
	k->time_each = 0;
	*next += n;
	*ns = k->timed_ns - g->begun_ns;
	return k->frames;
}

/* Upcalls of one round, a second. What does not arrive is lost, and a burst of which nothing does
 * has taken no time; there must be others. < 0: none, or the generator failed. */
static double upcalls_of_round(struct side *s, unsigned int *next, unsigned int *lost)
{
	double took = 0, ns;
	int got = 0;

	for (int i = 0; i < BURSTS; i++) {
		int here = offer(s, next, UPCALLS, &ns);

		if (here < 0)
			return -1;
		*lost += UPCALLS - here;
		got += here;
		took += here ? ns : 0;
	}
	if (!got) {
		fprintf(stderr, "ovs: %s: of %d first packets none arrives\n", s->name,
			BURSTS * UPCALLS);
		return -1;
	}
	return got / took * 1e9;
}

/* of, whom: of the figures' names */
static int upcalls(struct side *s, const char *of, const char *whom)
{
	double rate[ROUNDS_MAX], us[FIRST_TRIES], ns;
	unsigned int next = 0, warm = 0, lost = 0;
	int came = 0;

	turn_to(s);
	if (upcalls_of_round(s, &next, &warm) < 0)
		return -1;
	for (int n = 0; n < rounds; n++) {
		rate[n] = upcalls_of_round(s, &next, &lost);
		if (rate[n] < 0)
			return -1;
	}
	for (int i = 0; i < FIRST_TRIES; i++)
		if (offer(s, &next, 1, &ns) == 1)
			us[came++] = ns / 1e3;
	if (came < FIRST_TRIES / 2) {
		fprintf(stderr, "ovs: %s: of %d single first packets %d arrive\n", s->name,
			FIRST_TRIES, came);
		return -1;
	}
	printf("ovs_upcalls%s%s_s %.0f 1/s\n", of, whom, median(rate, rounds));
	printf("ovs_upcalls%s%s_lost %.2f %%\n", of, whom,
	       100. * lost / (rounds * BURSTS * UPCALLS));
	printf("ovs_first_packet%s%s_us %.0f us\n", of, whom, median(us, came));
	printf("ovs_first_packet%s%s_lost %d packets\n", of, whom, FIRST_TRIES - came);
	return 0;
}

static int all_upcalls(void)
{
	for (int i = 0; i < nsides; i++) {
		if (is_redirect(&sides[i]) || said(&sides[i]))
			continue;
		if (upcalls(&sides[i], i ? "_" : "", i ? sides[i].name : ""))
			return -1;
	}
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: ovs " COMMON_USAGE " [-a] bpf:PREFIX:PID NAME:PREFIX[:PID]...\n");
	return 2;
}

int main(int argc, char **argv)
{
	int opt, ret = 1;

	packets = 400000;
	while ((opt = getopt(argc, argv, COMMON_OPTIONS "a")) != -1) {
		if (opt == 'a')
			again = true;
		else if (!common_option(opt))
			return usage();
	}
	for (; optind < argc; optind++)
		if (parse_side(argv[optind]))
			return usage();
	if (nsides < 2 || strcmp(bpf->name, "bpf"))
		return usage();
	pin();
	for (int i = 0; i < nsides; i++) {
		sides[i].bridged = true;
		sides[i].tcx = is_redirect(&sides[i]);
		sides[i].lossy = &sides[i] != bpf && !sides[i].tcx;
		if (!is_redirect(&sides[i]) &&
		    clock_getcpuclockid(atoi(sides[i].arg), &sides[i].daemon))
			return usage();
		if (side_open(&sides[i], 1024) || warm_up(&sides[i]))
			goto out;
	}
	for (int rule = OUTPUT; rule < FRESH; rule++)
		if (forward(rule))
			goto out;
	ret = all_upcalls() ? 1 : 0;
out:
	turn_to(NULL);
	for (int i = 0; i < nsides; i++)
		side_close(&sides[i]);
	return ret;
}
