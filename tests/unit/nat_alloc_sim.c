// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Ten million random steps of a pool: takes, returns, crashes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat_alloc.h"

/*
 * A pool, its rings, and what packet programs do with them, as the maps see it:
 * ctd's side is the code under test, the other side is modelled here. The model
 * knows each port's owner; whoever gets a port that has one is the failure.
 */
#define SIM_MIN	   20000
#define SIM_PORTS  600
#define SIM_CPUS   2
#define SIM_SLOTS  64
#define SIM_FLIGHT 8 /* programs between exchange and claim */
#define SIM_GRACE  8
#define SIM_HOLD   20

struct sim {
	struct nat_alloc a;
	struct nat_alloc_conf conf;
	uint64_t random;
	uint32_t now;
	uint32_t use[SIM_PORTS];
	uint32_t ring[SIM_CPUS][SIM_SLOTS];   /* 0: empty, else the port: the shared memory */
	uint16_t shadow[SIM_CPUS][SIM_SLOTS]; /* ctd's: what it put there */
	uint32_t head[SIM_CPUS];
	bool alive; /* ctd */
	bool reserved[SIM_PORTS];
	struct {
		uint16_t port;
		uint32_t since;
	} flight[SIM_FLIGHT];
	uint32_t flights;
	uint16_t owned[SIM_PORTS]; /* list of ports with an owner, in any order */
	uint32_t owners;
	bool has_owner[SIM_PORTS];
	uint32_t ended[SIM_PORTS]; /* tick; 0: never used */
	uint64_t takes, kepts, returns, crashes, restarts, held_back;
};

static uint32_t pick(struct sim *s, uint32_t n)
{
	return (uint64_t)next_random(&s->random) * n >> 32;
}

static void sim_own(struct sim *s, uint16_t port)
{
	uint32_t i = port - SIM_MIN;

	/* The invariant. */
	assert_false(s->has_owner[i]);
	s->has_owner[i] = true;
	s->owned[s->owners++] = i;
	s->use[i]++;
}

static bool sim_held(const struct sim *s, uint32_t i)
{
	return s->ended[i] && s->now - s->ended[i] < SIM_HOLD;
}

/* A packet program takes the next slot of its CPU's ring, or of another's. */
static void sim_take(struct sim *s)
{
	uint32_t cpu = pick(s, SIM_CPUS), k, i;

	if (s->flights == SIM_FLIGHT)
		return;
	for (k = 0; k < SIM_CPUS; k++, cpu = (cpu + 1) % SIM_CPUS) {
		uint32_t *slot = &s->ring[cpu][s->head[cpu]++ % SIM_SLOTS];
		uint16_t port = *slot;

		if (!port)
			continue;
		*slot = 0;
		i = port - SIM_MIN;
		/* One that was kept by another packet meanwhile is used, or held: passed over. */
		if (nat_uses(s->use[i]) || sim_held(s, i))
			return;
		assert_false(s->has_owner[i]);
		for (k = 0; k < s->flights; k++)
			assert_int_not_equal(s->flight[k].port, port);
		s->flight[s->flights].port = port;
		s->flight[s->flights++].since = s->now;
		s->takes++;
		return;
	}
}

/* The claim of one that has a port in hand: counted, or given up. */
static void sim_claim(struct sim *s, uint32_t k)
{
	uint16_t port = s->flight[k].port;

	s->flight[k] = s->flight[--s->flights];
	/* A kept port may have won the race; the claim then decides for that one. */
	if (pick(s, 10) && !s->has_owner[port - SIM_MIN])
		sim_own(s, port);
}

/* A program keeps its packet's own port: no ring is asked. */
static void sim_keep(struct sim *s)
{
	uint32_t i = pick(s, SIM_PORTS);

	if (nat_uses(s->use[i]) || s->reserved[i] || sim_held(s, i))
		return;
	sim_own(s, SIM_MIN + i);
	s->kepts++;
}

static void sim_end(struct sim *s)
{
	uint32_t k, i;

	if (!s->owners)
		return;
	k = pick(s, s->owners);
	i = s->owned[k];
	s->owned[k] = s->owned[--s->owners];
	s->has_owner[i] = false;
	s->use[i] = word(nat_uses(s->use[i]) - 1, s->now);
	s->ended[i] = s->now;
	s->returns++;
}

/* ctd's turn, as userspace/ctd/nat_lease.c does it. */
static void sim_poll(struct sim *s)
{
	uint32_t cpu, k;
	uint16_t port;

	for (cpu = 0; cpu < SIM_CPUS; cpu++)
		for (k = 0; k < SIM_SLOTS; k++)
			if (s->shadow[cpu][k] && !s->ring[cpu][k]) {
				nat_alloc_taken(&s->a, s->shadow[cpu][k], s->now);
				s->shadow[cpu][k] = 0;
			}
	nat_alloc_scan(&s->a, s->use, s->now);
	for (cpu = 0; cpu < SIM_CPUS; cpu++)
		for (k = 0; k < SIM_SLOTS; k++) {
			port = s->shadow[cpu][k];
			if (port && nat_alloc_life(&s->a, port) != NAT_FREE) {
				/* kept by a packet, or used and held since: not ours to lease */
				s->ring[cpu][k] = 0;
				s->shadow[cpu][k] = 0;
				nat_alloc_return(&s->a, port);
				s->held_back++;
			}
			if (!s->shadow[cpu][k] && !nat_alloc_take(&s->a, NAT_SET_ANY, &port))
				s->ring[cpu][k] = s->shadow[cpu][k] = port;
		}
}

