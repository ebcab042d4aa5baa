/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_APPLY_H
#define BPFCT_NAT_APPLY_H

#include "nat_crc.h"
#include "nat_icmp.h"

/* Offset of the transport checksum from l4_off, or 0 when there is none to keep. */
static __always_inline __u32 nat_csum_off(const struct ct_tuple *t)
{
	switch (t->proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return ct_is_icmp(t) ? 2 : 0;
	}
	return 0;
}

/* One port field (ICMP: the id) in place. */
static __always_inline int nat_write_port(struct ct_ctx *ctx, __u32 off, __be16 to)
{
	__be16 *p = ct_at(ctx, off, sizeof(*p));

	if (!p)
		return -CT_DROP_PKT_ACCESS;
	*p = to;
	return 0;
}

/* IPv4 addresses and the header checksum (RFC 1624), in place. *diff gets the
 * ones' complement difference for the transport's pseudo header. */
static __always_inline int nat_write_ip4(struct ct_ctx *ctx, const struct ct_pkt *pkt,
					 const struct ct_result *res, __u32 todo, __s64 *diff)
{
	struct iphdr *ip = ct_at(ctx, pkt->l3_off, sizeof(*ip));
	__be32 from[2], to[2];

	if (!ip)
		return -CT_DROP_PKT_ACCESS;
	from[0] = ip->saddr;
	from[1] = ip->daddr;
	to[0] = todo & CT_XLATE_SRC ? res->to.saddr[0] : from[0];
	to[1] = todo & CT_XLATE_DST ? res->to.daddr[0] : from[1];
	ip->saddr = to[0];
	ip->daddr = to[1];
	*diff = nat_diff4(from[0], to[0]) + nat_diff4(from[1], to[1]);
	ip->check = nat_csum_apply(ip->check, *diff);
	return 0;
}

static __always_inline int nat_write_ip6(struct ct_ctx *ctx, const struct ct_pkt *pkt,
					 const struct ct_result *res, __u32 todo, __s64 *diff)
{
	struct ipv6hdr *ip = ct_at(ctx, pkt->l3_off, sizeof(*ip));
	__be32 *a, n;
	__s64 d = 0;
	int i;

	if (!ip)
		return -CT_DROP_PKT_ACCESS;
	a = (__be32 *)&ip->saddr;
	for (i = 0; i < 8; i++) {
		n = i < 4 ? res->to.saddr[i] : res->to.daddr[i - 4];
		if (!(todo & (i < 4 ? CT_XLATE_SRC : CT_XLATE_DST)))
			continue;
		d += nat_diff4(a[i], n);
		a[i] = n;
	}
	*diff = d;
	return 0;
}

/* A checksum of zero is what a sender shows that leaves the sum to its device. */
static __always_inline int nat_sctp_csum(struct ct_ctx *ctx, const struct ct_pkt *pkt,
					 const struct ct_result *res, __u32 todo, __s64 *pdiff)
{
	__be32 *check = ct_at(ctx, pkt->l4_off + 8, sizeof(*check)), old;
	__u32 diff;
	__be16 was[2], is[2];

	if (!check)
		return -CT_DROP_PKT_ACCESS;
	old = *check;
	if (!old)
		return 0;
	was[0] = is[0] = pkt->tuple.sport;
	was[1] = is[1] = pkt->tuple.dport;
	if (todo & CT_XLATE_SRC)
		is[0] = res->to.sport;
	if (todo & CT_XLATE_DST)
		is[1] = res->to.dport;
	/* The word of both ports as it lies in the packet. */
	diff = ((__u32)is[0] | (__u32)is[1] << 16) ^ ((__u32)was[0] | (__u32)was[1] << 16);
	if (!diff)
		return 0;
	diff = old ^ nat_crc_diff(diff, pkt->l4_len);
	check = ct_at(ctx, pkt->l4_off + 8, sizeof(*check));
	if (!check)
		return -CT_DROP_PKT_ACCESS;
	*check = diff;
	*pdiff += nat_diff4(old, diff);
	return 0;
}

