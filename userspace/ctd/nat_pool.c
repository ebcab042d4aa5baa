// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * From rules to pools. A rule over N addresses has N * NAT_CLASSES consecutive pools
 * in nat_pool_v1; which ones a former plan or a former ctd has made is told by what
 * is written there, so nothing else needs to be kept. A pool that no rule names any
 * more is retired: it leases nothing, and its index is free again when the last
 * tuple that refers to it has ended.
 */
#include "nat_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <arpa/inet.h>

#include "nat_block.h"
#include "nat_flush.h"
#include "nat_reserve.h"
#include "rules.h"

#define GRACE_SECS 2 /* a port that a program has taken is claimed or forgotten by then */
#define PORT_LOW   1024
#define BIND_SECS  300 /* RFC 4787 REQ-5: a binding without traffic lives as long */

uint32_t nat_now(struct ctd *d)
{
	return bpfct_now(&d->core.pins) >> 3;
}

static uint32_t next_random(void *arg)
{
	struct nat *n = arg;

	/* Without entropy there would be no ctd: getrandom() waits for it at boot. */
	while (!n->random_left)
		if (getrandom(n->random, sizeof(n->random), 0) == sizeof(n->random))
			n->random_left = sizeof(n->random) / sizeof(n->random[0]);
	return n->random[--n->random_left];
}

/* An index that has nothing: neither live nor retired. */
static bool vacant(const struct nat *n, uint32_t index)
{
	return !n->m.pool[index].family;
}

/* A port range of the language for a class; none given: the ports that may be
 * handed out to anybody, and all ICMP ids. */
static void range_of(const struct fw_pool *f, uint32_t class, uint16_t *min, uint16_t *max)
{
	*min = f->port_min;
	*max = f->port_max;
	if (!f->port_max) {
		*min = class == NAT_ICMP ? 0 : PORT_LOW;
		*max = 65535;
	}
}

static uint16_t flags_of(const struct fw_pool *f)
{
	return (f->flags & FW_N_EIM ? NAT_POOL_EIM : 0) | (f->flags & FW_N_EIF ? NAT_POOL_EIF : 0) |
	       (f->flags & FW_N_ADF ? NAT_POOL_ADF : 0) |
	       (f->flags & FW_N_PARITY ? NAT_POOL_PARITY : 0);
}

/* Flags that may change while a pool lives. */
#define FLAGS_LIVE (NAT_POOL_EIF | NAT_POOL_ADF | NAT_POOL_LOCAL)
#define FLAGS_KIND (NAT_POOL_EIM | NAT_POOL_PARITY)

/* Address number i of a pool's spans. */
static void address_of(const struct fw_pool *f, uint32_t i, __be32 addr[4])
{
	const struct fw_span *s = f->span;
	uint32_t word = f->family == 4 ? 0 : 3;

	for (; i >= s->addrs; s++)
		i -= s->addrs;
	memcpy(addr, s->first, sizeof(s->first));
	addr[word] = htonl(ntohl(addr[word]) + i);
}

/* Blocks need no leases; nor does a class that the rules do not let through. */
static bool leases(const struct fw_pool *f, uint32_t class)
{
	return !f->block && f->classes >> class & 1;
}
_Static_assert(FW_CLASS_TCP == 1 << NAT_TCP && FW_CLASS_UDP == 1 << NAT_UDP &&
		       FW_CLASS_ICMP == 1 << NAT_ICMP && FW_CLASS_SCTP == 1 << NAT_SCTP,
	       "classes of the language are those of the ABI");

/* Is the pool at this index number k (address-major) of f, as it should be? */
static bool is_pool_of(const struct nat *n, uint32_t index, const struct fw_pool *f, uint32_t k)
{
	const struct nat_pool *p = &n->m.pool[index];
	uint16_t min, max;
	__be32 addr[4];

	if (!n->own[index].live || n->tried[index] == n->plan || p->class != k % NAT_CLASSES ||
	    p->family != f->family || (p->flags & FLAGS_KIND) != (flags_of(f) & FLAGS_KIND) ||
	    (p->rings != 0) != leases(f, p->class))
		return false;
	range_of(f, p->class, &min, &max);
	address_of(f, k / NAT_CLASSES, addr);
	return p->port_min == min && p->port_max == max && !memcmp(p->addr, addr, sizeof(addr));
}