static void sim_reserve(struct sim *s)
{
	uint32_t i = pick(s, SIM_PORTS), cpu, k;

	s->reserved[i] = !s->reserved[i];
	if (!nat_alloc_reserve(&s->a, SIM_MIN + i, s->reserved[i]))
		return;
	for (cpu = 0; cpu < SIM_CPUS; cpu++)
		for (k = 0; k < SIM_SLOTS; k++)
			if (s->ring[cpu][k] == SIM_MIN + i) {
				s->ring[cpu][k] = s->shadow[cpu][k] = 0;
				nat_alloc_return(&s->a, SIM_MIN + i);
			}
}

static void sim_restart(struct sim *s)
{
	uint32_t cpu, k, i;

	assert_int_equal(nat_alloc_init(&s->a, &s->conf), 0);
	for (i = 0; i < SIM_PORTS; i++)
		nat_alloc_reserve(&s->a, SIM_MIN + i, s->reserved[i]);
	nat_alloc_rebuild(&s->a, s->use, s->now);
	for (cpu = 0; cpu < SIM_CPUS; cpu++)
		for (k = 0; k < SIM_SLOTS; k++) {
			uint16_t port = s->ring[cpu][k];

			s->shadow[cpu][k] = port;
			if (port && !nat_alloc_adopt(&s->a, port))
				s->ring[cpu][k] = s->shadow[cpu][k] = 0;
		}
	s->alive = true;
	s->restarts++;
}

static void sim_crash(struct sim *s)
{
	nat_alloc_fini(&s->a);
	memset(s->shadow, 0, sizeof(s->shadow));
	s->alive = false;
	s->crashes++;
}

/* Programs run for far less than the grace time: those that are late end now. */
static void sim_time(struct sim *s)
{
	uint32_t k;

	s->now++;
	for (k = 0; k < s->flights;)
		if (s->now - s->flight[k].since >= SIM_GRACE - 1)
			sim_claim(s, k);
		else
			k++;
}

static void sim_step(struct sim *s, uint32_t steps)
{
	uint32_t dice = pick(s, 10000);

	if (dice < 3300)
		sim_take(s);
	else if (dice < 6300 && s->flights)
		sim_claim(s, pick(s, s->flights));
	else if (dice < 6700)
		sim_keep(s);
	else if (dice < 9300)
		sim_end(s);
	else if (dice < 9600)
		sim_time(s);
	else if (dice < 9970 && s->alive)
		sim_poll(s);
	else if (dice < 9985 && s->alive)
		sim_reserve(s);
	else if (dice == 9999 && steps % 4 == 0)
		s->alive ? sim_crash(s) : sim_restart(s);
	else if (dice == 9998 && !s->alive)
		sim_restart(s);
}

/* No port is lost: with all connections over and the hold-down past, all that
 * are not reserved are free or lie in a ring. */
static void sim_settle(struct sim *s)
{
	uint32_t i, reserved = 0;

	if (!s->alive)
		sim_restart(s);
	while (s->flights)
		sim_claim(s, 0);
	while (s->owners)
		sim_end(s);
	s->now += SIM_HOLD + SIM_GRACE;
	sim_poll(s);
	s->now += SIM_GRACE;
	sim_poll(s);
	for (i = 0; i < SIM_PORTS; i++)
		reserved += s->reserved[i];
	assert_int_equal(s->a.lives[NAT_FREE], SIM_PORTS);
	assert_int_equal(s->a.reserved, reserved);
	assert_int_equal(nat_alloc_free_ports(&s->a, NAT_SET_ANY) + s->a.leased,
			 SIM_PORTS - reserved);
	assert_int_equal(s->a.leased, SIM_CPUS * SIM_SLOTS);
}

static void ten_million_steps_one_owner_a_port(void **state)
{
	struct sim *s = calloc(1, sizeof(*s));
	uint32_t i;

	(void)state;
	assert_non_null(s);
	s->conf = conf_of(SIM_MIN, SIM_MIN + SIM_PORTS - 1, true);
	s->conf.hold = SIM_HOLD;
	s->conf.grace = SIM_GRACE;
	s->random = 42;
	s->now = 1;
	assert_int_equal(nat_alloc_init(&s->a, &s->conf), 0);
	s->alive = true;
	for (i = 0; i < 10000000; i++)
		sim_step(s, i);
	/* All of it happened, and often. */
	assert_true(s->takes > 500000 && s->kepts > 100000 && s->returns > 500000);
	assert_true(s->crashes > 100 && s->restarts >= s->crashes - 1 && s->held_back > 100);
	print_message("# %llu takes, %llu kept, %llu ended, %llu crashes, %llu taken back\n",
		      (unsigned long long)s->takes, (unsigned long long)s->kepts,
		      (unsigned long long)s->returns, (unsigned long long)s->crashes,
		      (unsigned long long)s->held_back);
	sim_settle(s);
	nat_alloc_fini(&s->a);
	free(s);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_million_steps_one_owner_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
