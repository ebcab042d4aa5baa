// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Ports leased ahead. A pool has a ring a CPU (two with parity); we fill slots from
 * tail on, packet programs empty them from head on (nat_abi.h says how the two
 * meet). What we put into a slot is remembered beside it: a slot found empty is
 * how we learn that its port was taken. No message is needed for that, the one that
 * asks for more only makes it sooner.
 */
#include "nat_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "nat_block.h"
#include "nat_icmp.h"

#define POLL_SECS    0.25
#define CPU_SHARE    0.05 /* of one CPU, at most, for polling */
#define OVERLOADED   64	  /* used ports leased again, a ring */
#define LEASED_LEAST 4096 /* a pool: what may be opened while there is no ctd */

static uint32_t *slots(const struct nat *n, uint32_t index, uint32_t ring)
{
	const struct nat_pool *p = &n->m.pool[index];

	return n->m.ring + p->ring_base + ring * p->ring_size;
}

static uint32_t *shadows(const struct nat *n, uint32_t index, uint32_t ring)
{
	return n->own[index].shadow + ring * n->m.pool[index].ring_size;
}

/* Counters of a ring; the CPU's rings of odd ports have theirs too. */
static struct nat_head *head_of(const struct nat *n, uint32_t index, uint32_t ring)
{
	return &n->m.head[n->m.pool[index].head_base + ring];
}

/* Which ports go into a ring. */
static unsigned int sets_of(const struct nat_pool *p, uint32_t ring)
{
	if (!(p->flags & NAT_POOL_PARITY))
		return NAT_SET_ANY;
	if (ring & 1)
		return NAT_SET_BIT(NAT_ODD) | NAT_SET_BIT(NAT_ODD | NAT_LOW);
	return NAT_SET_BIT(0) | NAT_SET_BIT(NAT_LOW);
}

/* Must a port that lies in a ring come out of it? */
static bool unfit(const struct nat_own *own, uint16_t port)
{
	if (nat_alloc_is_reserved(&own->alloc, port))
		return true;
	/* A packet has kept this port, as its own, before anybody took the lease. */
	return own->alloc.conf.one_owner && nat_alloc_life(&own->alloc, port) != NAT_FREE;
}

/* Another port in place of one that must not be there; no hole if that can be helped. */
static void replace(struct nat *n, uint32_t index, uint32_t ring, uint32_t i, uint32_t now)
{
	uint32_t *slot = &slots(n, index, ring)[i], *shadow = &shadows(n, index, ring)[i];
	struct nat_own *own = &n->own[index];
	uint32_t was = *shadow, with = 0;
	uint16_t port;

	if (!nat_alloc_take(&own->alloc, sets_of(&n->m.pool[index], ring), &port))
		with = port | NAT_SLOT_VALID;
	if (__atomic_compare_exchange_n(slot, &was, with, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED)) {
		nat_alloc_return(&own->alloc, *shadow & 0xffff);
		*shadow = with;
		return;
	}
	if (with)
		nat_alloc_return(&own->alloc, port);
	nat_alloc_taken(&own->alloc, *shadow & 0xffff, now);
	*shadow = 0;
}

/* What has been taken since we looked, what must not be there, what came back. */
static void collect(struct nat *n, uint32_t index, uint32_t now)
{
	const struct nat_pool *p = &n->m.pool[index];
	struct nat_own *own = &n->own[index];
	uint32_t r, i;

	for (r = 0; r < p->rings; r++) {
		uint32_t *slot = slots(n, index, r), *shadow = shadows(n, index, r);

		for (i = 0; i < p->ring_size; i++)
			if (shadow[i] && !__atomic_load_n(&slot[i], __ATOMIC_ACQUIRE)) {
				nat_alloc_taken(&own->alloc, shadow[i] & 0xffff, now);
				shadow[i] = 0;
			}
	}
	nat_alloc_scan(&own->alloc, nat_maps_use(&n->m, index), now);
	for (r = 0; r < p->rings; r++) {
		const uint32_t *shadow = shadows(n, index, r);

		for (i = 0; i < p->ring_size; i++)
			if (shadow[i] && unfit(own, shadow[i] & 0xffff))
				replace(n, index, r, i, now);
	}
}

/* Slots that should be filled of each ring: not more than a quarter of a large pool
 * in all, so that its free ports stay free for those who keep their own. */
static uint32_t ring_target(const struct nat *n, uint32_t index)
{
	const struct nat_pool *p = &n->m.pool[index];
	uint32_t ports = n->own[index].alloc.ports, all = ports / 4;

	if (all < LEASED_LEAST)
		all = ports < LEASED_LEAST ? ports : LEASED_LEAST;
	all = (all + p->rings - 1) / p->rings;
	return all < p->ring_size ? all : p->ring_size;
}

static void put(struct nat *n, uint32_t index, uint32_t ring, uint32_t i, uint16_t port)
{
	shadows(n, index, ring)[i] = port | NAT_SLOT_VALID;
	__atomic_store_n(&slots(n, index, ring)[i], port | NAT_SLOT_VALID, __ATOMIC_RELEASE);
}