/* The first of the pools that are there for f, 0: none. */
static uint32_t find_pools(const struct nat *n, const struct fw_pool *f)
{
	uint32_t count = f->addrs * NAT_CLASSES, i, k;

	for (i = 1; i + count <= n->m.pools; i++) {
		for (k = 0; k < count && is_pool_of(n, i + k, f, k); k++)
			;
		if (k == count)
			return i;
	}
	return 0;
}

/* Room for new ones, 0: none. */
static uint32_t find_room(const struct nat *n, uint32_t count)
{
	uint32_t i, k;

	for (i = 1; i + count <= n->m.pools; i += k + 1) {
		for (k = 0; k < count && vacant(n, i + k) && n->tried[i + k] != n->plan; k++)
			;
		if (k == count)
			return i;
	}
	return 0;
}

/* The part of nat_use_v1 that belongs to an address and class, else a free one. */
static uint32_t find_area(const struct nat *n, const struct nat_pool *want, bool *shared)
{
	uint8_t *taken = calloc(n->m.areas, 1);
	uint32_t i, area;

	*shared = false;
	if (!taken)
		return n->m.areas;
	for (i = 1; i < n->m.pools; i++) {
		const struct nat_pool *p = &n->m.pool[i];

		if (vacant(n, i))
			continue;
		area = p->use_base / NAT_AREA;
		if (area < n->m.areas)
			taken[area] = 1;
		if (p->family == want->family && p->class == want->class &&
		    !memcmp(p->addr, want->addr, sizeof(p->addr))) {
			free(taken);
			*shared = true;
			return area;
		}
	}
	for (area = 0; area < n->m.areas && taken[area]; area++)
		;
	free(taken);
	return area;
}

static uint32_t pow2_at_most(uint32_t n)
{
	uint32_t p = 1;

	while (p <= n / 2)
		p <<= 1;
	return p;
}

static int alloc_start(struct ctd *d, uint32_t index)
{
	struct nat *n = d->nat;
	const struct nat_pool *p = &n->m.pool[index];
	struct nat_own *own = &n->own[index];
	struct nat_alloc_conf conf = {.port_min = p->port_min,
				      .port_max = p->port_max,
				      .one_owner = p->flags & NAT_POOL_EIM,
				      .hold = n->hold,
				      .grace = n->grace,
				      .random = next_random,
				      .random_arg = n};
	int ret = nat_alloc_init(&own->alloc, &conf);

	if (ret)
		return ret;
	own->shadow = calloc(p->rings * p->ring_size + 1, sizeof(*own->shadow));
	if (!own->shadow) {
		nat_alloc_fini(&own->alloc);
		return -ENOMEM;
	}
	nat_reserve_pool(d, index);
	return 0;
}

void nat_own_free(struct nat_own *own)
{
	nat_alloc_fini(&own->alloc);
	free(own->shadow);
	free(own->block_used);
	own->shadow = NULL;
	own->block_used = NULL;
	own->live = own->made = false;
}

static void set_rings(const struct nat *n, uint32_t index, bool leases, struct nat_pool *p)
{
	p->head_base = index * n->m.heads;
	p->ring_base = index * n->m.ring_room;
	if (!leases)
		return;
	p->rings = p->flags & NAT_POOL_PARITY ? 2 * n->cpus : n->cpus;
	p->ring_size = pow2_at_most(n->m.ring_room / p->rings);
	if (p->ring_size > NAT_RING_MAX)
		p->ring_size = NAT_RING_MAX;
}

