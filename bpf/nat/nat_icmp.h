/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_ICMP_H
#define BPFCT_NAT_ICMP_H

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "../ct/ct_result.h"
#include "../lib/ct_parse.h"

/* Differences for ones' complement sums: new + ~old, to be folded by the user. */
static __always_inline __s64 nat_diff4(__be32 from, __be32 to)
{
	return (__s64)(__u32)~from + to;
}

static __always_inline __s64 nat_diff2(__be16 from, __be16 to)
{
	return (__s64)(__u16)~from + to;
}

/* To the 32 bits that the checksum helpers take. */
static __always_inline __s64 nat_fold(__s64 diff)
{
	__u64 d = diff;

	d = (d & 0xffffffff) + (d >> 32);
	d = (d & 0xffffffff) + (d >> 32);
	return d;
}

static __always_inline __u16 nat_csum_apply(__u16 field, __s64 diff)
{
	__u64 sum = (__u16)~field + (__u64)nat_fold(diff);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(__u16)sum;
}

/* Replaces a 16-bit field of the quoted packet and adds the change to *diff. */
static __always_inline int nat_inner_set2(struct ct_ctx *ctx, __u32 off, __be16 to, __s64 *diff)
{
	__be16 from;

	if (ctx_load(ctx, off, &from, sizeof(from)))
		return -CT_DROP_PKT_ACCESS;
	if (from == to)
		return 0;
	*diff += nat_diff2(from, to);
	return ctx_store(ctx, off, &to, sizeof(to)) ? -CT_DROP_PKT_ACCESS : 0;
}

/* The quoted transport checksum goes along when it is quoted at all, so that
 * the inside sees its own packet (RFC 5508 REQ-4); it is never judged. */
static __always_inline int nat_inner_csum(struct ct_ctx *ctx, const struct ct_pkt *pkt,
					  __s64 change, __s64 *diff)
{
	__u32 at = 0, off;
	__u16 field;

	if (pkt->inner.proto == IPPROTO_TCP)
		at = 16;
	else if (pkt->inner.proto == IPPROTO_UDP || pkt->inner.proto == IPPROTO_UDPLITE)
		at = 6;
	else if (ct_is_icmp(&pkt->inner))
		at = 2;
	if (!at || pkt->inner_l4_len < at + 2)
		return 0;
	off = pkt->inner_l4_off + at;
	if (ctx_load(ctx, off, &field, sizeof(field)))
		return -CT_DROP_PKT_ACCESS;
	if (!field && pkt->inner.proto == IPPROTO_UDP)
		return 0;
	return nat_inner_set2(ctx, off, nat_csum_apply(field, change), diff);
}

/* One address of the quoted packet. */
static __always_inline int nat_inner_addr(struct ct_ctx *ctx, const struct ct_pkt *pkt,
					  const __be32 *from, const __be32 *to, int dst,
					  __s64 *adiff)
{
	__u32 off = pkt->inner_l3_off;
	int i;

	if (pkt->tuple.family == 4) {
		*adiff += nat_diff4(from[0], to[0]);
		return ctx_store(ctx, off + (dst ? 16 : 12), to, 4) ? -CT_DROP_PKT_ACCESS : 0;
	}
	for (i = 0; i < 4; i++)
		*adiff += nat_diff4(from[i], to[i]);
	return ctx_store(ctx, off + (dst ? 24 : 8), to, 16) ? -CT_DROP_PKT_ACCESS : 0;
}

/*
 * The packet quoted in an ICMP error ran the other way: where the error's
 * destination changes its source changes, and the reverse. outer is the change
 * of the outer addresses, part of ICMPv6's pseudo header.
 */
static __always_inline int nat_apply_error(struct ct_ctx *ctx, const struct ct_pkt *pkt,
					   const struct ct_result *res, __u32 todo, __s64 outer)
{
	__s64 adiff = 0, pdiff = 0, cdiff = 0, hdiff = 0, sum;
	int v = 0, icmp = ct_is_icmp(&pkt->inner), ports;
	__u16 check;

	ports = icmp || pkt->inner.proto == IPPROTO_TCP || pkt->inner.proto == IPPROTO_UDP ||
		pkt->inner.proto == IPPROTO_UDPLITE || pkt->inner.proto == IPPROTO_SCTP;
	if (todo & CT_XLATE_DST)
		v = nat_inner_addr(ctx, pkt, pkt->inner.saddr, res->to.daddr, 0, &adiff);
	if (v >= 0 && (todo & CT_XLATE_SRC))
		v = nat_inner_addr(ctx, pkt, pkt->inner.daddr, res->to.saddr, 1, &adiff);
	if (v < 0)
		return v;
	if (ports) {
		__u32 off = pkt->inner_l4_off;

		if (icmp)
			v = nat_inner_set2(ctx, off + 4, res->to.sport, &pdiff);
		else if (todo & CT_XLATE_DST)
			v = nat_inner_set2(ctx, off, res->to.dport, &pdiff);
		if (v >= 0 && !icmp && (todo & CT_XLATE_SRC))
			v = nat_inner_set2(ctx, off + 2, res->to.sport, &pdiff);
		if (v >= 0)
			v = nat_inner_csum(ctx, pkt,
					   (icmp && pkt->tuple.family == 4 ? 0 : adiff) + pdiff,
					   &cdiff);
		if (v < 0)
			return v;
	}
	if (pkt->inner.proto == IPPROTO_GRE && (pkt->inner.sport || pkt->inner.dport) &&
	    (todo & CT_XLATE_SRC)) {
		v = nat_inner_set2(ctx, pkt->inner_l4_off + CT_GRE_ID, res->to.sport, &pdiff);
		if (v < 0)
			return v;
	}
	if (pkt->tuple.family == 4) {
		__u32 off = pkt->inner_l3_off + 10;

		if (ctx_load(ctx, off, &check, sizeof(check)))
			return -CT_DROP_PKT_ACCESS;
		v = nat_inner_set2(ctx, off, nat_csum_apply(check, adiff), &hdiff);
		if (v < 0)
			return v;
	}
	sum = adiff + pdiff + cdiff + hdiff;
	if (sum && ctx_csum_l4(ctx, pkt->l4_off + 2, nat_fold(sum), 0, 0))
		return -CT_DROP_CSUM_UPDATE;
	if (pkt->tuple.family == 6 && outer) {
		if (ctx_csum_l4(ctx, pkt->l4_off + 2, nat_fold(outer), 1, 0))
			return -CT_DROP_CSUM_UPDATE;
		ctx_csum_whole(ctx, nat_fold(outer));
	}
	return 0;
}

#endif
