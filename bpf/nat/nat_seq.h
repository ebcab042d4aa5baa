/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_SEQ_H
#define BPFCT_NAT_SEQ_H

#include <linux/in.h>

#include "../ct/ct_alg.h"
#include "../ct/ct_tcp_window.h"
#include "../lib/ct_parse.h"

/*
 * Sequence numbers of a connection whose payload was edited to another length. Each
 * side has its own numbers; the record and the tracker know only these. So what a
 * packet acknowledges is brought into its receiver's numbers before it is tracked
 * (nat_seq_ack), and its own sequence number into what its receiver has seen afterwards
 * (nat_seq_out). Payload goes by ctd, so nat_seq_out() meets bare acknowledgements,
 * FIN, RST, and the payload of connections whose helper has left.
 */

/* What the listener sees higher at the speaker's number seq. */
static __always_inline __u32 nat_seq_shift(const struct ct_alg *alg, __u32 dir, __u32 seq)
{
	__u32 i, n = alg->fixes[dir & 1], shift;

	shift = n ? alg->fix[dir & 1][0].before : 0;
	for (i = 0; i < CT_ALG_FIXES; i++)
		if (i < n && !ct_seq_before(seq, alg->fix[dir & 1][i].pos))
			shift = alg->fix[dir & 1][i].after;
	return shift;
}

/* The speaker's number for what the listener says it has. In the midst of an edited
 * piece: less than all of that, so that the speaker sends it again. */
static __always_inline __u32 nat_seq_back(const struct ct_alg *alg, __u32 dir, __u32 ack)
{
	__u32 i, n = alg->fixes[dir & 1], back, pos;

	back = n ? ack - alg->fix[dir & 1][0].before : ack;
	for (i = 0; i < CT_ALG_FIXES; i++) {
		if (i >= n)
			break;
		pos = alg->fix[dir & 1][i].pos;
		if (!ct_seq_before(ack, pos + alg->fix[dir & 1][i].after))
			back = ack - alg->fix[dir & 1][i].after;
		else if (!ct_seq_before(back, pos))
			back = pos - 1;
	}
	return back;
}

/* Four bytes of the TCP header, and its checksum. */
static __always_inline int nat_seq_write(struct ct_ctx *ctx, const struct ct_pkt *pkt, __u32 at,
					 __u32 from, __u32 to)
{
	__be32 was = bpf_htonl(from), is = bpf_htonl(to);
	__s64 diff = bpf_csum_diff(&was, sizeof(was), &is, sizeof(is), 0);

	if (ctx_store(ctx, pkt->l4_off + at, &is, sizeof(is)))
		return -CT_DROP_PKT_ACCESS;
	return ctx_csum_l4(ctx, pkt->l4_off + 16, diff, 0, 0) ? -CT_DROP_CSUM_UPDATE : 0;
}

/* The options before and after: edges of SACK blocks. */
struct nat_seq_opts {
	__u8 was[64];
	__u8 is[64];
	__u32 at;
	__u32 len;
	struct ct_alg alg;
	__u32 dir;
};
CT_SCRATCH_FITS(struct nat_seq_opts);

static __always_inline __u32 nat_seq_get(const __u8 *at)
{
	return ((__u32)at[0] << 24) | ((__u32)at[1] << 16) | ((__u32)at[2] << 8) | at[3];
}

static __always_inline void nat_seq_put(__u8 *at, __u32 v)
{
	at[0] = v >> 24;
	at[1] = v >> 16;
	at[2] = v >> 8;
	at[3] = v;
}

/* One SACK block. What it has of an edited piece, but not all, the listener does not have: a
 * left edge in there goes up, a right one down, and nothing may be left between them. */
static __always_inline void nat_seq_block(struct nat_seq_opts *o, __u32 at)
{
	__u32 edge, left, right;

	if (at > 32)
		return;
	edge = nat_seq_get(o->is + at);
	left = nat_seq_back(&o->alg, o->dir, edge);
	if (left + nat_seq_shift(&o->alg, o->dir, left) != edge)
		left++;
	right = nat_seq_back(&o->alg, o->dir, nat_seq_get(o->is + at + 4));
	if (ct_seq_before(right, left))
		right = left;
	nat_seq_put(o->is + at, left);
	nat_seq_put(o->is + at + 4, right);
}

