/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_USE_H
#define BPFCT_NAT_USE_H

#include <bpf/bpf_endian.h>

#include "../lib/ct_clock.h"
#include "nat_maps.h"

/*
 * Ports are counted up before the stub that uses them goes in and down after it
 * has gone, so a port that shows no use has no stub. Nothing depends on an event.
 */

/* Tries of a compare-and-swap that other CPUs keep winning. */
#define NAT_CAS_TRIES 8

/* This CPU's counters of a pool. */
static __always_inline struct nat_head *nat_head(const struct nat_pool *p)
{
	__u32 cpu = bpf_get_smp_processor_id(), index = p->head_base;

	if (p->flags & NAT_POOL_PARITY)
		cpu *= 2;
	if (cpu < p->rings)
		index += cpu;
	return bpf_map_lookup_elem(&nat_head_v1, &index);
}

/* A port's word; NULL for one outside the pool's range: low ports that are kept. */
static __always_inline __u32 *nat_use(const struct nat_pool *p, __u32 port)
{
	if (port < p->port_min || port > p->port_max)
		return NULL;
	return nat_word(&nat_use_v1, p->use_base + port - p->port_min);
}

static __always_inline __u64 nat_bound_gen(__u64 word)
{
	return word >> 32;
}

/* The key of a pool's external endpoint. */
static __always_inline void nat_bound_key(struct nat_bound_key *key, const struct nat_pool *p,
					  __u32 port, __u16 zone)
{
	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memcpy(key->addr, p->addr, 16);
	key->port = bpf_htons(port);
	key->zone = zone;
	key->class = p->class;
	key->family = p->family;
}

/* One more connection through a binding, if it is still this one (its generation).
 * 1, or 0: it has ended. */
static __always_inline int nat_bound_hold(const struct nat_pool *p, __u32 port, __u16 zone,
					  __u32 gen)
{
	struct nat_bound_key key;
	struct nat_bound *b;
	__u64 w;
	int i;

	nat_bound_key(&key, p, port, zone);
	b = bpf_map_lookup_elem(&nat_bound_v1, &key);
	if (!b)
		return 0;
	for (i = 0; i < NAT_CAS_TRIES; i++) {
		w = *(volatile __u64 *)&b->word;
		if (nat_bound_gen(w) != gen || (__u32)w == NAT_BOUND_DEAD)
			return 0;
		if (__sync_val_compare_and_swap(&b->word, w, w + 1) == w)
			return 1;
	}
	return 0;
}

/* One less; the last starts the binding's timer (RFC 4787 REQ-5). While the caller
 * is counted the binding cannot end, so what is under the key is the caller's. */
static __always_inline void nat_bound_give(const struct nat_pool *p, __u32 port, __u16 zone)
{
	__u32 secs = p->bind_secs, expires;
	const struct ct_settings *set;
	struct nat_bound_key key;
	struct nat_bound *b;
	__u64 w;
	int i;

	nat_bound_key(&key, p, port, zone);
	b = bpf_map_lookup_elem(&nat_bound_v1, &key);
	set = ct_settings();
	if (!b || !set)
		return;
	expires = ct_now(set) + ct_ticks(set, secs);
	for (i = 0; i < NAT_CAS_TRIES; i++) {
		w = *(volatile __u64 *)&b->word;
		if (!(__u32)w || (__u32)w == NAT_BOUND_DEAD)
			return;
		if ((__u32)w == 1)
			*(volatile __u32 *)&b->expires = expires;
		if (__sync_val_compare_and_swap(&b->word, w, w - 1) == w)
			return;
	}
}

static __always_inline void nat_use_up(const struct nat_pool *p, __u32 port)
{
	__u32 *use = nat_use(p, port);
	struct nat_head *h = nat_head(p);

	if (use)
		__sync_fetch_and_add(use, 1);
	if (h)
		__sync_fetch_and_add(&h->claimed, 1);
}

static __always_inline void nat_use_down(const struct nat_pool *p, __u32 port)
{
	const struct ct_settings *set = ct_settings();
	struct nat_head *h = nat_head(p);
	__u32 *use, now, w;
	int i;

	if (h)
		__sync_fetch_and_add(&h->released, 1);
	use = nat_use(p, port);
	if (!use || !set)
		return;
	now = ct_now(set);
	for (i = 0; i < NAT_CAS_TRIES; i++) {
		w = *(volatile __u32 *)use;
		/* A recount was faster. */
		if (!nat_uses(w))
			return;
		if (__sync_val_compare_and_swap(use, w, nat_use_make(nat_uses(w) - 1, now)) == w)
			return;
	}
	/* Eight lost in a row: without the time. */
	__sync_fetch_and_add(use, -1);
}

/* Counts a port that is about to be claimed. gen: of its binding, 0 in pools
 * without. 1, or 0: the binding has ended. */
__noinline int nat_take_use(__u32 ref, __u32 gen, __u32 zone)
{
	struct nat_pool *p = nat_pool(nat_ref_pool(ref));

	if (!p)
		return 0;
	if (gen && !nat_bound_hold(p, nat_ref_port(ref), zone, gen))
		return 0;
	nat_use_up(p, nat_ref_port(ref));
	return 1;
}

static __always_inline void nat_give_ref(__u32 ref, __u32 zone)
{
	struct nat_pool *p = nat_pool(nat_ref_pool(ref));

	if (!p)
		return;
	nat_use_down(p, nat_ref_port(ref));
	if (p->flags & NAT_POOL_EIM)
		nat_bound_give(p, nat_ref_port(ref), zone);
}

/* Gives back what was counted. */
__noinline int nat_give_use(__u32 ref, __u32 zone)
{
	nat_give_ref(ref, zone);
	return 0;
}

#endif
