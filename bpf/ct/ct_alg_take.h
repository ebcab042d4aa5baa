/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_ALG_TAKE_H
#define BPFCT_CT_ALG_TAKE_H

#include "../nat/nat_seq_quote.h"
#include "ct_alg_gather.h"
#include "ct_half.h"
#include "ct_lookup.h"

/*
 * Payload of helped connections, at a TC hook: ingress, or egress for the host's own. After
 * tracking (and commit), before translation:
 *
 *   v = alg_take(skb, &w->pkt, &w->res)
 *       ALG_TAKEN  it is on its way to ctd, its fragments too if it was gathered from
 *                  such: end the packet as a held fragment
 *       0          goes on: no helper, or nothing for it; TCP sequence numbers are adjusted,
 *                  those that an ICMP error quotes too
 *       < 0        a drop reason
 *
 * What ctd sends back comes in at the interface where it was taken, and is known by its
 * mark. After parsing:
 *
 *   v = alg_again(skb, &w->pkt, &w->res)
 *       0          a packet as any
 *       > 0        a verdict of ct_lookup(): tracked and adjusted, only to be translated
 *       < 0        a drop reason
 *
 * It may come in fragments of ctd's making: hold what alg_is_ours() as any (frag_hold()), on a
 * side of its own, so that nobody else's are among them.
 */
#define ALG_TAKEN 1

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, ALG_RING_BYTES);
} ct_algring_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ALG_EXECS);
	__type(key, __u32);
	__type(value, struct alg_exec);
} ct_algexec_v1 SEC(".maps");

static __always_inline void alg_describe(struct ct_ctx *ctx, struct alg_packet *p,
					 const struct ct_pkt *pkt, const struct ct_result *res,
					 const struct ct_alg *alg, __u32 len)
{
	ct_label_key(&p->conn, &res->key, ct_w_gen(res->word), res->family);
	p->from = pkt->tuple;
	p->to = res->to;
	p->start[0] = alg->start[0];
	p->start[1] = alg->start[1];
	p->ifindex = ctx->ifindex;
	p->len = len;
	p->l3_off = pkt->l3_off;
	p->l4_off = pkt->l4_off;
	p->payload_len = pkt->payload_len;
	p->seq = pkt->tcp_seq;
	p->ack = pkt->tcp_ack;
	p->mark = ctx->mark;
	p->hash = ctx->hash;
	p->gso_size = ctx->gso_size;
	p->priority = ctx->priority;
	p->dir = res->dir;
	p->tcp_flags = pkt->tcp_flags;
	p->helper = alg->helper;
	p->flags = pkt->l3_off ? ALG_P_L2 : 0;
	if (!ctx->ingress_ifindex)
		p->flags |= ALG_P_OUT;
	if (pkt->flags & CT_PKT_GATHERED) {
		p->flags |= ALG_P_FRAGS;
		p->gso_size = pkt->frag_max;
	}
}

/* Frame and context into the ring. */
__noinline int alg_capture(struct ct_ctx *ctx, const struct ct_pkt *pkt,
			   const struct ct_result *res, const struct ct_alg *alg)
{
	struct alg_buf *buf = alg_buf();
	const struct ct_settings *set = ct_settings();
	__u64 len;
	int v;

	if (!pkt || !res || !alg || !buf || !set)
		return -CT_DROP_MAP_MISSING;
	if (!ct_ctd_alive(set))
		return -CT_DROP_ALG_WAIT;
	len = pkt->flags & CT_PKT_GATHERED ? pkt->l3_off + pkt->len : ctx->len;
	if (!len || len > ALG_DATA)
		return -CT_DROP_ALG_SHAPE;
	alg_describe(ctx, &buf->head, pkt, res, alg, len);
	len -= 1;
	asm volatile("" : "+r"(len));
	len &= ALG_DATA - 1;
	asm volatile("" : "+r"(len));
	len += 1;
	if (pkt->flags & CT_PKT_GATHERED)
		v = alg_gather(ctx, pkt);
	else
		v = bpf_skb_load_bytes(ctx, 0, buf->frame, len) ? -CT_DROP_PKT_ACCESS : 0;
	if (v < 0)
		return v;
	len += sizeof(buf->head);
	if (bpf_ringbuf_output(&ct_algring_v1, buf, len, 0))
		return -CT_DROP_ALG_RING;
	if (pkt->flags & CT_PKT_GATHERED) {
		frag_free_data(pkt->frag_slot);
		frag_free_slot(pkt->frag_slot);
	}
	return ALG_TAKEN;
}

