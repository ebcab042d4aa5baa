// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pool.h"

#define POOLS	  65 /* the default and index 0 */
#define POOL_SIZE (POOL_HIGH - POOL_LOW + 1)
#define RING	  64 /* slots */

struct nat_config *nat_config;
struct nat_pool *nat_pools;
struct nat_head *nat_heads;
struct nat_reserved *nat_reserved;
static struct nat_chunk *rings, *uses;
static struct ring_buffer *needs;
static struct nat_need got;
static int waiting;

static void *map(int fd, size_t entry, size_t n)
{
	size_t page = sysconf(_SC_PAGESIZE), len = (entry * n + page - 1) / page * page;
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(at != MAP_FAILED);
	return at;
}

static int on_need(void *arg, void *data, size_t n)
{
	(void)arg;
	assert_int_equal(n, sizeof(got));
	memcpy(&got, data, sizeof(got));
	waiting = 1;
	return 1; /* one at a time */
}

int next_need(struct nat_need *need)
{
	waiting = 0;
	ring_buffer__consume(needs);
	if (waiting)
		*need = got;
	return waiting;
}

int pools_up(void **state)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (set_up(state) || sched_setaffinity(0, sizeof(one), &one))
		return -1;
	nat_config = map(core.pins.nat_config_fd, sizeof(*nat_config), 1);
	nat_pools = map(core.pins.nat_pool_fd, sizeof(*nat_pools), POOLS);
	nat_heads = map(core.pins.nat_head_fd, sizeof(*nat_heads), core.sizes.nat_heads);
	nat_reserved = map(core.pins.nat_reserved_fd, sizeof(*nat_reserved), 2 * NAT_CLASSES);
	rings = map(core.pins.nat_ring_fd, sizeof(*rings), core.sizes.nat_ring);
	uses = map(core.pins.nat_use_fd, sizeof(*uses), core.sizes.nat_use);
	needs = ring_buffer__new(core.pins.nat_need_fd, on_need, NULL, NULL);
	return needs ? 0 : -1;
}

int pools_down(void **state)
{
	ring_buffer__free(needs);
	return tear_down(state);
}

unsigned int pool_of(unsigned int n, unsigned int class)
{
	return POOL_BASE + n * NAT_CLASSES + class;
}

int pools_reset(void **state)
{
	struct nat_need need;

	reset(state);
	/* Bindings have their own time. */
	age(100000);
	sweep();
	for (unsigned int i = 0; i < POOLS; i++) {
		if (!nat_pools[i].flags)
			continue;
		assert_int_equal(claims_of(i), 0);
		for (unsigned int port = POOL_LOW; port <= POOL_HIGH; port++)
			assert_int_equal(nat_uses(use_of(i, port)), 0);
	}
	memset(nat_pools, 0, sizeof(*nat_pools) * POOLS);
	memset(nat_heads, 0, sizeof(*nat_heads) * core.sizes.nat_heads);
	memset(nat_reserved, 0, sizeof(*nat_reserved) * 2 * NAT_CLASSES);
	memset(rings, 0, sizeof(*rings) * core.sizes.nat_ring);
	memset(uses, 0, sizeof(*uses) * core.sizes.nat_use);
	memset(nat_config, 0, sizeof(*nat_config));
	while (next_need(&need))
		;
	return 0;
}

void make_pools(int six, unsigned int count, uint16_t flags)
{
	unsigned int cpus = libbpf_num_possible_cpus();

	for (unsigned int n = 0; n < count; n++)
		for (unsigned int class = 0; class < NAT_CLASSES; class ++) {
			unsigned int i = pool_of(n, class);
			struct nat_pool *p = &nat_pools[i];

			set_addr(p->addr, E[six]);
			p->addr[six ? 3 : 0] = htonl(ntohl(p->addr[six ? 3 : 0]) + n);
			p->family = six ? 6 : 4;
			p->class = class;
			p->port_min = POOL_LOW;
			p->port_max = POOL_HIGH;
			p->use_base = i * POOL_SIZE;
			p->rings = cpus * (flags & NAT_POOL_PARITY ? 2 : 1);
			p->ring_size = RING;
			p->ring_base = i * cpus * 2 * RING;
			p->head_base = i * cpus * 2;
			p->low_water = 1;
			p->bind_secs = 300;
			p->flags = flags | NAT_POOL_LIVE;
		}
	nat_config->pools = pool_of(count, 0);
	nat_config->flags = flags & NAT_POOL_EIM ? NAT_HAVE_BINDINGS : 0;
}

void lease(unsigned int pool, unsigned int ring, uint16_t port)
{
	struct nat_pool *p = &nat_pools[pool];
	struct nat_head *h = &nat_heads[p->head_base + ring];
	unsigned int at = p->ring_base + ring * p->ring_size + (h->tail & (p->ring_size - 1));

	assert_true(ring < p->rings);
	rings[at / NAT_CHUNK].word[at % NAT_CHUNK] = port | NAT_SLOT_VALID;
	h->tail++;
}

uint32_t use_of(unsigned int pool, uint16_t port)
{
	unsigned int at = nat_pools[pool].use_base + port - nat_pools[pool].port_min;

	return uses[at / NAT_CHUNK].word[at % NAT_CHUNK];
}

uint64_t path_of(unsigned int pool, enum nat_path path)
{
	struct nat_pool *p = &nat_pools[pool];
	uint64_t n = 0;

	for (unsigned int i = 0; i < p->rings; i++)
		n += nat_heads[p->head_base + i].path[path];
	return n;
}

uint64_t claims_of(unsigned int pool)
{
	struct nat_pool *p = &nat_pools[pool];
	uint64_t n = 0;

	for (unsigned int i = 0; i < p->rings; i++)
		n += nat_heads[p->head_base + i].claimed - nat_heads[p->head_base + i].released;
	return n;
}

void use_pools(int six, unsigned int count, uint32_t flags)
{
	struct ct_nat_range *r = &how.nat.src;

	memset(&how.nat, 0, sizeof(how.nat));
	how.nat.flags = CT_NAT_SRC | flags;
	how.nat.pool_base = POOL_BASE;
	set_addr(r->addr_min, E[six]);
	set_addr(r->addr_max, E[six]);
	r->addr_max[six ? 3 : 0] = htonl(ntohl(r->addr_max[six ? 3 : 0]) + count - 1);
}
