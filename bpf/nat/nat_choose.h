/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_CHOOSE_H
#define BPFCT_NAT_CHOOSE_H

#include "../ct/ct_result.h"
#include "nat_claim.h"

/* Random tries after the preserved port. The bound is I7's; leases from ctd
 * take their place with the port daemon. */
#define NAT_TRIES    24
#define NAT_PORT_LOW 1024

/* Writes one side of the reply tuple of the record being built. Source NAT
 * changes what replies are sent to, destination NAT where they come from. */
static __always_inline void nat_set_addr(struct ct_build *b, const struct ct_nat_range *r, int src,
					 __u8 family)
{
	if (family == 4) {
		__u32 lo = bpf_ntohl(r->addr_min[0]), n = bpf_ntohl(r->addr_max[0]) - lo + 1;
		__be32 addr = r->addr_min[0];

		/* Which of a range: by the inside address, so that a host keeps its
		 * external one (paired pooling, RFC 4787 REQ-2). */
		if (n > 1)
			addr = bpf_htonl(lo + (__u32)ct_mix(0, b->conn4.reply_daddr) % n);
		if (src)
			b->conn4.reply_daddr = addr;
		else
			b->conn4.reply_saddr = addr;
	} else {
		__builtin_memcpy(src ? b->conn6.reply_daddr : b->conn6.reply_saddr, r->addr_min,
				 16);
	}
}

static __always_inline int nat_claim(const union ct_key *key, __u32 gen, __u8 family)
{
	return family == 4 ? nat_claim4(key, gen) : nat_claim6(key, gen);
}

/*
 * Chooses and claims the reply tuple for the record in ct_build (which holds
 * the untranslated one). 0, or a negative drop reason: nothing claimed then.
 */
__noinline int nat_choose(const struct ct_pkt *pkt, const struct ct_nat_args *a,
			  const union ct_key *key, __u32 gen)
{
	struct ct_build *b = ct_build();
	__u32 lo, hi, i, n;
	__be16 *port, keep;
	int v, icmp, src;

	if (!pkt || !a || !key || !b)
		return -CT_DROP_MAP_MISSING;
	icmp = ct_is_icmp(&pkt->tuple);
	src = !!(a->flags & CT_NAT_SRC);
	lo = src ? a->src.port_min : a->dst.port_min;
	hi = src ? a->src.port_max : a->dst.port_max;
	if (pkt->tuple.family == 4)
		nat_set_addr(b, src ? &a->src : &a->dst, src, 4);
	else
		nat_set_addr(b, src ? &a->src : &a->dst, src, 6);
	n = lo;
	if (!lo) {
		lo = icmp ? 0 : NAT_PORT_LOW;
		hi = 65535;
	}
	if (hi < lo)
		hi = lo;
	if (icmp || !src)
		port = &b->c.reply_sport;
	else
		port = &b->c.reply_dport;
	keep = *port;
	v = 0;
	if ((pkt->flags & CT_PKT_NO_PORTS) || !n ||
	    (bpf_ntohs(keep) >= lo && bpf_ntohs(keep) <= hi))
		v = nat_claim(key, gen, pkt->tuple.family);
	if (v < 0)
		return v;
	if (v > 0)
		return 0;
	/* A protocol without ports has one tuple to claim. Another SCTP port would
	 * need the CRC of the whole packet anew: not done here. */
	if ((pkt->flags & CT_PKT_NO_PORTS) || pkt->tuple.proto == IPPROTO_SCTP)
		return -CT_DROP_NAT_EXHAUSTED;
	n = hi - lo + 1;
	for (i = 0; i < NAT_TRIES; i++) {
		*port = bpf_htons(lo + bpf_get_prandom_u32() % n);
		v = nat_claim(key, gen, pkt->tuple.family);
		if (v < 0)
			return v;
		if (v > 0)
			return 0;
	}
	ct_stat(CT_STAT_SEARCH_RESTART);
	return -CT_DROP_NAT_EXHAUSTED;
}

#endif
