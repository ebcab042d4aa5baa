// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What it costs to take a port out of a pool of 64,512, at rising use of it, and what
 * two CPUs take at once. The free ports are handed out by ctd's own allocator
 * (userspace/lib/nat_alloc.c); the take is timed inside the kernel.
 *   alloc DIR ROUNDS
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "alloc.h"
#include "lib/figure.h"
#include "userspace/lib/loader.h"
#include "userspace/lib/nat_alloc.h"

#define LOW	   1024
#define PORTS	   64512
#define BATCH	   64 /* takes between two fills: as many ports as 99.9 % leave */
#define RUNS	   400
#define ROUNDS_MAX 101
#define CPUS	   2

static struct bpfct_core core;
static struct bpf_object *obj;
static struct alloc_run *run_of;
static struct nat_pool *pool;
static struct nat_head *heads;
static struct nat_chunk *rings, *uses;
static struct nat_alloc space;
static uint32_t now = 1;
static int take_fd, claim_fd;

static void *map(int fd, size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED) {
		perror("alloc: mmap");
		exit(1);
	}
	return at;
}

static uint32_t draw(void *arg)
{
	(void)arg;
	return (uint32_t)random() << 16 ^ (uint32_t)random();
}

static uint32_t *use_of(unsigned int port)
{
	unsigned int at = pool->use_base + port - LOW;

	return &uses[at / NAT_CHUNK].word[at % NAT_CHUNK];
}

static uint32_t *slot_of(unsigned int ring, uint32_t at)
{
	at = pool->ring_base + ring * pool->ring_size + (at & (pool->ring_size - 1));
	return &rings[at / NAT_CHUNK].word[at % NAT_CHUNK];
}

/* Puts n free ports into a ring that is empty. */
static int fill(unsigned int ring, unsigned int n)
{
	struct nat_head *h = &heads[ring];
	uint16_t port;

	if ((int32_t)(h->tail - h->head) < 0)
		h->tail = h->head;
	for (; n; n--) {
		if (nat_alloc_take(&space, NAT_SET_ANY, &port))
			return -ENOSPC;
		*slot_of(ring, h->tail) = port | NAT_SLOT_VALID;
		h->tail++;
	}
	return 0;
}

/* What was taken goes back at once: no use is counted here, and nothing is held. */
static void give_back(unsigned int ring, uint32_t from, const uint16_t *ports, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (!*slot_of(ring, from + i))
			nat_alloc_taken(&space, ports[i], now);
	now += 2;
	nat_alloc_scan(&space, use_of(LOW), now & 0xfff);
}

static int play(int fd, int repeat)
{
	uint8_t frame[64] = {[12] = 8};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = repeat);

	return bpf_prog_test_run_opts(fd, &opts);
}

