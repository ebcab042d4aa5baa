/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_ROUTE_H
#define BPFCT_CT_ROUTE_H

#include "../lib/ct_clock.h"
#include "../lib/ct_hash.h"
#include "ct_entry.h"
#include "ct_result.h"

/*
 * A route costs a FIB lookup (about 130 ns), so each direction of a connection
 * remembers where its packets go: a slot of ct_nexthop_v1 and the epoch in
 * which it was filled. ctd counts the epoch up on every change of routes,
 * neighbours, addresses or links. Slots of the current epoch are never
 * rewritten; those of older ones are free for all.
 *
 * Without ctd nobody says what has changed, nor that an IPsec policy has been
 * added: so from its end on no remembered route holds and everything goes by the
 * stack, which knows.
 */
#define CT_EPOCH_MASK	  0xfffff
#define CT_NEXTHOP_BUSY	  (1u << 31)
#define CT_NEXTHOP_PROBES 4

static __always_inline __u32 ct_epoch(const struct ct_settings *set)
{
	return *(volatile __u32 *)&set->route_epoch & CT_EPOCH_MASK;
}

/* CT_ASIDE_* for packets of this family. */
static __always_inline __u32 ct_route_aside(const struct ct_settings *set, int family)
{
	__u32 aside = *(volatile __u8 *)&set->route_aside[family == 6];

	return ct_ctd_listens(set) ? aside : aside | CT_ASIDE_STACK;
}

/* The next hop a record remembers, copied to *out. 1 if it still holds. */
static __always_inline int ct_route_get(const struct ct_settings *set, __u32 route,
					struct ct_nexthop *out)
{
	__u32 slot = route & (CT_NEXTHOPS - 1), epoch = ct_epoch(set);
	struct ct_nexthop *nh;

	if (!route || route >> 12 != epoch || !ct_ctd_listens(set))
		return 0;
	nh = bpf_map_lookup_elem(&ct_nexthop_v1, &slot);
	if (!nh || *(volatile __u32 *)&nh->tag != epoch)
		return 0;
	*out = *nh;
	/* Rewritten while we copied: the epoch has moved on. */
	return *(volatile __u32 *)&nh->tag == epoch;
}

static __always_inline int ct_mac_same(const __u8 *a, const __u8 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) |
		 (a[5] ^ b[5]));
}

/* Finds or fills a slot for a next hop that was looked up in `epoch`; returns what goes into
 * ct_conn.route, 0 when all probed slots hold others (then every packet looks up its route). */
static __always_inline __u32 ct_route_put(const struct ct_nexthop *want, __u32 epoch)
{
	__u32 i, slot, tag;
	__u64 h = ct_mix(want->ifindex, ((__u64)want->dmac[2] << 24) | (want->dmac[3] << 16) |
						(want->dmac[4] << 8) | want->dmac[5]);

	for (i = 0; i < CT_NEXTHOP_PROBES; i++) {
		struct ct_nexthop *nh;

		slot = (h + i) & (CT_NEXTHOPS - 1);
		nh = bpf_map_lookup_elem(&ct_nexthop_v1, &slot);
		if (!nh)
			return 0;
		tag = *(volatile __u32 *)&nh->tag;
		if (tag == epoch && nh->ifindex == want->ifindex && nh->mtu == want->mtu &&
		    ct_mac_same(nh->dmac, want->dmac))
			return slot | epoch << 12;
		if (tag == epoch || (tag & CT_NEXTHOP_BUSY))
			continue;
		if (__sync_val_compare_and_swap(&nh->tag, tag, CT_NEXTHOP_BUSY) != tag)
			continue;
		nh->ifindex = want->ifindex;
		nh->mtu = want->mtu;
		__builtin_memcpy(nh->dmac, want->dmac, 6);
		__builtin_memcpy(nh->smac, want->smac, 6);
		__sync_val_compare_and_swap(&nh->tag, CT_NEXTHOP_BUSY, epoch);
		return slot | epoch << 12;
	}
	return 0;
}

/* Writes a route into the record of a result. */
__noinline int ct_route_keep(const struct ct_result *res, __u32 route)
{
	struct ct_build *b = ct_build();
	struct ct_conn *c;

	if (!res || !b || !res->word || res->related)
		return 0;
	b->key = res->key;
	c = ct_conn_at(&b->key, res->family);
	if (c)
		*(volatile __u32 *)&c->route[res->dir & 1] = route;
	return 0;
}

#endif