struct filler {
	struct nat *n;
	uint32_t index;
	uint32_t target;
	uint16_t *least; /* used ports to be overloaded, when none is free */
	uint32_t leasts;
	uint32_t next;
};

static bool next_port(struct filler *f, uint32_t ring, uint16_t *port)
{
	struct nat *n = f->n;

	if (!nat_alloc_take(&n->own[f->index].alloc, sets_of(&n->m.pool[f->index], ring), port))
		return true;
	if (f->next >= f->leasts)
		return false;
	*port = f->least[f->next++];
	return true;
}

static void fill_ring(struct filler *f, uint32_t ring)
{
	struct nat_head *h = head_of(f->n, f->index, ring);
	uint32_t head = __atomic_load_n(&h->head, __ATOMIC_ACQUIRE), tail = h->tail;
	uint32_t size = f->n->m.pool[f->index].ring_size, mask = size - 1;
	uint16_t port;

	/* Two takers of the last lease: the second has gone past tail. */
	if ((int32_t)(head - tail) > 0)
		tail = head;
	while (tail - head < f->target) {
		if (shadows(f->n, f->index, ring)[tail & mask]) {
			tail++; /* a lease that a taker has jumped over is still there */
			continue;
		}
		if (!next_port(f, ring, &port))
			break;
		put(f->n, f->index, ring, tail++ & mask, port);
	}
	__atomic_store_n(&h->tail, tail, __ATOMIC_RELEASE);
}

/* Leases that are missing of one parity (both: no parity). */
static uint32_t missing(const struct nat *n, uint32_t index, uint32_t target, uint32_t parity)
{
	const struct nat_pool *p = &n->m.pool[index];
	uint32_t r, sum = 0, step = p->flags & NAT_POOL_PARITY ? 2 : 1;

	for (r = parity; r < p->rings; r += step) {
		const struct nat_head *h = head_of(n, index, r);
		int32_t left = h->tail - __atomic_load_n(&h->head, __ATOMIC_RELAXED);

		if (left < 0)
			left = 0;
		sum += (uint32_t)left < target ? target - left : 0;
	}
	return sum;
}

/* With fewer free ports than slots each ring gets its part of them. */
static void fill_parity(struct ctd *d, uint32_t index, uint32_t parity)
{
	struct nat *n = d->nat;
	struct nat_own *own = &n->own[index];
	struct nat_pool *p = &n->m.pool[index];
	uint32_t step = p->flags & NAT_POOL_PARITY ? 2 : 1, rings = p->rings / step, r;
	struct filler f = {.n = n, .index = index, .target = ring_target(n, index)};
	uint32_t want = missing(n, index, f.target, parity);
	uint32_t can = nat_alloc_free_ports(&own->alloc, sets_of(p, parity));

	if (!want)
		return;
	/* Used ports only when none is free, and few: towards the destinations that they
	 * are used for their claim fails, and ports that come free wait behind them. */
	if (!can && !own->alloc.conf.one_owner) {
		uint32_t few = want < OVERLOADED * rings ? want : OVERLOADED * rings;

		f.least = calloc(few, sizeof(*f.least));
		if (f.least)
			f.leasts = nat_alloc_take_least(&own->alloc, nat_maps_use(&n->m, index),
							sets_of(p, parity), few, f.least);
		can += f.leasts;
	}
	if (can < want)
		f.target -= (want - can) / rings;
	for (r = parity; r < p->rings; r += step)
		fill_ring(&f, r);
	while (f.next < f.leasts)
		nat_alloc_return(&own->alloc, f.least[f.next++]);
	free(f.least);
}

void nat_lease_fill(struct ctd *d, uint32_t index)
{
	struct nat *n = d->nat;
	struct nat_pool *p = &n->m.pool[index];

	if (!n->own[index].live)
		return;
	if (p->rings) {
		p->low_water = ring_target(n, index) / 4;
		collect(n, index, nat_now(d));
		fill_parity(d, index, 0);
		if (p->flags & NAT_POOL_PARITY)
			fill_parity(d, index, 1);
	}
	if (n->own[index].alloc.lives[NAT_USED] > p->used_high)
		p->used_high = n->own[index].alloc.lives[NAT_USED];
}

void nat_lease_adopt(struct ctd *d, uint32_t index)
{
	struct nat *n = d->nat;
	struct nat_own *own = &n->own[index];
	uint32_t all = n->m.pool[index].rings * n->m.pool[index].ring_size, i;
	uint32_t *slot = slots(n, index, 0);

	for (i = 0; i < all; i++) {
		uint32_t was = __atomic_load_n(&slot[i], __ATOMIC_ACQUIRE);

		if (was && nat_alloc_adopt(&own->alloc, was & 0xffff))
			own->shadow[i] = was;
		else if (was)
			/* Taken meanwhile is as well. */
			__atomic_compare_exchange_n(&slot[i], &was, 0, false, __ATOMIC_ACQ_REL,
						    __ATOMIC_RELAXED);
	}
}