/* The transport's checksum after addresses changed by diff, ports or id by pdiff. */
static __always_inline int nat_write_csum(struct ct_ctx *ctx, const struct ct_pkt *pkt, __s64 diff,
					  __s64 pdiff)
{
	int udp = pkt->tuple.proto == IPPROTO_UDP || pkt->tuple.proto == IPPROTO_UDPLITE;
	int six = pkt->tuple.family == 6, icmp = ct_is_icmp(&pkt->tuple);
	__u32 at = nat_csum_off(&pkt->tuple), off = pkt->l4_off + at;
	__be16 *field = at ? ct_at(ctx, off, sizeof(*field)) : NULL;

	if (!at || (field && udp && !*field)) {
		ctx_csum_whole(ctx, nat_fold((six ? diff : 0) + pdiff));
		return 0;
	}
	/* ICMP over IPv4 has no pseudo header. */
	if (icmp && !six)
		diff = 0;
	if (field && ctx_csum_plain(ctx)) {
		*field = nat_csum_apply(*field, diff + pdiff);
		if (udp && !*field)
			*field = 0xffff;
		return 0;
	}
	if (diff && ctx_csum_l4(ctx, off, nat_fold(diff), 1, udp))
		return -CT_DROP_CSUM_UPDATE;
	if (pdiff && ctx_csum_l4(ctx, off, nat_fold(pdiff), 0, udp))
		return -CT_DROP_CSUM_UPDATE;
	if (diff && six)
		ctx_csum_whole(ctx, nat_fold(diff));
	return 0;
}

/* nat_apply(), for who can do without the call: a return from one costs a
 * misprediction where returns go through a thunk. */
static __always_inline int nat_apply_here(struct ct_ctx *ctx, struct ct_pkt *pkt,
					  const struct ct_result *res, __u32 which)
{
	__s64 diff = 0, pdiff = 0;
	__u32 todo, off;
	int v, icmp;

	todo = res->translate & which;
	if (!todo)
		return 0;
	if (pkt->tuple.family == 4)
		v = nat_write_ip4(ctx, pkt, res, todo, &diff);
	else
		v = nat_write_ip6(ctx, pkt, res, todo, &diff);
	if (v < 0)
		return v;
	icmp = ct_is_icmp(&pkt->tuple);
	if (icmp && (pkt->flags & CT_PKT_ICMP_ERROR))
		return nat_apply_error(ctx, pkt, res, todo, diff);
	off = pkt->l4_off;
	if (icmp) {
		/* Both sides of a query carry the id; one translation changes it. */
		if (res->to.sport != pkt->tuple.sport) {
			pdiff = nat_diff2(pkt->tuple.sport, res->to.sport);
			v = nat_write_port(ctx, off + 4, res->to.sport);
		}
	} else if (!(pkt->flags & CT_PKT_NO_PORTS)) {
		if ((todo & CT_XLATE_SRC) && res->to.sport != pkt->tuple.sport) {
			pdiff += nat_diff2(pkt->tuple.sport, res->to.sport);
			v = nat_write_port(ctx, off, res->to.sport);
		}
		if (v >= 0 && (todo & CT_XLATE_DST) && res->to.dport != pkt->tuple.dport) {
			pdiff += nat_diff2(pkt->tuple.dport, res->to.dport);
			v = nat_write_port(ctx, off + 2, res->to.dport);
		}
	} else if (ct_pkt_call(pkt) && (todo & CT_XLATE_DST) && res->to.dport != pkt->tuple.dport) {
		/* The id that the receiver answers to. */
		pdiff = nat_diff2(pkt->tuple.dport, res->to.dport);
		v = nat_write_port(ctx, off + CT_GRE_ID, res->to.dport);
	}
	if (v < 0)
		return v;
	if (pkt->tuple.proto == IPPROTO_SCTP)
		v = nat_sctp_csum(ctx, pkt, res, todo, &pdiff);
	if (v < 0)
		return v;
	return nat_write_csum(ctx, pkt, diff, pdiff);
}

/*
 * Writes what res->translate asks for and `which` allows (CT_XLATE_SRC and
 * CT_XLATE_DST; source translation of packets that go up the stack waits for
 * egress). IP header, transport ports or ICMP id, checksums, and the packet
 * quoted in an ICMP error. 0 or a drop reason. Invalidates data pointers.
 */
__noinline int nat_apply(struct ct_ctx *ctx, struct ct_pkt *pkt, const struct ct_result *res,
			 __u32 which)
{
	if (!pkt || !res)
		return -CT_DROP_MAP_MISSING;
	return nat_apply_here(ctx, pkt, res, which);
}

#endif
