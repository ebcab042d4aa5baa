// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Times Open vSwitch with our datapath beside a bare redirect and OVS's userspace datapath,
 * round after round, and prints a line a figure: `name value unit`. tests/bench/ovs.sh builds
 * the sides `bpf`, `redirect`, `userspace`; a flow's number decides its destination port (path.h),
 * and that the OpenFlow rule that it meets.
 */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/side.h"

#define FLOWS	    1000
#define SETTLE	    40	/* flows a burst while they are new: what a packet socket takes */
#define UPCALLS	    200 /* fresh flows a burst: what a port's share of its ring takes */
#define FIRST_TRIES 51

/* The n-th rule's flows: n * PATH_SPORTS ... */
enum rule { OUTPUT, SET, CTNAT, FRESH, NRULES };
static const char *const rule_name[] = {"output", "set", "ctnat"};
static const char *const width_name[] = {"1", "1k"};
static const unsigned int width[] = {1, FLOWS};

static struct side *const bpf = &sides[0], *const redirect = &sides[1], *const user = &sides[2];
static int rounds = 5;
static unsigned int packets = 400000;

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

/* Median over the rounds of how many times faster ours is. */
static double ratio(const struct side *other)
{
	double r[ROUNDS_MAX];

	for (int i = 0; i < rounds; i++)
		r[i] = other->ns[i] / bpf->ns[i];
	return median(r, rounds);
}

/* One rule at one width. The ratios are lowered to what was found. */
static int forward_at(enum rule rule, int w, double *vs_redirect, double *vs_user)
{
	double r, u;

	for (int n = 0; n < rounds; n++) {
		for (int i = 0; i < nsides; i++) {
			struct side *s = &sides[(n + i) % nsides];

			s->ns[n] = measure(s, ORIG, rule * PATH_SPORTS, width[w], packets);
			if (s->ns[n] <= 0)
				return -1;
		}
	}
	for (int i = 0; i < nsides; i++)
		printf("ovs_%s_%s_%s_ns %.0f ns\n", rule_name[rule], width_name[w], sides[i].name,
		       median(sides[i].ns, rounds));
	r = ratio(redirect);
	u = ratio(user);
	printf("ovs_%s_%s_vs_redirect %.2f x\n", rule_name[rule], width_name[w], r);
	printf("ovs_%s_%s_vs_userspace %.2f x\n", rule_name[rule], width_name[w], u);
	fflush(stdout);
	*vs_redirect = r < *vs_redirect ? r : *vs_redirect;
	*vs_user = u < *vs_user ? u : *vs_user;
	return 0;
}

/* The figures without a number of flows are the lower ones of the two. */
static int forward(enum rule rule)
{
	double vs_redirect = 1e9, vs_user = 1e9;

	for (int i = 0; i < nsides; i++) {
		sides[i].nat = rule != OUTPUT && &sides[i] != redirect;
		if (settle(&sides[i], rule))
			return -1;
	}
	for (int w = 0; w < 2; w++)
		if (forward_at(rule, w, &vs_redirect, &vs_user))
			return -1;
	printf("ovs_%s_vs_redirect %.2f x\n", rule_name[rule], vs_redirect);
	printf("ovs_%s_vs_userspace %.2f x\n", rule_name[rule], vs_user);
	return 0;
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
	drain(s, ORIG);
	k->time_each = 0;
	*next += n;
	*ns = k->timed_ns - g->begun_ns;
	return k->frames;
}

static int upcalls(struct side *s, const char *suffix)
{
	double rate[ROUNDS_MAX], us[FIRST_TRIES], ns;
	unsigned int next = 0, came = 0;

	for (int n = -1; n < rounds; n++) { /* the first one does not count */
		double took = 0;
		int got = 0;

		for (int i = 0; i < 10; i++) {
			int here = offer(s, &next, UPCALLS, &ns);

			if (here <= 0)
				return -1;
			got += here;
			took += ns;
		}
		if (n >= 0) {
			rate[n] = got / took * 1e9;
			came += got;
		}
	}
	for (int i = 0; i < FIRST_TRIES; i++) {
		if (offer(s, &next, 1, &ns) != 1)
			return -1;
		us[i] = ns / 1e3;
	}
	printf("ovs_upcalls%s_s %.0f 1/s\n", suffix, median(rate, rounds));
	printf("ovs_upcalls%s_lost %.2f %%\n", suffix, 100 - came / (rounds * UPCALLS * 10.) * 100);
	printf("ovs_first_packet%s_us %.0f us\n", suffix, median(us, FIRST_TRIES));
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: ovs [-O objdir] [-r rounds] [-p packets] [-C cpu] "
			"bpf:PREFIX redirect:PREFIX userspace:PREFIX\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *objdir = "build/tests/bench";
	int opt, ret = 1, cpu = 1;

	while ((opt = getopt(argc, argv, "O:r:p:C:")) != -1) {
		switch (opt) {
		case 'O':
			objdir = optarg;
			break;
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'p':
			packets = atoi(optarg);
			break;
		case 'C':
			cpu = atoi(optarg);
			break;
		default:
			return usage();
		}
	}
	if (argc - optind != 3 || rounds < 1 || rounds > ROUNDS_MAX)
		return usage();
	for (; optind < argc; optind++)
		if (parse_side(argv[optind]))
			return usage();
	pin(cpu);
	user->lossy = true;
	redirect->tcx = true;
	for (int i = 0; i < nsides; i++) {
		sides[i].bridged = true;
		if (side_open(&sides[i], objdir, 1024) || warm_up(&sides[i]))
			goto out;
	}
	for (int rule = OUTPUT; rule < FRESH; rule++)
		if (forward(rule))
			goto out;
	if (!upcalls(bpf, "") && !upcalls(user, "_userspace"))
		ret = 0;
out:
	for (int i = 0; i < nsides; i++)
		side_close(&sides[i]);
	return ret;
}
