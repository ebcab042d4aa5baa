/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_MARK_H
#define BPFCT_FW_MARK_H

#include "../../bpf/lib/ct_hash.h"
#include "../../bpf/lib/ct_parse.h"

/*
 * A packet is tracked once though it crosses several hooks. The mark is
 * tc_index: 14 bits of a keyed hash of the packet's addresses, protocol and first
 * transport word as it leaves the hook, so that a tunnel's outer packet does not
 * match, and two bits for what is still to be done at egress (FW_MARK_*). Always
 * written at ingress, as it arrives from the peer namespace over veth; never 0.
 * Taken from the packet's bytes, so that egress need not parse what is done.
 * Fragments of a datagram share one: IPv4's id stands for the transport word, of
 * IPv6 the addresses are all.
 */
#define FW_MARK_PENDING 1 /* source translation */
#define FW_MARK_LATE	2 /* its connection, and all that goes with that */
#define FW_MARK_MIDWAY	3 /* source translation, the destination's is done (fw_midway.h) */

/* Where the IP header of an untagged packet is; the mark is only for those. */
static __always_inline __u32 fw_l3(int l2)
{
	return l2 ? sizeof(struct ethhdr) : 0;
}

static __always_inline int fw_mark_end(const struct ct_settings *set, __u64 h)
{
	return (ct_mix(h, set->secret[1]) & 0xfffc) | 0x8000;
}

static __always_inline int fw_is_ext(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_AH || next == IPPROTO_DSTOPTS;
}

/* fw_mark(), for who can do without the call. */
static __always_inline int fw_mark_here(struct __sk_buff *skb, __u32 l3)
{
	const struct ct_settings *set = ct_settings();
	__u8 *first = ct_at(skb, l3, 20);
	__be32 *w = (__be32 *)first, *l4;
	__u32 at, word;
	__u8 proto;
	__u64 h;

	if (!first || !set)
		return 0;
	h = set->secret[0];
	if (*first >> 4 == 4) {
		h = ct_mix(h, ((__u64)w[3] << 32) | w[4]);
		proto = first[9];
		/* Not the options: the stack writes into them (time stamp, record route). */
		at = (*first & 0xf) * 4;
		if (w[1] & bpf_htonl(0x3fff))
			at = 4; /* id; flags and offset are cut off below */
	} else {
		w = ct_at(skb, l3, 40);
		if (!w)
			return 0;
		h = ct_mix(h, ((__u64)w[2] << 32) | w[6]);
		h = ct_mix(h, ((__u64)w[3] << 32) | w[7]);
		h = ct_mix(h, ((__u64)w[4] << 32) | w[8]);
		h = ct_mix(h, ((__u64)w[5] << 32) | w[9]);
		first = (__u8 *)w;
		/* Fragments of a datagram may have other extension headers each. */
		if (fw_is_ext(first[6]))
			return fw_mark_end(set, h);
		proto = first[6];
		at = 40;
	}
	/* A packet may end with its IP header. */
	l4 = ct_at(skb, l3 + at, 4);
	word = !l4 ? 0 : at == 4 ? *l4 & bpf_htonl(0xffff0000) : *l4;
	return fw_mark_end(set, ct_mix(h, (__u64)proto << 32 | word));
}

__noinline int fw_mark(struct __sk_buff *skb, __u32 l3)
{
	return fw_mark_here(skb, l3);
}

/* The mark that a datagram had before the stack cut it; pkt is the whole's. */
__noinline int fw_mark_uncut(struct __sk_buff *skb, const struct ct_pkt *pkt)
{
	const struct ct_settings *set = ct_settings();
	const struct ct_tuple *t;
	__be32 *l4;
	__u64 h;

	if (!pkt || !set)
		return 0;
	t = &pkt->tuple;
	h = set->secret[0];
	if (t->family == 4) {
		h = ct_mix(h, ((__u64)t->saddr[0] << 32) | t->daddr[0]);
	} else {
		h = ct_mix(h, ((__u64)t->saddr[0] << 32) | t->daddr[0]);
		h = ct_mix(h, ((__u64)t->saddr[1] << 32) | t->daddr[1]);
		h = ct_mix(h, ((__u64)t->saddr[2] << 32) | t->daddr[2]);
		h = ct_mix(h, ((__u64)t->saddr[3] << 32) | t->daddr[3]);
	}
	l4 = ct_at(skb, pkt->l4_off, 4);
	return fw_mark_end(set, ct_mix(h, (__u64)t->proto << 32 | (l4 ? *l4 : 0)));
}

#endif