/* bpf_loop callback: one option. */
static long nat_seq_option(__u32 i, void *unused)
{
	__u32 at, size, j;
	struct nat_seq_opts *o = ct_scratch(CT_SCRATCH_SEQ);

	if (!o)
		return 1;
	at = o->at;
	if (at >= o->len || at > 39 || !o->was[at])
		return 1;
	if (o->was[at] == 1) {
		o->at = at + 1;
		return 0;
	}
	size = o->was[at + 1];
	if (size < 2 || at + size > o->len)
		return 1;
	/* Of another length nobody reads it. */
	if (o->was[at] == 5 && (size & 7) == 2)
		for (j = 0; j < 4; j++)
			if (j * 8 + 10 <= size)
				nat_seq_block(o, at + 2 + j * 8);
	o->at = at + size;
	return 0;
}

/* A global function: what is edited here has no bound that the caller needs. */
__noinline int nat_seq_sack(struct ct_ctx *ctx, const struct ct_pkt *pkt, const struct ct_alg *alg,
			    __u32 dir)
{
	struct nat_seq_opts *o;
	__u64 len;
	__s64 diff;

	o = ct_scratch(CT_SCRATCH_SEQ);
	if (!pkt || !alg || !o)
		return -CT_DROP_MAP_MISSING;
	len = pkt->tcp_optlen;
	if (len < 10 || len > 40)
		return 0;
	__builtin_memset(o, 0, sizeof(*o));
	o->alg = *alg;
	o->dir = dir;
	o->len = len;
	len = ctx_bound64(len);
	if (ctx_load(ctx, pkt->l4_off + 20, o->was, len))
		return -CT_DROP_PKT_ACCESS;
	__builtin_memcpy(o->is, o->was, sizeof(o->is));
	bpf_loop(40, nat_seq_option, NULL, 0);
	diff = bpf_csum_diff((__be32 *)o->was, 40, (__be32 *)o->is, 40, 0);
	if (!diff)
		return 0;
	if (ctx_store(ctx, pkt->l4_off + 20, o->is, len))
		return -CT_DROP_PKT_ACCESS;
	return ctx_csum_l4(ctx, pkt->l4_off + 16, diff, 0, 0) ? -CT_DROP_CSUM_UPDATE : 0;
}

/* Acknowledgement and SACK blocks of a packet of a helped connection into the numbers of
 * who sent what they are about. 0 or a reason. Notes where a direction begins. */
__noinline int nat_seq_ack(struct ct_ctx *ctx, struct ct_pkt *pkt, const struct ct_result *res)
{
	struct ct_alg *alg;
	__u32 back, peer;
	int v;

	if (!pkt || !res)
		return -CT_DROP_MAP_MISSING;
	if (pkt->tuple.proto != IPPROTO_TCP)
		return 0;
	alg = ct_alg_of(res);
	if (!alg)
		return 0;
	if (pkt->tcp_flags & CT_TH_SYN)
		alg->start[res->dir & 1] = pkt->tcp_seq + 1;
	peer = !(res->dir & 1);
	if (!(pkt->tcp_flags & CT_TH_ACK) || !alg->fixes[peer])
		return 0;
	back = nat_seq_back(alg, peer, pkt->tcp_ack);
	if (back != pkt->tcp_ack) {
		v = nat_seq_write(ctx, pkt, 8, pkt->tcp_ack, back);
		if (v < 0)
			return v;
		pkt->tcp_ack = back;
	}
	return nat_seq_sack(ctx, pkt, alg, peer);
}

/* The sequence number of a packet that does not go by ctd, into what its receiver has
 * seen. 0 or a reason. */
static __always_inline int nat_seq_out(struct ct_ctx *ctx, const struct ct_pkt *pkt,
				       const struct ct_alg *alg, __u32 dir)
{
	__u32 shift = nat_seq_shift(alg, dir, pkt->tcp_seq);

	return shift ? nat_seq_write(ctx, pkt, 4, pkt->tcp_seq, pkt->tcp_seq + shift) : 0;
}

#endif