/* Pool number k of f comes to life at this index. LIVE is written last. */
static int make_pool(struct ctd *d, uint32_t index, const struct fw_pool *f, uint32_t k)
{
	struct nat *n = d->nat;
	struct nat_pool p = {.family = f->family, .class = k % NAT_CLASSES, .flags = flags_of(f)};
	bool shared;
	uint32_t area;
	int ret;

	address_of(f, k / NAT_CLASSES, p.addr);
	range_of(f, p.class, &p.port_min, &p.port_max);
	area = find_area(n, &p, &shared);
	if (area >= n->m.areas)
		return -ENOSPC;
	if (!shared)
		memset(n->m.use + (size_t)area * NAT_AREA, 0, NAT_AREA * sizeof(*n->m.use));
	p.use_base = area * NAT_AREA + p.port_min;
	p.bind_secs = BIND_SECS;
	p.hold = n->hold;
	if (nat_is_local(d, p.family, p.addr))
		p.flags |= NAT_POOL_LOCAL;
	set_rings(n, index, leases(f, p.class), &p);
	memset(&n->m.head[p.head_base], 0, n->m.heads * sizeof(*n->m.head));
	n->m.pool[index] = p;
	n->own[index].made = true;
	ret = alloc_start(d, index);
	if (ret) {
		memset(&n->m.pool[index], 0, sizeof(p));
		return ret;
	}
	n->own[index].live = true;
	if (shared)
		nat_alloc_rebuild(&n->own[index].alloc, nat_maps_use(&n->m, index), nat_now(d));
	nat_lease_fill(d, index);
	__atomic_or_fetch(&n->m.pool[index].flags, NAT_POOL_LIVE, __ATOMIC_RELEASE);
	return 0;
}

static void retire(struct ctd *d, uint32_t index)
{
	struct nat *n = d->nat;
	struct nat_own *own = &n->own[index];

	__atomic_and_fetch(&n->m.pool[index].flags, ~NAT_POOL_LIVE, __ATOMIC_ACQ_REL);
	nat_lease_empty(d, index);
	nat_own_free(own);
	own->retired = nat_now(d);
}

void nat_pools_retired(struct ctd *d)
{
	struct nat *n = d->nat;
	uint32_t i, now = nat_now(d);

	for (i = 1; i < n->m.pools; i++)
		if (!vacant(n, i) && !n->own[i].live && now - n->own[i].retired > n->grace &&
		    !nat_maps_tuples(&n->m, i)) {
			/* A program that saw it live has ended, or has put a lease back. */
			nat_lease_empty(d, i);
			memset(&n->m.pool[i], 0, sizeof(n->m.pool[i]));
		}
}

uint32_t nat_pools_needed(const struct fw_rules *rules)
{
	uint32_t i, sum = 0;

	for (i = 0; i < rules->n_pools; i++)
		sum += rules->pool[i].addrs * NAT_CLASSES;
	return sum;
}

static int no_room(const struct nat *n, const struct fw_pool *f, const char *name, FILE *err)
{
	uint32_t i, live = 0, retired = 0;

	for (i = 1; i < n->m.pools; i++) {
		live += n->own[i].live;
		retired += !vacant(n, i) && !n->own[i].live;
	}
	if (err)
		fprintf(err,
			"%s:%u: no room for %u pools (%u addresses x %d classes): of %u, %u are "
			"in use and %u wait for their last connection (set nat pools)\n",
			name, f->line, f->addrs * NAT_CLASSES, f->addrs, NAT_CLASSES,
			n->m.pools - 1, live, retired);
	return -ENOSPC;
}

static int plan_pool(struct ctd *d, struct fw_rules *rules, uint32_t which, const char *name,
		     FILE *err)
{
	const struct fw_pool *f = &rules->pool[which];
	uint32_t count = f->addrs * NAT_CLASSES, base = 0, k;
	struct nat *n = d->nat;
	int ret = 0;

	if (count) {
		base = find_pools(n, f);
		if (!base) {
			base = find_room(n, count);
			if (!base)
				return no_room(n, f, name, err);
			for (k = 0; k < count && !ret; k++)
				ret = make_pool(d, base + k, f, k);
			if (ret && err)
				fprintf(err, "%s:%u: cannot make the pool: %s\n", name, f->line,
					strerror(-ret));
			if (ret)
				return ret;
		}
		for (k = 0; k < count; k++)
			n->tried[base + k] = n->plan;
	}
	for (k = 0; k < rules->n_nats; k++)
		if (rules->nat[k].pool == which)
			rules->nat[k].pool_base =
				base ? base + NAT_CLASSES * rules->nat[k].addr_from : 0;
	return 0;
}

void nat_set_hold(struct nat *n, uint32_t hz, uint32_t secs)
{
	uint32_t hold = ((uint64_t)secs * hz + 255) / 256;

	n->hold = hold < NAT_ALLOC_TIME_MAX ? hold : NAT_ALLOC_TIME_MAX;
	if (n->hold != hold)
		log_event(LOG_WARN, "nat_hold_down", "asked_s=%u seconds=%u", secs,
			  n->hold * 256 / hz);
	n->grace = GRACE_SECS * hz / 256 + 2;
}

