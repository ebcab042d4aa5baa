// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Times whole paths sender - router - receiver, one after the other, round after
 * round, and prints a line a figure: `name value unit`. tests/bench/run builds
 * the namespaces; a side is given as NAME:PREFIX:FLUSH, where PREFIX-s, -r and
 * -d are its namespaces and FLUSH empties its table. The first side is what the
 * others are compared with: NAME_RATIO = median over rounds of (first / other).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "path.h"

#define SIDES_MAX  4
#define ROUNDS_MAX 101
#define PORTION	   50000 /* flows established at a time */

enum dir { ORIG = PATH_ORIG, REPLY = PATH_REPLY };
static const char *const dir_suffix[] = {"", "_reply"};

struct side {
	char name[16];
	char prefix[32];
	char flush[256];
	bool nat;
	struct bpf_object *obj;
	struct path_state *state;
	int gen_fd[2];
	int ns_fd[2]; /* where the generator of that direction runs */
	double ns[ROUNDS_MAX];
};

static struct side sides[SIDES_MAX];
static int nsides;
static int rounds = 5;
static unsigned int packets = 1000000, many = 100000, clients = 1024, fresh = 200000;
static const char *objdir = "build/tests/bench";

static int fail(const char *what, const char *which)
{
	int err = errno ? -errno : -EIO;

	fprintf(stderr, "path: %s %s: %s\n", what, which, strerror(-err));
	return err;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const double *v, int n)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static int netns_fd(const char *prefix, const char *role)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s-%s", prefix, role);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail("open", path) : fd;
}

/* The globals of the loaded object. */
static struct path_state *map_state(struct bpf_object *obj)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, ".bss");
	struct path_state *state;

	if (!map || bpf_map__value_size(map) != sizeof(*state))
		return NULL;
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	return state == MAP_FAILED ? NULL : state;
}

/* Attaches an XDP program to the device DEV of the current namespace. */
static int attach_sink(struct bpf_object *obj, const char *prog, const char *dev)
{
	struct bpf_program *p = bpf_object__find_program_by_name(obj, prog);

	if (bpf_xdp_attach(if_nametoindex(dev), bpf_program__fd(p), XDP_FLAGS_DRV_MODE, NULL))
		return fail("attach a sink to", dev);
	return 0;
}

/* Between the two devices of the current namespace, both ways. */
static int attach_redirect(struct side *s)
{
	static const char *const dev[] = {"in0", "out0"};
	struct bpf_program *p = bpf_object__find_program_by_name(s->obj, "bare_redirect");

	memcpy(s->state->redirect_dmac, s->state->gen[ORIG].dmac, 6);
	for (int i = 0; i < 2; i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = if_nametoindex(dev[i]),
			    .attach_point = BPF_TC_INGRESS);
		LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(p));

		s->state->redirect_ifindex[i] = hook.ifindex;
		bpf_tc_hook_create(&hook);
		if (bpf_tc_attach(&hook, &opts))
			return fail("attach a redirect to", dev[i]);
	}
	return 0;
}

static void fill_gen(struct path_gen *g, const char *dev, unsigned char dst, unsigned char src)
{
	/* The same fixed addresses as tests/bench/run gives to the devices. */
	memcpy(g->dmac, (unsigned char[]){2, 0xbe, 0, 0, 0, dst}, 6);
	memcpy(g->smac, (unsigned char[]){2, 0xbe, 0, 0, 0, src}, 6);
	g->ifindex = if_nametoindex(dev);
	g->clients = clients;
}