void nat_lease_empty(struct ctd *d, uint32_t index)
{
	struct nat *n = d->nat;
	uint32_t all = n->m.pool[index].rings * n->m.pool[index].ring_size, i;
	uint32_t *slot = slots(n, index, 0);

	for (i = 0; i < all; i++)
		__atomic_exchange_n(&slot[i], 0, __ATOMIC_ACQ_REL);
}

/* Has anything happened to a pool since we last looked? */
static bool moved(struct nat *n, uint32_t index)
{
	struct nat_own *own = &n->own[index];
	uint64_t churn = 0;
	uint32_t i;

	for (i = 0; i < n->m.heads; i++) {
		const struct nat_head *h = &n->m.head[n->m.pool[index].head_base + i];

		churn += h->claimed + h->released + h->lost + h->head;
	}
	if (churn == own->churn && !own->alloc.lives[NAT_TAKEN] && !own->alloc.lives[NAT_HELD])
		return false;
	own->churn = churn;
	return true;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void poll_again(struct nat *n, double secs)
{
	struct timeval tv = {.tv_sec = (time_t)secs};

	tv.tv_usec = (secs - tv.tv_sec) * 1e6;
	evtimer_add(n->poll, &tv);
}

/* From now on the datapath asks again when a ring runs low. */
static void may_ask(struct nat *n, uint32_t index)
{
	__atomic_store_n(&n->m.pool[index].asked, 0, __ATOMIC_RELEASE);
}

/* Has every ring more than the mark? If ports are that short, a request after
 * each packet would be of no use to anybody: the poll is often enough. */
static bool plenty(const struct nat *n, uint32_t index)
{
	const struct nat_pool *p = &n->m.pool[index];
	uint32_t r;

	for (r = 0; r < p->rings; r++) {
		const struct nat_head *h = head_of(n, index, r);

		if ((int32_t)(h->tail - h->head) <= (int32_t)p->low_water)
			return false;
	}
	return true;
}

/* Some pools, then the other duties; all of them each POLL_SECS if that costs
 * less than CPU_SHARE. */
static void on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct nat *n = d->nat;
	double began = cpu_seconds(), spent = 0;

	(void)fd;
	(void)what;
	if (!n->poll_at)
		nat_pools_retired(d);
	for (; n->poll_at < n->m.pools && spent < POLL_SECS * CPU_SHARE; n->poll_at++) {
		if (!n->own[n->poll_at].live)
			continue;
		if (moved(n, n->poll_at) || n->m.pool[n->poll_at].asked) {
			nat_lease_fill(d, n->poll_at);
			may_ask(n, n->poll_at);
			nat_block_look(d, n->poll_at);
			spent = cpu_seconds() - began;
		}
		nat_icmp_look(d, n->poll_at);
	}
	if (n->poll_at >= n->m.pools)
		n->poll_at = 0;
	poll_again(n, POLL_SECS);
}

static int on_need(void *arg, void *data, size_t len)
{
	const struct nat_need *need = data;
	struct ctd *d = arg;

	if (len < sizeof(*need) || need->pool >= d->nat->m.pools)
		return 0;
	if (need->kind == NAT_NEED_PORTS) {
		nat_lease_fill(d, need->pool);
		if (plenty(d->nat, need->pool))
			may_ask(d->nat, need->pool);
	} else if (need->kind == NAT_NEED_EXHAUSTED) {
		nat_icmp_exhausted(d, need);
	} else if (need->kind == NAT_NEED_BLOCKED) {
		nat_icmp_blocked(d, need);
	}
	return 0;
}

static void on_need_ready(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	int ret;

	(void)fd;
	(void)what;
	ret = ring_buffer__consume(d->nat->need);
	if (ret < 0)
		log_event(LOG_FAULT, "nat_need", "error=\"%s\"", strerror(-ret));
}

int nat_lease_run(struct ctd *d)
{
	struct nat *n = d->nat;

	n->need = ring_buffer__new(d->core.pins.nat_need_fd, on_need, d, NULL);
	if (!n->need) {
		int ret = -errno;

		log_fail("cannot read the ring of port requests: %s", strerror(-ret));
		return ret;
	}
	/* Requests of the time without ctd: one a pool, and answered by the first poll. */
	n->poll = evtimer_new(d->base, on_poll, d);
	n->need_ready = event_new(d->base, ring_buffer__epoll_fd(n->need), EV_READ | EV_PERSIST,
				  on_need_ready, d);
	if (!n->poll || !n->need_ready || event_add(n->need_ready, NULL))
		return -ENOMEM;
	poll_again(n, 0);
	return 0;
}

void nat_lease_stop(struct ctd *d)
{
	struct nat *n = d->nat;

	if (n->need_ready)
		event_free(n->need_ready);
	if (n->poll)
		event_free(n->poll);
	ring_buffer__free(n->need);
}