static int pin_to(unsigned int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

static int space_with(unsigned int used)
{
	struct nat_alloc_conf conf = {
		.port_min = LOW, .port_max = 65535, .hold = 1, .grace = 1, .random = draw};

	nat_alloc_fini(&space);
	memset(&space, 0, sizeof(space));
	memset(heads, 0, sizeof(*heads) * CPUS);
	memset(uses, 0, sizeof(*uses) * 64);
	if (nat_alloc_init(&space, &conf))
		return -ENOMEM;
	for (unsigned int n = 0; n < used;) {
		unsigned int port = LOW + draw(NULL) % PORTS;

		if (nat_uses(*use_of(port)))
			continue;
		*use_of(port) = nat_use_make(1, now << 3);
		n++;
	}
	nat_alloc_scan(&space, use_of(LOW), now & 0xfff);
	return 0;
}

/* ns a take with this many ports used: the median of RUNS batches. */
static int take_cost(unsigned int used, double *out)
{
	static double ns[RUNS];
	uint16_t ports[BATCH];

	if (space_with(used))
		return -1;
	for (unsigned int i = 0; i < RUNS; i++) {
		uint32_t from;

		if (fill(0, BATCH))
			return -1;
		from = heads[0].tail - BATCH;
		for (unsigned int k = 0; k < BATCH; k++)
			ports[k] = *slot_of(0, from + k);
		memset(run_of, 0, sizeof(*run_of) * CPUS);
		run_of[0].pool = 1;
		run_of[0].takes = BATCH;
		if (play(take_fd, 1) || run_of[0].taken != BATCH)
			return -1;
		ns[i] = (double)run_of[0].ns / BATCH;
		give_back(0, from, ports, BATCH);
	}
	*out = median(ns, RUNS);
	return 0;
}

struct worker {
	pthread_t thread;
	unsigned int cpu;
	int fd, error;
};

static pthread_barrier_t begin;

static void *work(void *arg)
{
	struct worker *w = arg;

	w->error = pin_to(w->cpu);
	pthread_barrier_wait(&begin);
	if (!w->error)
		w->error = play(w->fd, 1);
	return NULL;
}

/* Takes a second of n CPUs together, each from its own full ring. */
static int rate(int fd, unsigned int n, double *out)
{
	struct worker w[CPUS];
	double sum = 0;

	if (space_with(0))
		return -1;
	memset(run_of, 0, sizeof(*run_of) * CPUS);
	pthread_barrier_init(&begin, NULL, n);
	for (unsigned int i = 0; i < n; i++) {
		w[i] = (struct worker){.cpu = i, .fd = fd};
		run_of[i].pool = 1;
		run_of[i].takes = NAT_RING_MAX;
		run_of[i].serial = draw(NULL);
		if (fill(i, NAT_RING_MAX) || pthread_create(&w[i].thread, NULL, work, &w[i]))
			return -1;
	}
	for (unsigned int i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		if (w[i].error || run_of[i].taken != NAT_RING_MAX)
			return -1;
		sum += run_of[i].taken * 1e9 / run_of[i].ns;
	}
	pthread_barrier_destroy(&begin);
	*out = sum;
	return 0;
}

static int two_cpus(const char *name, int fd, int rounds)
{
	static double ratio[ROUNDS_MAX];
	double one, two;

	for (int i = 0; i < rounds; i++) {
		if (rate(fd, 1, &one) || rate(fd, CPUS, &two))
			return -1;
		ratio[i] = two / one;
	}
	printf("%s %.2f x\n", name, median(ratio, rounds));
	return 0;
}

static int costs(int rounds)
{
	static const struct {
		const char *name;
		unsigned int used;
	} at[] = {{"alloc_1pct_ns", PORTS / 100},
		  {"alloc_50pct_ns", PORTS / 2},
		  {"alloc_90pct_ns", PORTS / 10 * 9},
		  {"alloc_99pct_ns", PORTS / 100 * 99},
		  {"alloc_999pm_ns", PORTS - BATCH}};
	static double ns[5][ROUNDS_MAX];

	/* Round by round, so that what else the machine does falls on all alike. */
	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < 5; i++)
			if (take_cost(at[i].used, &ns[i][r]))
				return -1;
	for (int i = 0; i < 5; i++)
		printf("%s %.1f ns\n", at[i].name, median(ns[i], rounds));
	return 0;
}

static int set_up(const char *dir)
{
	static const struct bpfct_limits limits = {.confirmed = 65536};
	unsigned int cpus = libbpf_num_possible_cpus();
	char path[4096], err[256] = "";

	if (bpfct_core_load(&core, NULL, &limits, err, sizeof(err)))
		goto fail;
	snprintf(path, sizeof(path), "%s/alloc.bpf.o", dir);
	obj = bpf_object__open_file(path, NULL);
	if (!obj || bpfct_core_share(&core, obj, err, sizeof(err)) || bpf_object__load(obj))
		goto fail;
	take_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "take"));
	claim_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "claim"));
	run_of = map(bpf_object__find_map_fd_by_name(obj, "alloc_run_v1"), sizeof(*run_of) * 64);
	pool = map(core.pins.nat_pool_fd, 4096);
	pool++;
	heads = map(core.pins.nat_head_fd, 4096);
	rings = map(core.pins.nat_ring_fd, sizeof(*rings) * core.sizes.nat_ring);
	uses = map(core.pins.nat_use_fd, sizeof(*uses) * core.sizes.nat_use);
	*pool = (struct nat_pool){.family = 4,
				  .port_min = LOW,
				  .port_max = 65535,
				  .ring_size = NAT_RING_MAX,
				  .rings = cpus,
				  .flags = NAT_POOL_LIVE};
	return 0;
fail:
	fprintf(stderr, "alloc: %s\n", *err ? err : strerror(errno));
	return -1;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 5, ret;

	if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	if (set_up(argv[1]) || pin_to(0))
		return 1;
	ret = costs(rounds);
	if (!ret && sysconf(_SC_NPROCESSORS_ONLN) >= CPUS) {
		ret = two_cpus("alloc_2cpu_ratio", take_fd, rounds * 4);
		if (!ret)
			ret = two_cpus("alloc_2cpu_claim_ratio", claim_fd, rounds * 4);
	}
	if (ret)
		fprintf(stderr, "alloc: a run failed\n");
	nat_alloc_fini(&space);
	bpf_object__close(obj);
	bpfct_core_close(&core);
	return !!ret;
}
