/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_PARSE_INNER_H
#define BPFCT_LIB_CT_PARSE_INNER_H

#include "ct_parse.h"

/* The IPv4 header checksum of a quoted packet is verified (RFC 5508 REQ-3b),
 * options are skipped, the quoted transport checksum is never looked at. */
static __always_inline int ct_inner_ip4_csum_ok(struct ct_ctx *ctx, __u32 off, __u32 hlen)
{
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < 30; i++) {
		__u16 *w;

		if (i * 2 >= hlen)
			break;
		w = ct_at(ctx, off + i * 2, 2);
		if (!w)
			return 0;
		sum += *w;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static __always_inline int ct_inner_ip4(struct ct_ctx *ctx, struct ct_pkt *pkt, __u32 off,
					__u32 left)
{
	struct iphdr *ip = ct_at(ctx, off, sizeof(*ip));
	__u32 hlen;

	if (!ip || left < sizeof(*ip) || ip->version != 4)
		return -CT_DROP_ICMP_INNER;
	hlen = ip->ihl * 4;
	if (hlen < sizeof(*ip) || left < hlen || (ip->frag_off & bpf_htons(0x1fff)))
		return -CT_DROP_ICMP_INNER;
	pkt->inner.saddr[0] = ip->saddr;
	pkt->inner.daddr[0] = ip->daddr;
	pkt->inner.proto = ip->protocol;
	pkt->inner_l4_off = off + hlen;
	pkt->inner_l4_len = left - hlen;
	if (!ct_inner_ip4_csum_ok(ctx, off, hlen))
		return -CT_DROP_ICMP_INNER_CSUM;
	return 0;
}

static __always_inline int ct_inner_ip6(struct ct_ctx *ctx, struct ct_pkt *pkt, __u32 off,
					__u32 left)
{
	struct ipv6hdr *ip = ct_at(ctx, off, sizeof(*ip));
	__u32 start = off;
	__u8 next, flags = 0;

	if (!ip || left < sizeof(*ip) || ip->version != 6)
		return -CT_DROP_ICMP_INNER;
	__builtin_memcpy(pkt->inner.saddr, &ip->saddr, 16);
	__builtin_memcpy(pkt->inner.daddr, &ip->daddr, 16);
	next = ip->nexthdr;
	off += sizeof(*ip);
	if (ct_parse_ext(ctx, &off, &next, &flags) < 0 || (flags & CT_PKT_LATER_FRAG))
		return -CT_DROP_ICMP_INNER;
	if (off - start > left)
		return -CT_DROP_ICMP_INNER;
	pkt->inner.proto = next;
	pkt->inner_l4_off = off;
	pkt->inner_l4_len = left - (off - start);
	return 0;
}

/* The eight bytes that are always quoted end with the call id. */
static __always_inline void ct_inner_gre(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	const __u8 *g =
		pkt->inner_l4_len < CT_GRE_HDR ? NULL : ct_at(ctx, pkt->inner_l4_off, CT_GRE_HDR);

	if (!g || !ct_gre_enhanced(g))
		return;
	pkt->inner.dport = *(const __be16 *)(g + CT_GRE_ID);
	ct_gre_call(&pkt->inner); /* none: by address */
}

/* Fills pkt->inner and inner_* from the packet that an ICMP error quotes. Eight
 * bytes of its transport header must be there (RFC 792). 0 or drop reason. */
static __always_inline int ct_parse_inner(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	__u32 off = pkt->l4_off + 8;
	__u8 *l4, request, reply;
	int v;

	if (pkt->l4_len < 8 + sizeof(struct iphdr))
		return -CT_DROP_ICMP_INNER;
	pkt->inner.zone = pkt->tuple.zone;
	pkt->inner.family = pkt->tuple.family;
	pkt->inner_l3_off = off;
	if (pkt->tuple.family == 4)
		v = ct_inner_ip4(ctx, pkt, off, pkt->l4_len - 8);
	else
		v = ct_inner_ip6(ctx, pkt, off, pkt->l4_len - 8);
	if (v < 0)
		return v;
	switch (pkt->inner.proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		break;
	case IPPROTO_GRE:
		ct_inner_gre(ctx, pkt);
		return 0;
	default:
		return 0; /* by address alone */
	}
	l4 = ct_at(ctx, pkt->inner_l4_off, 8);
	if (!l4 || pkt->inner_l4_len < 8)
		return -CT_DROP_ICMP_INNER;
	switch (pkt->inner.proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
		pkt->inner.sport = *(__be16 *)l4;
		pkt->inner.dport = *(__be16 *)(l4 + 2);
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if ((pkt->inner.proto == IPPROTO_ICMP) != (pkt->tuple.family == 4))
			return 0;
		request = ct_icmp_request(pkt->tuple.family, l4[0], &reply);
		if (request == 0xff)
			return -CT_DROP_ICMP_INNER;
		pkt->inner_icmp_reply = reply;
		pkt->inner.sport = *(__be16 *)(l4 + 4);
		pkt->inner.dport = bpf_htons(request << 8 | l4[1]);
		return 0;
	}
	return 0;
}

#endif
