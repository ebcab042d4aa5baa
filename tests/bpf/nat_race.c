// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// alone: yes
/*
 * Two CPUs at one pool: no lease is taken twice, while a third thread fills the rings
 * as ctd does; and one inside endpoint that both bind at once has one external one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/bpf/lib/pool.h"
#include "tests/bpf/nat_race.h"

#define TAKES	 (1u << 20)
#define LOW	 1024
#define BATCH	 512
#define RINGSIZE 1024

static struct bpf_object *obj;
static struct nat_race *cpu_of;
static uint64_t *owner; /* elements of an array are 8 bytes apart */
static struct nat_chunk *rings;
static atomic_int running;

static void *shared(const char *name, size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_object__find_map_fd_by_name(obj, name), 0);

	assert_true(at != MAP_FAILED);
	return at;
}

static int race_up(void **state)
{
	if (pools_up(state))
		return -1;
	obj = open_shared("nat_race.bpf.o");
	cpu_of = shared("race_cpu_v1", 4096);
	owner = shared("nat_owner_v1", NAT_RACE_PORTS * 8);
	rings = mmap(NULL, core.sizes.nat_ring * sizeof(*rings), PROT_READ | PROT_WRITE, MAP_SHARED,
		     core.pins.nat_ring_fd, 0);
	return rings == MAP_FAILED ? -1 : 0;
}

static int race_down(void **state)
{
	bpf_object__close(obj);
	return pools_down(state);
}

struct runner {
	pthread_t thread;
	const char *prog;
	unsigned int cpu;
	uint64_t until; /* taken */
	int repeat;	/* of the program, a run */
	int error;
};

