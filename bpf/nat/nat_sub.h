/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_SUB_H
#define BPFCT_NAT_SUB_H

#include <bpf/bpf_endian.h>

#include "../ct/ct_result.h"
#include "../lib/ct_clock.h"
#include "nat_maps.h"

/*
 * Limits a subscriber (RFC 6888 REQ-4): an inside IPv4 address, an IPv6 /64. States
 * are taken by the commit and given back by who ends the connection (ct_life.h),
 * so they hold with ctd dead. What is above a limit is taken back at once: of CPUs
 * that race for the last one all may be refused, none passes it.
 */
static __always_inline void nat_sub_key(struct nat_sub_key *key, const __be32 *addr, __u16 zone,
					__u8 family)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->addr[0] = addr[0];
	if (family == 6)
		key->addr[1] = addr[1];
	key->zone = zone;
	key->family = family;
}

/* A token in parts, so that a tick (32 jiffies) of any rate is what it is; a second's worth of
 * the highest rate, a million, is 32 bits. */
#define NAT_SUB_TOKEN 4096

/* A token of the bucket, which holds a second's worth: 1, or 0: too fast. */
static __always_inline int nat_sub_token(const struct ct_settings *set, struct nat_sub *sub,
					 __u32 rate, __u32 now)
{
	__u64 was = *(volatile __u64 *)&sub->bucket, tokens = was >> 32;
	__u64 full = (__u64)rate * NAT_SUB_TOKEN, passed;
	__u32 then = was, hz = set->hz ? set->hz : 1;

	/* Another CPU's tick may have been the later one. */
	if (ct_before(then, now)) {
		passed = now - then;
		tokens += (passed < hz ? passed : hz) * full * 32 / hz;
		then = now;
	}
	if (tokens > full)
		tokens = full;
	if (tokens < NAT_SUB_TOKEN)
		return 0;
	/* The loser of a race goes without paying: one connection. */
	__sync_val_compare_and_swap(&sub->bucket, was, (tokens - NAT_SUB_TOKEN) << 32 | then);
	return 1;
}

/* The subscriber's entry, made if there is none. NULL: the table is full. */
static __always_inline struct nat_sub *nat_sub_get(const struct nat_sub_key *key, __u32 rate,
						   __u32 now)
{
	struct nat_sub *sub = bpf_map_lookup_elem(&nat_sub_v1, key);
	struct nat_sub fresh = {};

	if (sub)
		return sub;
	fresh.bucket = (__u64)rate * NAT_SUB_TOKEN << 32 | now;
	fresh.last = now;
	__builtin_memcpy(fresh.addr, key->addr, 16);
	bpf_map_update_elem(&nat_sub_v1, key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&nat_sub_v1, key);
}

/* One more connection of the packet's source. 0; 1 if it has as many mapped ports as it
 * may, so that only one that is mapped can go on; or a drop reason. */
__noinline int nat_sub_take(const struct ct_tuple *t, const struct ct_nat_args *a)
{
	const struct ct_settings *set = ct_settings();
	struct nat_sub_key key;
	struct nat_sub *sub;
	__u32 now, n;
	int v = 0;

	if (!t || !a || !set)
		return -CT_DROP_MAP_MISSING;
	now = ct_now(set);
	nat_sub_key(&key, t->saddr, t->zone, t->family);
	sub = nat_sub_get(&key, a->limit_rate, now);
	if (!sub)
		return -CT_DROP_SUB_FULL;
	n = __sync_fetch_and_add(&sub->states, 1);
	if ((n & NAT_SUB_DEAD) || sub->addr[0] != key.addr[0] || sub->addr[1] != key.addr[1])
		v = -CT_DROP_COMMIT_BUSY;
	else if (a->limit_states && n >= a->limit_states)
		v = -CT_DROP_SUB_STATES;
	else if (a->limit_ports && !(a->flags & CT_NAT_EIM) && sub->ports >= a->limit_ports)
		v = -CT_DROP_SUB_PORTS;
	else if (a->limit_rate && !nat_sub_token(set, sub, a->limit_rate, now))
		v = -CT_DROP_SUB_RATE;
	if (v < 0) {
		__sync_fetch_and_add(&sub->states, -1);
		__sync_fetch_and_add(&sub->refused, 1);
		return v;
	}
	*(volatile __u32 *)&sub->last = now;
	return a->limit_ports && sub->ports >= a->limit_ports;
}

/* Counts a subscriber's ports up or down. A limit makes an increment that would pass
 * it fail: 0; else 1. */
__noinline int nat_sub_ports(const struct nat_sub_key *at, __s32 by, __u32 limit)
{
	struct nat_sub_key key;
	struct nat_sub *sub;

	if (!at)
		return 1;
	key = *at;
	sub = bpf_map_lookup_elem(&nat_sub_v1, &key);
	if (!sub)
		return 1;
	if (by < 0 && !*(volatile __u32 *)&sub->ports)
		return 1;
	if (__sync_fetch_and_add(&sub->ports, by) < limit || !limit)
		return 1;
	__sync_fetch_and_add(&sub->ports, -by);
	return 0;
}

/* Gives back what a connection's word says that it holds. */
__noinline int nat_sub_give(const union ct_key *key, __u64 word, __u8 family)
{
	__u16 status = ct_w_status(word), zone;
	int hi = !!(word & CT_W_ORIG_HI);
	struct nat_sub_key sk;
	struct nat_sub *sub;

	if (!key)
		return 0;
	zone = family == 4 ? key->k4.zone : key->k6.zone;
	if (family == 4)
		nat_sub_key(&sk, hi ? &key->k4.addr[1] : &key->k4.addr[0], zone, 4);
	else
		nat_sub_key(&sk, hi ? key->k6.addr[1] : key->k6.addr[0], zone, 6);
	sub = bpf_map_lookup_elem(&nat_sub_v1, &sk);
	/* Never below 0: entries may have been deleted by hand. */
	if (!sub || !(*(volatile __u32 *)&sub->states & ~NAT_SUB_DEAD))
		return 0;
	if ((status & CT_S_SRC_NAT) && !(status & CT_S_BOUND) && *(volatile __u32 *)&sub->ports)
		__sync_fetch_and_add(&sub->ports, -1);
	__sync_fetch_and_add(&sub->states, -1);
	return 1;
}

#endif