static void apply(struct ctd *d, const struct fw_settings *set)
{
	nat_set_hold(d->nat, d->core.pins.settings->hz, set->nat_hold_down);
	nat_reserve_config(d, set);
}

int nat_plan(struct ctd *d, struct fw_rules *rules, const struct fw_settings *set, const char *name,
	     FILE *err)
{
	struct nat *n = d->nat;
	uint32_t i;
	int ret = 0;

	if (!n)
		return 0;
	n->plan++;
	nat_pools_retired(d);
	apply(d, set);
	for (i = 0; i < rules->n_pools && !ret; i++)
		ret = plan_pool(d, rules, i, name, err);
	if (ret)
		nat_settle(d, NULL);
	return ret;
}

/* What changes while a pool lives: filtering, whose the address is, hold-down, blocks. */
static void refresh_pool(struct ctd *d, uint32_t index, const struct fw_pool *f)
{
	struct nat *n = d->nat;
	struct nat_pool *p = &n->m.pool[index];
	uint16_t flags = flags_of(f), was = p->flags;

	if (nat_is_local(d, p->family, p->addr))
		flags |= NAT_POOL_LOCAL;
	__atomic_store_n(&p->flags, (was & ~FLAGS_LIVE) | (flags & FLAGS_LIVE), __ATOMIC_RELEASE);
	p->hold = n->own[index].alloc.conf.hold = n->hold;
	if ((was ^ p->flags) & NAT_POOL_LOCAL)
		nat_reserve_pool(d, index);
	nat_block_set(d, index, f);
}

static void refresh_pools(struct ctd *d, const struct fw_rules *rules)
{
	uint32_t i, k, base;

	for (i = 0; i < rules->n_nats; i++) {
		const struct fw_pool *f;

		base = rules->nat[i].pool_base;
		if (!base || rules->nat[i].pool >= rules->n_pools)
			continue;
		f = &rules->pool[rules->nat[i].pool];
		base -= NAT_CLASSES * rules->nat[i].addr_from;
		for (k = 0; k < f->addrs * NAT_CLASSES; k++)
			refresh_pool(d, base + k, f);
	}
}

static void set_config(struct nat *n)
{
	uint32_t i, flags = 0, pools = 0;

	for (i = 1; i < n->m.pools; i++) {
		if (vacant(n, i))
			continue;
		pools = i + 1;
		if (n->m.pool[i].flags & NAT_POOL_EIM)
			flags |= NAT_HAVE_BINDINGS;
	}
	__atomic_store_n(&n->m.config->pools, pools, __ATOMIC_RELAXED);
	__atomic_store_n(&n->m.config->flags, flags, __ATOMIC_RELEASE);
}

void nat_settle(struct ctd *d, const struct fw_rules *installed)
{
	struct nat *n = d->nat;
	uint32_t i, live = 0, gone = 0;

	if (!n)
		return;
	for (i = 1; i < n->m.pools; i++) {
		struct nat_own *own = &n->own[i];

		if (own->live && (installed ? n->tried[i] != n->plan : own->made)) {
			retire(d, i);
			gone++;
		}
		own->made = false;
		live += own->live;
	}
	if (installed)
		refresh_pools(d, installed);
	set_config(n);
	if (gone)
		log_event(LOG_INFO, "nat_pools", "live=%u retired=%u", live, gone);
	if (installed)
		nat_flush_gone(d);
	else
		apply(d, rules_settings(d)); /* which are still those of the old rules */
}

int nat_pools_adopt(struct ctd *d)
{
	struct nat *n = d->nat;
	uint32_t i, now = nat_now(d);
	int ret;

	for (i = 1; i < n->m.pools; i++) {
		if (vacant(n, i))
			continue;
		if (!(n->m.pool[i].flags & NAT_POOL_LIVE)) {
			n->own[i].retired = now;
			continue;
		}
		ret = alloc_start(d, i);
		if (ret)
			return ret;
		n->own[i].live = true;
		nat_alloc_rebuild(&n->own[i].alloc, nat_maps_use(&n->m, i), now);
		nat_lease_adopt(d, i);
	}
	return 0;
}