/* Is this segment ctd's? What passes by it is adjusted. */
static __always_inline int alg_wants_tcp(const struct ct_pkt *pkt, const struct ct_alg *alg,
					 __u32 dir)
{
	if ((pkt->tcp_flags & CT_TH_RST) || alg->off == CT_ALG_NEVER)
		return 0;
	if (alg->hold & (1 << (dir & 1)))
		return 1;
	if (!pkt->payload_len)
		return 0;
	return !alg->off || ct_seq_before(pkt->tcp_seq, alg->until[dir & 1]);
}

__noinline int alg_take(struct ct_ctx *ctx, const struct ct_pkt *pkt, const struct ct_result *res)
{
	const struct ct_alg *alg;

	if (!pkt || !res)
		return -CT_DROP_MAP_MISSING;
	if (!(res->word & CT_W_STATUS(CT_S_HELPER)))
		return 0;
	if (res->related)
		return nat_seq_quote(ctx, pkt, res);
	alg = ct_alg_of(res);
	if (!alg)
		return pkt->payload_len ? -CT_DROP_ALG_LOST : 0;
	if (pkt->tuple.proto != IPPROTO_TCP)
		return alg->off || !pkt->payload_len ? 0 : alg_capture(ctx, pkt, res, alg);
	if ((pkt->tcp_flags & CT_TH_SYN) && pkt->payload_len)
		return -CT_DROP_ALG_SHAPE;
	if (alg_wants_tcp(pkt, alg, res->dir))
		return alg_capture(ctx, pkt, res, alg);
	return nat_seq_out(ctx, pkt, alg, res->dir);
}

/* From the first edit on the record says that numbers differ. */
__noinline int alg_note_adjusted(const struct ct_result *res)
{
	union ct_key key;

	if (!res || (res->word & CT_W_STATUS(CT_S_SEQ_ADJUST)))
		return 0;
	key = res->key;
	if (res->family == 4) {
		struct ct_conn4 *c = bpf_map_lookup_elem(&ct_conn4_v1, &key.k4);

		return c && ct_w_gen(ct_word(&c->c)) == ct_w_gen(res->word) &&
		       ct_set_status(&c->c, ct_word(&c->c), CT_S_SEQ_ADJUST);
	} else {
		struct ct_conn6 *c = bpf_map_lookup_elem(&ct_conn6_v1, &key.k6);

		return c && ct_w_gen(ct_word(&c->c)) == ct_w_gen(res->word) &&
		       ct_set_status(&c->c, ct_word(&c->c), CT_S_SEQ_ADJUST);
	}
}

/* On its way back from ctd, whole or a fragment? */
static __always_inline int alg_is_ours(struct ct_ctx *ctx)
{
	__u32 token = ctx->mark;
	const struct alg_exec *e;

	if (!token)
		return 0;
	e = bpf_map_lookup_elem(&ct_algexec_v1, &token);
	return e && e->ifindex == ctx->ifindex;
}

__noinline int alg_again(struct ct_ctx *ctx, struct ct_pkt *pkt, struct ct_result *res)
{
	__u32 token = ctx->mark, gen, adjusted, dir;
	struct alg_exec *e;

	if (!pkt || !res || !token)
		return 0;
	e = bpf_map_lookup_elem(&ct_algexec_v1, &token);
	if (!e || e->ifindex != ctx->ifindex)
		return 0;
	gen = e->conn.gen;
	adjusted = e->adjusted;
	dir = e->dir;
	ctx->mark = e->mark;
	ctx->priority = e->priority;
	bpf_set_hash(ctx, e->hash);
	bpf_map_delete_elem(&ct_algexec_v1, &token);
	ct_peek(ctx, pkt, res);
	if (!res->word || ct_w_gen(res->word) != gen || res->dir != dir)
		return -CT_DROP_ALG_LOST;
	if (adjusted)
		alg_note_adjusted(res);
	res->verdict = dir == CT_REPLY ? CT_REPLIED : CT_ESTABLISHED;
	return res->verdict;
}

/* The execute device's only program: whatever else appears there goes no further. */
static __always_inline int alg_execute(struct ct_ctx *ctx)
{
	struct alg_exec *e;
	__u32 token;

	if (bpf_skb_load_bytes(ctx, 0, &token, sizeof(token)))
		return -CT_DROP_PKT_ACCESS;
	e = token ? bpf_map_lookup_elem(&ct_algexec_v1, &token) : NULL;
	if (!e)
		return -CT_DROP_ALG_STRAY;
	if (bpf_skb_store_bytes(ctx, 0, e->mac, sizeof(e->mac), 0))
		return -CT_DROP_PKT_ACCESS;
	ctx->mark = token;
	return bpf_redirect(e->ifindex, e->out ? 0 : BPF_F_INGRESS);
}

#endif
