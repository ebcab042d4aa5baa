// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Times whole paths sender - router - receiver, one after the other, round after
 * round, and prints a line a figure: `name value unit`. tests/bench/run builds
 * the namespaces; a side is given as NAME:PREFIX:FLUSH, where PREFIX-s, -r and
 * -d are its namespaces and FLUSH empties its table. The first side is what the
 * others are compared with: NAME_RATIO = median over rounds of (first / other).
 */
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/side.h"

#define PORTION 50000 /* flows established at a time */

static const char *const dir_suffix[] = {"", "_reply"};
static unsigned int many = 100000, clients = 1024, fresh = 200000;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* One direction of flows first .. first + n - 1, once each, checksums verified. */
static int exchange(struct side *s, enum dir dir, unsigned int first, unsigned int n)
{
	struct path_sink *k = &s->state->sink[dir];
	double ns;

	k->learn = 1;
	ns = measure(s, dir, first, n, n);
	k->learn = 0;
	if (ns < 0)
		return -1;
	if (s->nat && k->bad_csum) {
		fprintf(stderr, "path: %s%s: %llu wrong checksums\n", s->name, dir_suffix[dir],
			(unsigned long long)k->bad_csum);
		return -1;
	}
	return 0;
}

/* Every flow both ways, twice, the second time when older than 2 s: ASSURED.
 * Until then they are half-open, so come in portions below the default limit. */
static int establish(unsigned int flows)
{
	unsigned int n;

	for (unsigned int first = 0; first < flows; first += n) {
		n = flows - first < PORTION ? flows - first : PORTION;
		for (int pass = 0; pass < 2; pass++) {
			for (int i = 0; i < nsides; i++) {
				if (exchange(&sides[i], ORIG, first, n) ||
				    exchange(&sides[i], REPLY, first, n))
					return -1;
			}
			if (!pass)
				usleep(2500000);
		}
	}
	return 0;
}

static void print_figure(const char *stem, const char *what, const char *suffix)
{
	double ratio[ROUNDS_MAX];

	for (int i = 0; i < nsides; i++) {
		double ns = median(sides[i].ns, rounds);

		printf("%s_%s_%s%s_ns %.0f ns\n", stem, sides[i].name, what, suffix, ns);
	}
	for (int i = 1; i < nsides; i++) {
		for (int r = 0; r < rounds; r++)
			ratio[r] = sides[0].ns[r] / sides[i].ns[r];
		printf("%s_%s_%s%s_ratio %.2f x\n", stem, sides[i].name, what, suffix,
		       median(ratio, rounds));
	}
	fflush(stdout);
}

static int masq(void)
{
	static const char *const what[] = {"1flow", "100k"};
	unsigned int flows[] = {1, many};

	if (establish(many))
		return 1;
	for (int w = 0; w < 2; w++) {
		for (int dir = ORIG; dir <= REPLY; dir++) {
			for (int r = 0; r < rounds; r++) {
				for (int j = 0; j < nsides; j++) {
					struct side *s = &sides[(r + j) % nsides];

					s->ns[r] = measure(s, dir, 0, flows[w], packets);
					if (s->ns[r] < 0)
						return 1;
				}
			}
			print_figure("masq", what[w], dir_suffix[dir]);
		}
	}
	return 0;
}

static int flush(const struct side *s)
{
	int status = system(s->arg);

	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "path: `%s` failed\n", s->arg);
		return -1;
	}
	return 0;
}

/* The pool of a masquerade towards one server and port: 1024-65535. */
#define POOL	  64512
#define POOL_FULL (POOL / 100 * 99)

/* Sends n flows from number *next on; says how many got through, and returns the ns from
 * the first that left to the last that came. */
static double offer(struct side *s, unsigned int *next, unsigned int n, unsigned int *through)
{
	struct path_gen *g = &s->state->gen[ORIG];
	struct path_sink *k = &s->state->sink[ORIG];

	g->first = *next;
	g->flows = n;
	g->next = 0;
	g->begun_ns = 0;
	k->frames = 0;
	if (burst(s, ORIG, n))
		return -1;
	*next += n;
	*through = k->frames;
	return k->timed_ns - g->begun_ns;
}

/* Fills 99 % of the pool: 60,000 flows keep their ports, the others have to find one.
 * In portions with a pause, in which ctd leases what is still free. */
static int fill_pool(struct side *s, unsigned int *next)
{
	unsigned int held = 0, got, tries = 0;

	while (held < POOL_FULL && tries++ < 2000) {
		unsigned int n = *next < PATH_SPORTS ? 1000 : 64;

		if (n > POOL_FULL - held)
			n = POOL_FULL - held;
		if (offer(s, next, n, &got) < 0)
			return 1;
		held += got;
		usleep(10000);
	}
	if (held < POOL_FULL)
		fprintf(stderr, "path: %s: only %u ports could be filled\n", s->name, held);
	return held < POOL_FULL;
}

