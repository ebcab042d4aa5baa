// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "bpf/abi/ct_conn.h"
#include "side.h"

#define WARM_UP	    32 /* frames; as each is a page, a packet socket takes 50 of them */
#define TCX_INGRESS 46 /* BPF_TCX_INGRESS: unknown to Debian's headers */

static const char *const dir_suffix[] = {"", "_reply"};

struct side sides[SIDES_MAX];
int nsides;

const char *objdir = "build/tests/bench";
int rounds = 5, cpu = 1;
unsigned int packets = 1000000;

bool common_option(int opt)
{
	switch (opt) {
	case 'O':
		objdir = optarg;
		return true;
	case 'r':
		rounds = atoi(optarg);
		return rounds >= 1 && rounds <= ROUNDS_MAX;
	case 'p':
		packets = atoi(optarg);
		return true;
	case 'C':
		cpu = atoi(optarg);
		return true;
	default:
		return false;
	}
}

int fail(const char *what, const char *which)
{
	int err = errno ? -errno : -EIO;

	fprintf(stderr, "bench: %s %s: %s\n", what, which, strerror(-err));
	return err;
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
	struct bpf_program *p = bpf_object__find_program_by_name(s->obj, s->bare);

	memcpy(s->state->redirect_dmac, s->state->gen[ORIG].dmac, 6);
	for (int i = 0; i < 2; i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = if_nametoindex(dev[i]),
			    .attach_point = BPF_TC_INGRESS);
		LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(p));

		s->state->redirect_ifindex[i] = hook.ifindex;
		if (s->tcx) {
			/* The link lives until this process ends. */
			if (bpf_link_create(bpf_program__fd(p), hook.ifindex, TCX_INGRESS, NULL) <
			    0)
				return fail("attach a redirect to", dev[i]);
			continue;
		}
		bpf_tc_hook_create(&hook);
		if (bpf_tc_attach(&hook, &opts))
			return fail("attach a redirect to", dev[i]);
	}
	return 0;
}

static const char *const map_suffix[] = {"conn", "stub"};

/* Before the object is loaded: what is attached to the router, and its maps' size. */
static void bare_prepare(struct side *s)
{
	static char prog[SIDES_MAX][32];
	char name[32];

	if (!strcmp(s->name, "redirect")) {
		s->bare = "bare_redirect";
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct bpf_map *map;

		snprintf(name, sizeof(name), "%s_%s", s->name, map_suffix[i]);
		map = bpf_object__find_map_by_name(s->obj, name);
		if (!map)
			return;
		bpf_map__set_max_entries(map, PATH_RECORDS);
	}
	s->bare = prog[s - sides];
	snprintf(prog[s - sides], sizeof(prog[0]), "two_%s", s->name);
}

/* The maps' descriptors, now that they are there. */
static void bare_maps(struct side *s)
{
	char name[32];

	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s_%s", s->name, map_suffix[i]);
		s->map_fd[i] = bpf_object__find_map_fd_by_name(s->obj, name);
	}
}

int side_empty(const struct side *s)
{
	struct ct_key4 key, next;

	for (int i = 0; i < 2; i++) {
		int fd = s->map_fd[i], more = fd > 0 && !bpf_map_get_next_key(fd, NULL, &key);

		for (; more; key = next) {
			more = !bpf_map_get_next_key(fd, &key, &next);
			if (bpf_map_delete_elem(fd, &key))
				return fail("empty the maps of", s->name);
		}
	}
	return 0;
}

static void fill_gen(struct path_gen *g, const char *dev, unsigned char dst, unsigned char src,
		     unsigned int clients)
{
	/* The same fixed addresses as tests/bench/run gives to the devices. */
	memcpy(g->dmac, (unsigned char[]){2, 0xbe, 0, 0, 0, dst}, 6);
	memcpy(g->smac, (unsigned char[]){2, 0xbe, 0, 0, 0, src}, 6);
	g->ifindex = if_nametoindex(dev);
	g->clients = clients;
}

