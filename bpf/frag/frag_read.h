/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_READ_H
#define BPFCT_FRAG_READ_H

#include "../lib/ct_parse.h"
#include "frag_pool.h"

/* A fragment's place in its datagram, and what is wrong with it alone. */

/* Header bytes that a chunk may begin with: 40 + 208 of extension headers. */
#define FRAG_HLEN_MAX 248

static __always_inline int frag_read4(struct ct_ctx *ctx, const struct ct_pkt *pkt,
				      struct frag_work *w)
{
	struct iphdr *ip = ct_at(ctx, pkt->l3_off, sizeof(*ip));
	__u16 frag;

	if (!ip)
		return -CT_DROP_PKT_ACCESS;
	frag = bpf_ntohs(ip->frag_off);
	w->key.id = ip->id;
	w->key.proto = ip->protocol;
	w->off = (frag & 0x1fff) << 3;
	w->more = !!(frag & 0x2000);
	w->hlen = ip->ihl * 4;
	w->ttl = ip->ttl;
	return 0;
}

static __always_inline int frag_read6(struct ct_ctx *ctx, const struct ct_pkt *pkt,
				      struct frag_work *w)
{
	struct ipv6hdr *ip = ct_at(ctx, pkt->l3_off, sizeof(*ip));
	__u32 at = pkt->l3_off + sizeof(*ip);
	__u8 next, *h;
	__u16 frag;
	int i;

	if (!ip)
		return -CT_DROP_PKT_ACCESS;
	next = ip->nexthdr;
	w->ttl = ip->hop_limit;
	for (i = 0; i <= CT_PARSE_EXT_MAX; i++) {
		h = ct_at(ctx, at, 8);
		if (!h)
			return -CT_DROP_IP6_EXT_CHAIN;
		if (next == IPPROTO_FRAGMENT)
			break;
		at += next == IPPROTO_AH ? (h[1] + 2) << 2 : (h[1] + 1) << 3;
		next = h[0];
	}
	if (i > CT_PARSE_EXT_MAX)
		return -CT_DROP_IP6_EXT_CHAIN;
	frag = h[2] << 8 | h[3];
	w->key.id = *(__be32 *)(h + 4);
	w->off = frag & 0xfff8;
	w->more = frag & 1;
	w->hlen = at + 8 - pkt->l3_off;
	return 0;
}

/* Lengths: RFC 791 3.2, RFC 8200 4.5; tiny ones RFC 1858, RFC 3128. */
static __always_inline int frag_sane(const struct ct_pkt *pkt, const struct frag_work *w)
{
	const struct frag_table *t = frag_table();
	__u32 min;

	if (!t)
		return -CT_DROP_MAP_MISSING;
	if (w->hlen > FRAG_HLEN_MAX)
		return -CT_DROP_IP6_EXT_CHAIN;
	if (pkt->len <= w->hlen || (w->more && ((pkt->len - w->hlen) & 7)))
		return -CT_DROP_FRAG_LENGTH;
	/* The whole datagram has a length field too: an IPv4 header counts there, of
	 * IPv6 what stands between the fixed and the fragment header. */
	if (w->off + pkt->len - (pkt->tuple.family == 4 ? 0 : 48) > FRAG_BYTES_MAX ||
	    pkt->len > FRAG_PIECE_MAX)
		return -CT_DROP_FRAG_OVERFLOW;
	if (pkt->tuple.family == 4 && pkt->tuple.proto == IPPROTO_TCP && w->off == 8)
		return -CT_DROP_FRAG_TINY;
	min = pkt->tuple.family == 4 ? t->min_size[0] : t->min_size[1];
	if (w->more && pkt->len < min)
		return -CT_DROP_FRAG_SMALL;
	return 0;
}

/* Fills frag_work from the packet. 0 or a drop reason, counted in frag_stat_v1. */
__noinline int frag_read(struct ct_ctx *ctx, const struct ct_pkt *pkt, __u32 side)
{
	const struct ct_settings *set = ct_settings();
	struct frag_work *w = frag_work();
	int v;

	if (!pkt || !w || !set)
		return -CT_DROP_MAP_MISSING;
	__builtin_memset(w, 0, sizeof(*w));
	__builtin_memcpy(w->key.saddr, pkt->tuple.saddr, sizeof(w->key.saddr));
	__builtin_memcpy(w->key.daddr, pkt->tuple.daddr, sizeof(w->key.daddr));
	w->key.zone = pkt->tuple.zone;
	w->key.family = pkt->tuple.family;
	w->key.side = side;
	w->now = ct_now(set);
	v = pkt->tuple.family == 4 ? frag_read4(ctx, pkt, w) : frag_read6(ctx, pkt, w);
	if (v < 0)
		return v;
	w->source = frag_source_of(set, &w->key);
	v = frag_sane(pkt, w);
	if (v == -CT_DROP_FRAG_SMALL || v == -CT_DROP_FRAG_TINY)
		frag_stat(w->key.family, FRAG_STAT_TOO_SMALL, 1);
	else if (v < 0)
		frag_stat(w->key.family, FRAG_STAT_MALFORMED, 1);
	else
		w->len = pkt->len - w->hlen;
	return v;
}

#endif
