/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_SEQ_QUOTE_H
#define BPFCT_NAT_SEQ_QUOTE_H

#include "nat_icmp.h"
#include "nat_seq.h"

/* A word of the quoted TCP header, and what that changes in sums. */
static __always_inline int nat_seq_quoted(struct ct_ctx *ctx, const struct ct_pkt *pkt, __u32 at,
					  __u32 from, __u32 to, __s64 *diff)
{
	__be32 was = bpf_htonl(from), is = bpf_htonl(to);

	if (was == is)
		return 0;
	*diff += nat_diff4(was, is);
	return ctx_store(ctx, pkt->inner_l4_off + at, &is, sizeof(is)) ? -CT_DROP_PKT_ACCESS : 0;
}

/*
 * The segment that an ICMP error quotes was seen behind its edits. Its sender compares the
 * sequence number with what it has in flight (RFC 5927 4.1) and would ignore the error, so
 * that path MTU discovery fails: it gets its own number back, and, if quoted, what it
 * acknowledged as it knows that. 0 or a drop reason.
 */
__noinline int nat_seq_quote(struct ct_ctx *ctx, const struct ct_pkt *pkt,
			     const struct ct_result *res)
{
	__s64 diff = 0, cdiff = 0;
	const struct ct_alg *alg;
	__be32 word;
	__u32 n, to;
	int v;

	if (!pkt || !res)
		return -CT_DROP_MAP_MISSING;
	if (pkt->inner.proto != IPPROTO_TCP || pkt->inner_l4_len < 8)
		return 0;
	alg = ct_alg_of(res);
	if (!alg)
		return 0;
	/* The error goes the other way than what it quotes. */
	if (ctx_load(ctx, pkt->inner_l4_off + 4, &word, sizeof(word)))
		return -CT_DROP_PKT_ACCESS;
	n = bpf_ntohl(word);
	to = nat_seq_back(alg, !(res->dir & 1), n);
	v = nat_seq_quoted(ctx, pkt, 4, n, to, &diff);
	if (v >= 0 && pkt->inner_l4_len >= 12) {
		if (ctx_load(ctx, pkt->inner_l4_off + 8, &word, sizeof(word)))
			return -CT_DROP_PKT_ACCESS;
		n = bpf_ntohl(word);
		to = n + nat_seq_shift(alg, res->dir, n);
		v = nat_seq_quoted(ctx, pkt, 8, n, to, &diff);
	}
	if (v >= 0 && diff)
		v = nat_inner_csum(ctx, pkt, diff, &cdiff);
	if (v < 0)
		return v;
	diff = nat_fold(diff + cdiff);
	if (diff && ctx_csum_l4(ctx, pkt->l4_off + 2, diff, 0, 0))
		return -CT_DROP_CSUM_UPDATE;
	return 0;
}

#endif