int side_open(struct side *s, unsigned int clients)
{
	char path[256];
	int router = netns_fd(s->prefix, "r");

	s->ns_fd[ORIG] = netns_fd(s->prefix, "s");
	s->ns_fd[REPLY] = netns_fd(s->prefix, "d");
	if (router < 0 || s->ns_fd[ORIG] < 0 || s->ns_fd[REPLY] < 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/path.bpf.o", objdir);
	s->obj = bpf_object__open_file(path, NULL);
	if (s->obj)
		bare_prepare(s);
	if (!s->obj || bpf_object__load(s->obj))
		return fail("load", path);
	bare_maps(s);
	s->state = map_state(s->obj);
	if (!s->state)
		return fail("map the globals of", path);
	s->gen_fd[ORIG] = bpf_program__fd(bpf_object__find_program_by_name(s->obj, "gen_orig"));
	s->gen_fd[REPLY] = bpf_program__fd(bpf_object__find_program_by_name(s->obj, "gen_reply"));
	s->state->bridged = s->bridged;

	if (setns(s->ns_fd[ORIG], CLONE_NEWNET))
		return fail("enter", s->prefix);
	fill_gen(&s->state->gen[ORIG], "s0", 2, 1, clients);
	if (attach_sink(s->obj, "sink_client", "s0"))
		return -1;
	if (setns(s->ns_fd[REPLY], CLONE_NEWNET))
		return fail("enter", s->prefix);
	fill_gen(&s->state->gen[REPLY], "d0", 3, 4, clients);
	if (attach_sink(s->obj, "sink_server", "d0"))
		return -1;
	if (s->bare) {
		if (setns(router, CLONE_NEWNET))
			return fail("enter", s->prefix);
		if (attach_redirect(s))
			return -1;
	}
	close(router);
	return 0;
}

void side_close(struct side *s)
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

int burst(const struct side *s, enum dir dir, unsigned int n)
{
	static unsigned char frame[PATH_FRAME];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = n, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	if (bpf_prog_test_run_opts(s->gen_fd[dir], &opts))
		return fail("run the generator of", s->name);
	return 0;
}

void drain(const struct side *s, enum dir dir)
{
	const volatile __u64 *frames = &s->state->sink[dir].frames;
	unsigned int silent_ms = 0;
	__u64 before = *frames;

	/* Who is to forward them may not have had a core yet (seen under load). */
	while (silent_ms < (before ? 100 : 1000)) {
		usleep(20000);
		silent_ms = *frames == before ? silent_ms + 20 : 0;
		before = *frames;
	}
}

static double clock_ns(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* What a burst of packets took; the daemon may poll, also while the system call sets itself up. */
struct spent {
	double self, daemon, wall;
};

static struct spent spent(const struct side *s)
{
	return (struct spent){
		.self = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		.daemon = s->daemon ? clock_ns(s->daemon) : 0,
		.wall = clock_ns(CLOCK_MONOTONIC),
	};
}

/* ns: a packet that arrived, of the wall clock; n: packets sent. */
static void account(struct side *s, const struct path_sink *k, unsigned int n, double ns,
		    struct spent from, struct spent to)
{
	double self = to.self - from.self;
	double daemon = (to.daemon - from.daemon) / (to.wall - from.wall) * ns;

	s->cpu_ns = self / k->frames + daemon;
	s->least_ns = self / n + daemon;
	s->came = (double)k->frames / n;
}

double measure(struct side *s, enum dir dir, unsigned int first, unsigned int flows, unsigned int n)
{
	struct path_gen *g = &s->state->gen[dir];
	struct path_sink *k = &s->state->sink[dir];
	struct spent from, to;
	double ns;

	if (setns(s->ns_fd[dir], CLONE_NEWNET))
		return fail("enter", s->prefix);
	g->first = first;
	g->flows = flows;
	g->next = 0;
	g->begun_ns = 0;
	k->frames = k->translated = k->timed = 0;
	from = spent(s);
	if (burst(s, dir, n))
		return -1;
	to = spent(s);
	if (s->lossy)
		drain(s, dir);
	/* One in a thousand may be lost to a full veth ring. */
	if ((!s->lossy && k->frames < n - n / 1000) || k->frames > n) {
		fprintf(stderr, "bench: %s%s: %llu of %u packets arrived\n", s->name,
			dir_suffix[dir], (unsigned long long)k->frames, n);
		return -1;
	}
	if (s->nat && k->translated != k->frames) {
		fprintf(stderr, "bench: %s%s: %llu of %llu packets were translated\n", s->name,
			dir_suffix[dir], (unsigned long long)k->translated,
			(unsigned long long)k->frames);
		return -1;
	}
	if (!k->timed)
		return 0;
	ns = (double)(k->timed_ns - g->begun_ns) / k->timed;
	account(s, k, n, ns, from, to);
	return ns;
}

/*
 * The first frames may meet a device whose queues or NAPI the kernel has not
 * finished to set up, or sits on another CPU that is busy (seen under load: none
 * arrived). Tries until one burst of flow 0 comes through each way; 5 s at most.
 */
int warm_up(struct side *s)
{
	for (int dir = ORIG; dir <= REPLY; dir++) {
		struct path_sink *k = &s->state->sink[dir];
		int tries = 50;

		do {
			if (!tries--) {
				fprintf(stderr, "bench: %s%s: nothing gets through\n", s->name,
					dir_suffix[dir]);
				return -1;
			}
			if (setns(s->ns_fd[dir], CLONE_NEWNET))
				return fail("enter", s->prefix);
			s->state->gen[dir].first = 0;
			s->state->gen[dir].flows = 1;
			k->frames = 0;
			k->learn = 1;
			if (burst(s, dir, WARM_UP))
				return -1;
			if (k->frames < WARM_UP)
				usleep(100000);
			k->learn = 0;
		} while (k->frames < WARM_UP);
	}
	return 0;
}

void pin(void)
{
	struct sched_param prio = {.sched_priority = 1};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		perror("bench: sched_setaffinity");
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &prio))
		perror("bench: sched_setscheduler");
}

int parse_side(char *arg)
{
	char *name = strtok(arg, ":"), *prefix = strtok(NULL, ":"), *rest = strtok(NULL, "");
	struct side *s = &sides[nsides];

	if (!name || !prefix || nsides == SIDES_MAX)
		return -1;
	snprintf(s->name, sizeof(s->name), "%s", name);
	snprintf(s->prefix, sizeof(s->prefix), "%s", prefix);
	snprintf(s->arg, sizeof(s->arg), "%s", rest ? rest : "true");
	nsides++;
	return 0;
}
