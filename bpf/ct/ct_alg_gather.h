/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_ALG_GATHER_H
#define BPFCT_CT_ALG_GATHER_H

#include "../frag/frag_pool.h"
#include "../lib/ct_parse.h"

/* A helped datagram that came in fragments, put together for ctd, which reads whole ones
 * only. The head of it is the packet in hand (frag/frag_whole.h). */

/* Per-CPU maps end at 32 KiB: an array with a slot a CPU. */
CT_MAP(ct_algbuf_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct alg_buf);

static __always_inline struct alg_buf *alg_buf(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&ct_algbuf_v1, &cpu);
}

struct alg_gather {
	__u32 slot;
	__u32 want; /* offset of the next piece */
	__u32 piece;
	__u32 chunk;
	__u32 at;   /* in the chunk */
	__u32 left; /* of the piece */
	__u32 to;   /* in the frame */
	__u32 done;
};

/* Steps of the longest datagram: 64 bytes each, and what is left of every chunk by 8 and 1. */
#define ALG_GATHER_STEPS                                                                           \
	(FRAG_BYTES_MAX / 64 + FRAG_PIECES + FRAG_PIECES * FRAG_PIECE_CHUNKS * 2 * (7 + 7))

/* Copies 64, 8 or 1 bytes of a chunk into the frame; returns how many, 0: nothing fits. */
static __always_inline __u32 alg_gather_copy(struct alg_buf *buf, const struct frag_chunk *c,
					     __u64 at, __u64 to, __u32 size)
{
	__u32 i;

	asm volatile("" : "+r"(at));
	asm volatile("" : "+r"(to));
	if (size >= 64 && at <= FRAG_CHUNK - 64 && to <= ALG_DATA - 64) {
#pragma unroll
		for (i = 0; i < 64; i += 8)
			*(__u64 *)(buf->frame + to + i) = *(const __u64 *)(c->data + at + i);
		return 64;
	}
	if (size >= 8 && at <= FRAG_CHUNK - 8 && to <= ALG_DATA - 8) {
		*(__u64 *)(buf->frame + to) = *(const __u64 *)(c->data + at);
		return 8;
	}
	if (!size || at >= FRAG_CHUNK || to >= ALG_DATA)
		return 0;
	buf->frame[to] = c->data[at];
	return 1;
}

/* bpf_loop callback: finds the next piece, or copies of it. */
static long alg_gather_step(__u32 n, struct alg_gather *g)
{
	struct frag_slot *h = frag_slot(g->slot);
	struct alg_buf *buf = alg_buf();
	const struct frag_piece *piece;
	struct frag_chunk *c;
	__u32 size;

	if (!h || !buf)
		return 1;
	if (!g->left) {
		g->done = g->want >= h->total;
		if (g->done)
			return 1;
		g->piece = frag_find(h, g->slot, g->want, g->piece + 1);
		if (g->piece >= FRAG_PIECES)
			return 1;
		piece = &h->piece[g->piece & (FRAG_PIECES - 1)];
		g->chunk = piece->chunk;
		g->at = piece->hlen;
		g->left = piece->len;
		g->want += piece->len;
		return 0;
	}
	c = frag_chunk(g->chunk);
	if (!c)
		return 1;
	size = FRAG_CHUNK - g->at;
	size = alg_gather_copy(buf, c, g->at, g->to, g->left < size ? g->left : size);
	g->at += size;
	g->to += size;
	g->left -= size;
	if (g->at >= FRAG_CHUNK) {
		g->chunk = c->next;
		g->at = 0;
	}
	return !size;
}

/* The frame of the whole into the CPU's buffer: the first fragment's headers, fragment header
 * included, and behind them all payload. 0 or a drop reason. */
__noinline int alg_gather(struct ct_ctx *ctx, const struct ct_pkt *pkt)
{
	struct alg_gather g = {.piece = FRAG_PIECES - 1};
	struct alg_buf *buf = alg_buf();
	struct frag_slot *h;
	__u32 first;
	__u64 len;

	if (!pkt || !buf)
		return -CT_DROP_MAP_MISSING;
	g.slot = pkt->frag_slot;
	h = frag_slot(g.slot);
	if (!h)
		return -CT_DROP_MAP_MISSING;
	first = frag_find(h, g.slot, 0, 0);
	if (first >= FRAG_PIECES)
		return -CT_DROP_MAP_MISSING;
	g.to = pkt->l3_off + h->piece[first & (FRAG_PIECES - 1)].hlen;
	bpf_loop(ALG_GATHER_STEPS, alg_gather_step, &g, 0);
	if (!g.done)
		return -CT_DROP_MAP_MISSING;
	/* TCP's numbers may have been adjusted in the head: nat_seq_ack(). */
	len = pkt->l4_off + (pkt->l4_len < 60 ? pkt->l4_len : 60);
	len -= 1;
	asm volatile("" : "+r"(len));
	len &= 1023;
	asm volatile("" : "+r"(len));
	return bpf_skb_load_bytes(ctx, 0, buf->frame, len + 1) ? -CT_DROP_PKT_ACCESS : 0;
}

#endif