static int side_open(struct side *s)
{
	char path[256];
	int router = netns_fd(s->prefix, "r");

	s->ns_fd[ORIG] = netns_fd(s->prefix, "s");
	s->ns_fd[REPLY] = netns_fd(s->prefix, "d");
	if (router < 0 || s->ns_fd[ORIG] < 0 || s->ns_fd[REPLY] < 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/path.bpf.o", objdir);
	s->obj = bpf_object__open_file(path, NULL);
	if (!s->obj || bpf_object__load(s->obj))
		return fail("load", path);
	s->state = map_state(s->obj);
	if (!s->state)
		return fail("map the globals of", path);
	s->gen_fd[ORIG] = bpf_program__fd(bpf_object__find_program_by_name(s->obj, "gen_orig"));
	s->gen_fd[REPLY] = bpf_program__fd(bpf_object__find_program_by_name(s->obj, "gen_reply"));
	s->nat = strcmp(s->name, "redirect") != 0;

	if (setns(s->ns_fd[ORIG], CLONE_NEWNET))
		return fail("enter", s->prefix);
	fill_gen(&s->state->gen[ORIG], "s0", 2, 1);
	if (attach_sink(s->obj, "sink_client", "s0"))
		return -1;
	if (setns(s->ns_fd[REPLY], CLONE_NEWNET))
		return fail("enter", s->prefix);
	fill_gen(&s->state->gen[REPLY], "d0", 3, 4);
	if (attach_sink(s->obj, "sink_server", "d0"))
		return -1;
	if (!s->nat) {
		if (setns(router, CLONE_NEWNET))
			return fail("enter", s->prefix);
		if (attach_redirect(s))
			return -1;
	}
	close(router);
	return 0;
}

static void side_close(struct side *s)
{
	if (s->obj) {
		if (!setns(s->ns_fd[ORIG], CLONE_NEWNET))
			bpf_xdp_detach(if_nametoindex("s0"), XDP_FLAGS_DRV_MODE, NULL);
		if (!setns(s->ns_fd[REPLY], CLONE_NEWNET))
			bpf_xdp_detach(if_nametoindex("d0"), XDP_FLAGS_DRV_MODE, NULL);
		bpf_object__close(s->obj);
		s->obj = NULL;
	}
}

/* Sends n live frames. 0 or < 0. */
static int burst(const struct side *s, enum dir dir, unsigned int n)
{
	static unsigned char frame[PATH_FRAME];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = n, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	if (bpf_prog_test_run_opts(s->gen_fd[dir], &opts))
		return fail("run the generator of", s->name);
	return 0;
}

/*
 * Nanoseconds a packet of the whole path, for n packets over flows first ..
 * first + flows - 1, from the first frame generated to the last one that the
 * sink timed (0 when n was too small for that): what the system call costs to set up (20 ms and
 * more, in steps of grace periods) is not in it. < 0 when not every packet arrived translated.
 */
static double measure(struct side *s, enum dir dir, unsigned int first, unsigned int flows,
		      unsigned int n)
{
	struct path_gen *g = &s->state->gen[dir];
	struct path_sink *k = &s->state->sink[dir];

	if (setns(s->ns_fd[dir], CLONE_NEWNET))
		return fail("enter", s->prefix);
	g->first = first;
	g->flows = flows;
	g->next = 0;
	g->begun_ns = 0;
	k->frames = k->translated = k->timed = 0;
	if (burst(s, dir, n))
		return -1;
	/* One in a thousand may be lost to a full veth ring. */
	if (k->frames < n - n / 1000 || k->frames > n) {
		fprintf(stderr, "path: %s%s: %llu of %u packets arrived\n", s->name,
			dir_suffix[dir], (unsigned long long)k->frames, n);
		return -1;
	}
	if (s->nat && k->translated != k->frames) {
		fprintf(stderr, "path: %s%s: %llu of %llu packets were translated\n", s->name,
			dir_suffix[dir], (unsigned long long)k->translated,
			(unsigned long long)k->frames);
		return -1;
	}
	return k->timed ? (double)(k->timed_ns - g->begun_ns) / k->timed : 0;
}

/*
 * The first frames may meet a device whose queues or NAPI the kernel has not
 * finished to set up, or sits on another CPU that is busy (seen under load: none
 * arrived). Tries until one burst of flow 0 comes through each way; 5 s at most.
 */
static int warm_up(struct side *s)
{
	for (int dir = ORIG; dir <= REPLY; dir++) {
		struct path_sink *k = &s->state->sink[dir];
		int tries = 50;

		do {
			if (!tries--) {
				fprintf(stderr, "path: %s%s: nothing gets through\n", s->name,
					dir_suffix[dir]);
				return -1;
			}
			if (setns(s->ns_fd[dir], CLONE_NEWNET))
				return fail("enter", s->prefix);
			s->state->gen[dir].first = 0;
			s->state->gen[dir].flows = 1;
			k->frames = 0;
			k->learn = 1;
			if (burst(s, dir, 64))
				return -1;
			if (k->frames < 64)
				usleep(100000);
			k->learn = 0;
		} while (k->frames < 64);
	}
	return 0;
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
	int status = system(s->flush);

	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "path: `%s` failed\n", s->flush);
		return -1;
	}
	return 0;
}

/* Fresh tuples; round 0 warms the allocators up and does not count. */
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

static int newflow(void)
{
	double ratio[ROUNDS_MAX];

	for (int r = -1; r < rounds; r++) {
		unsigned int first = PATH_FLOWS_MAX + (r + 1) * fresh;

		for (int i = 0; i < nsides; i++) {
			if (flush(&sides[i]))
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

/* One core does everything; real-time priority keeps other processes off it
 * (the kernel still gives them a share when they starve). */
static void pin(int cpu)
{
	struct sched_param prio = {.sched_priority = 1};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		perror("path: sched_setaffinity");
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &prio))
		perror("path: sched_setscheduler");
}

static int parse_side(char *arg)
{
	char *name = strtok(arg, ":"), *prefix = strtok(NULL, ":"), *cmd = strtok(NULL, "");
	struct side *s = &sides[nsides];

	if (!name || !prefix || nsides == SIDES_MAX)
		return -1;
	snprintf(s->name, sizeof(s->name), "%s", name);
	snprintf(s->prefix, sizeof(s->prefix), "%s", prefix);
	snprintf(s->flush, sizeof(s->flush), "%s", cmd ? cmd : "true");
	nsides++;
	return 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: path [-O objdir] [-r rounds] [-p packets] [-n flows] [-f fresh] "
		"[-c clients] [-C cpu] masq|newflow|newnat|spin1|spin|spin1-reply|spin-reply "
		"NAME:PREFIX[:FLUSH]...\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *what;
	int opt, ret = 1, cpu = 1;

	while ((opt = getopt(argc, argv, "O:r:p:n:c:C:f:")) != -1) {
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
		case 'n':
			many = atoi(optarg);
			break;
		case 'f':
			fresh = atoi(optarg);
			break;
		case 'c':
			clients = atoi(optarg);
			break;
		case 'C':
			cpu = atoi(optarg);
			break;
		default:
			return usage();
		}
	}
	if (argc - optind < 2 || rounds < 1 || rounds > ROUNDS_MAX || many > PATH_FLOWS_MAX)
		return usage();
	what = argv[optind++];
	for (; optind < argc; optind++) {
		if (parse_side(argv[optind]))
			return usage();
	}
	pin(cpu);
	for (int i = 0; i < nsides; i++) {
		if (side_open(&sides[i]) || warm_up(&sides[i]))
			goto out;
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