static void *run(void *arg)
{
	struct runner *r = arg;
	uint8_t frame[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = r->repeat);
	int fd = prog(obj, r->prog);
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(r->cpu, &one);
	r->error = sched_setaffinity(0, sizeof(one), &one);
	frame[12] = 8;
	while (!r->error && cpu_of[r->cpu].taken < r->until)
		r->error = bpf_prog_test_run_opts(fd, &opts);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void start(struct runner *r, const char *name, uint64_t until, int repeat)
{
	atomic_store(&running, 2);
	for (unsigned int i = 0; i < 2; i++) {
		r[i] = (struct runner){.prog = name, .cpu = i, .until = until, .repeat = repeat};
		assert_int_equal(pthread_create(&r[i].thread, NULL, run, &r[i]), 0);
	}
}

static void finish(struct runner *r)
{
	for (int i = 0; i < 2; i++) {
		pthread_join(r[i].thread, NULL);
		assert_int_equal(r[i].error, 0);
	}
}

/* ctd's end of a ring: fills from the later of head and tail on, while there is room
 * and a port to put there. Returns how many. */
static unsigned int fill(struct nat_pool *p, unsigned int ring, uint16_t *next)
{
	struct nat_head *h = &nat_heads[p->head_base + ring];
	uint32_t head = __atomic_load_n(&h->head, __ATOMIC_ACQUIRE), tail = h->tail, n = 0;

	if ((int32_t)(tail - head) < 0)
		tail = head;
	while ((int32_t)(tail - head) < (int32_t)p->ring_size && n < BATCH) {
		unsigned int at = p->ring_base + ring * p->ring_size + (tail & (p->ring_size - 1));
		uint32_t *slot = &rings[at / NAT_CHUNK].word[at % NAT_CHUNK];
		unsigned int looked = 0;

		/* Not taken again, or never: it stays. */
		if (__atomic_load_n(slot, __ATOMIC_ACQUIRE)) {
			tail++;
			continue;
		}
		/* The next port that has been taken comes back. */
		for (; looked < NAT_RACE_PORTS; looked++, (*next)++)
			if (*next >= LOW && __atomic_load_n(&owner[*next], __ATOMIC_ACQUIRE))
				break;
		if (looked == NAT_RACE_PORTS)
			break;
		__atomic_store_n(&owner[*next], 0, __ATOMIC_RELEASE);
		__atomic_store_n(slot, *next | NAT_SLOT_VALID, __ATOMIC_RELEASE);
		(*next)++;
		tail++;
		n++;
	}
	__atomic_store_n(&h->tail, tail, __ATOMIC_RELEASE);
	return n;
}

static void no_lease_is_taken_twice(void **state)
{
	struct runner r[2];
	struct nat_pool *p;
	uint16_t next = LOW;
	unsigned int filled = 0, left = 0;

	(void)state;
	if (libbpf_num_possible_cpus() < 2)
		skip();
	pools_reset(NULL);
	make_pools(0, 1, 0);
	p = &nat_pools[1];
	p->port_min = LOW;
	p->port_max = 65535;
	p->ring_size = RINGSIZE;
	p->rings = 2;
	p->ring_base = p->head_base = p->use_base = 0;
	p->low_water = 0;
	memset(cpu_of, 0, sizeof(*cpu_of) * 2);
	for (unsigned int i = 0; i < NAT_RACE_PORTS; i++)
		owner[i] = 1; /* as if taken: to be handed out */
	cpu_of[0].pool = cpu_of[1].pool = 1;
	cpu_of[0].rounds = cpu_of[1].rounds = BATCH;
	start(r, "take", TAKES / 2, 1);
	/* The first ring only, from half of the time on: the other CPU steals. */
	while (atomic_load(&running)) {
		filled += fill(p, 0, &next);
		if (cpu_of[1].taken < TAKES / 4)
			filled += fill(p, 1, &next);
	}
	finish(r);
	print_message("# %u filled, %llu and %llu taken, %llu and %llu times empty\n", filled,
		      (unsigned long long)cpu_of[0].taken, (unsigned long long)cpu_of[1].taken,
		      (unsigned long long)cpu_of[0].empty, (unsigned long long)cpu_of[1].empty);
	assert_int_equal(cpu_of[0].twice + cpu_of[1].twice, 0);
	for (unsigned int i = 0; i < 2 * RINGSIZE; i++)
		left += !!rings[i / NAT_CHUNK].word[i % NAT_CHUNK];
	/* None lost: what was filled has been taken or is there. */
	assert_int_equal(filled, cpu_of[0].taken + cpu_of[1].taken + left);
	assert_true(cpu_of[0].taken + cpu_of[1].taken >= TAKES);
	memset(p, 0, sizeof(*p));
}

static void both_cpus_bind_one_endpoint_to_one_port(void **state)
{
	unsigned int bound = 0, ports = 0;
	static uint8_t seen[NAT_RACE_PORTS];
	struct runner r[2];
	struct nat_pool *p;

	(void)state;
	if (libbpf_num_possible_cpus() < 2)
		skip();
	pools_reset(NULL);
	make_pools(0, 1, NAT_POOL_EIM);
	p = &nat_pools[pool_of(0, NAT_UDP)];
	p->port_min = 1024;
	p->port_max = 65535;
	p->use_base = 0;
	memset(owner, 0, NAT_RACE_PORTS * 8);
	memset(cpu_of, 0, sizeof(*cpu_of) * 2);
	start(r, "bind", 500, 500);
	finish(r);
	for (unsigned int i = 0; i < NAT_RACE_PORTS; i++) {
		if (!owner[i])
			continue;
		bound++;
		ports += !seen[owner[i] & 0xffff];
		seen[owner[i] & 0xffff] = 1;
	}
	print_message("# %u endpoints, %u ports, %llu refused as busy\n", bound, ports,
		      (unsigned long long)(cpu_of[0].failed + cpu_of[1].failed));
	assert_int_equal(cpu_of[0].differ + cpu_of[1].differ, 0);
	assert_int_equal(bound, ports);
	assert_true(bound > 450);
	/* Everything goes back: two connections an endpoint, and its binding. */
	for (int i = 0; i < 4; i++) {
		age(1000);
		sweep();
	}
	assert_int_equal(claims_of(pool_of(0, NAT_UDP)), 0);
	memset(p, 0, sizeof(*p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_lease_is_taken_twice),
		cmocka_unit_test(both_cpus_bind_one_endpoint_to_one_port),
	};

	return cmocka_run_group_tests(tests, race_up, race_down);
}
