/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_METER_H
#define BPFCT_OVS_DP_METER_H

#include "dp_work.h"

/*
 * A band is a token bucket kept as one word: the time at which all that has passed is paid
 * for. It is never further back than the burst is worth, and a packet that would move it
 * beyond now is over the rate. Changed by compare-and-swap, so that no two CPUs spend the
 * same tokens.
 */
#define OVS_BAND_TRIES 8

/* 1: the packet is over the band. cost and burst in ns at the band's rate. */
static __always_inline int ovs_band_over(struct ovs_band *b, __u64 now, __u64 cost, __u64 burst)
{
	__u64 due, from;
	__u32 i;

	for (i = 0; i < OVS_BAND_TRIES; i++) {
		due = *(volatile __u64 *)&b->due;
		from = now - due > burst && due <= now ? now - burst : due;
		if (from + cost > now)
			return 1;
		if (__sync_val_compare_and_swap(&b->due, due, from + cost) == due)
			return 0;
	}
	return 0; /* others pass here that fast: one more of them does not matter */
}

/* 0, or a drop reason: the packet is over the rate. */
__noinline int ovs_meter(struct __sk_buff *skb, __u32 id)
{
	struct ovs_meter *m = bpf_map_lookup_elem(&ovs_meter_v1, &id);
	__u64 now = bpf_ktime_get_ns(), units, unit_ns;
	__u32 i, over = OVS_BANDS, highest = 0;

	if (!m || !(m->flags & OVS_METER_LIVE))
		return 0;
	__sync_fetch_and_add(&m->packets, 1);
	__sync_fetch_and_add(&m->bytes, skb->len);
	*(volatile __u64 *)&m->used = bpf_jiffies64();
	/* A packet, or a bit. */
	units = m->flags & OVS_METER_PKTPS ? 1 : (__u64)skb->len * 8;
	unit_ns = m->flags & OVS_METER_PKTPS ? 1000000000ULL : 1000000ULL;
	for (i = 0; i < OVS_BANDS; i++) {
		struct ovs_band *b = &m->band[i];
		__u32 rate = b->rate, burst = b->burst ? b->burst : rate;

		if (i >= m->n_bands || !rate)
			continue;
		if (!ovs_band_over(b, now, units * unit_ns / rate,
				   (__u64)burst * 1000000000ULL / rate))
			continue;
		if (over == OVS_BANDS || rate > highest) {
			over = i;
			highest = rate;
		}
	}
	if (over >= OVS_BANDS)
		return 0;
	__sync_fetch_and_add(&m->band[over & (OVS_BANDS - 1)].packets, 1);
	__sync_fetch_and_add(&m->band[over & (OVS_BANDS - 1)].bytes, skb->len);
	return -CT_DROP_OVS_METER;
}

#endif