/* New flows a second into a pool that is 99 % full towards their server: what gets
 * through, by the time it takes; 256 flows a round, so that 0.4 % more are in use. */
static int newnat(void)
{
	double ratio[ROUNDS_MAX];

	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < nsides; i++)
			if (flush(&sides[i]))
				return 1;
		usleep(2000000);
		for (int j = 0; j < nsides; j++) {
			struct side *s = &sides[(r + j) % nsides];
			unsigned int next = 0, got;
			double ns;

			if (setns(s->ns_fd[ORIG], CLONE_NEWNET))
				return fail("enter", s->prefix);
			s->state->gen[ORIG].one_port = 1;
			if (fill_pool(s, &next))
				return 1;
			usleep(500000);
			ns = offer(s, &next, 256, &got);
			if (ns < 0 || !got) {
				fprintf(stderr, "path: %s: nothing gets through\n", s->name);
				return 1;
			}
			s->ns[r] = ns / got;
		}
	}
	for (int i = 0; i < nsides; i++)
		printf("newnat_99pct_%s_ns %.0f ns\n", sides[i].name, median(sides[i].ns, rounds));
	for (int i = 1; i < nsides; i++) {
		for (int r = 0; r < rounds; r++)
			ratio[r] = sides[0].ns[r] / sides[i].ns[r];
		printf("newnat_99pct_ratio %.2f x\n", median(ratio, rounds));
	}
	return 0;
}

/* Fresh tuples; round -1 warms the allocators up and does not count. */
static int newflow(void)
{
	double ratio[ROUNDS_MAX];

	for (int r = -1; r < rounds; r++) {
		unsigned int first = PATH_FLOWS_MAX + (r + 1) * fresh;

		for (int i = 0; i < nsides; i++) {
			if (flush(&sides[i]) || side_empty(&sides[i]))
				return 1;
		}
		usleep(2000000); /* netfilter frees after a grace period, bpfct after a second */
		for (int j = 0; j < nsides; j++) {
			struct side *s = &sides[(r + 1 + j) % nsides];
			double ns = measure(s, ORIG, first, fresh, fresh);

			if (ns < 0)
				return 1;
			if (r >= 0)
				s->ns[r] = ns;
		}
	}
	for (int i = 0; i < nsides; i++) {
		double ns = median(sides[i].ns, rounds);

		printf("newflow_%s_ns %.0f ns\n", sides[i].name, ns);
		printf("newflow_%s_rate %.3f Mflow/s\n", sides[i].name, 1e3 / ns);
	}
	for (int i = 1; i < nsides; i++) {
		for (int r = 0; r < rounds; r++)
			ratio[r] = sides[0].ns[r] / sides[i].ns[r];
		printf("newflow_%s_ratio %.2f x\n", sides[i].name, median(ratio, rounds));
	}
	return 0;
}

/* Runs the one direction of one side until told to stop: something to profile. */
static int spin(unsigned int flows, enum dir dir, double seconds)
{
	double end;

	if (establish(flows))
		return 1;
	for (end = now_s() + seconds; now_s() < end;) {
		double ns = measure(&sides[0], dir, 0, flows, packets);

		if (ns < 0)
			return 1;
		printf("spin_%s%s_ns %.0f ns\n", sides[0].name, dir_suffix[dir], ns);
		fflush(stdout);
	}
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: path " COMMON_USAGE " [-n flows] [-f fresh] "
			"[-c clients] masq|newflow|newnat|spin1|spin|spin1-reply|spin-reply "
			"NAME:PREFIX[:FLUSH]...\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *what;
	int opt, ret = 1;

	while ((opt = getopt(argc, argv, COMMON_OPTIONS "n:c:f:")) != -1) {
		switch (opt) {
		case 'n':
			many = atoi(optarg);
			break;
		case 'f':
			fresh = atoi(optarg);
			break;
		case 'c':
			clients = atoi(optarg);
			break;
		default:
			if (!common_option(opt))
				return usage();
		}
	}
	if (argc - optind < 2 || many > PATH_FLOWS_MAX)
		return usage();
	what = argv[optind++];
	for (; optind < argc; optind++) {
		if (parse_side(argv[optind]))
			return usage();
	}
	pin();
	for (int i = 0; i < nsides; i++) {
		if (side_open(&sides[i], clients) || warm_up(&sides[i]))
			goto out;
		sides[i].nat = !sides[i].bare;
	}
	if (!strcmp(what, "masq"))
		ret = masq();
	else if (!strcmp(what, "newflow"))
		ret = newflow();
	else if (!strcmp(what, "newnat"))
		ret = newnat();
	else if (!strncmp(what, "spin1", 5))
		ret = spin(1, strstr(what, "reply") ? REPLY : ORIG, 10);
	else if (!strncmp(what, "spin", 4))
		ret = spin(many, strstr(what, "reply") ? REPLY : ORIG, 10);
	else
		ret = usage();
out:
	for (int i = 0; i < nsides; i++)
		side_close(&sides[i]);
	return ret;
}
