/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_STORE_H
#define BPFCT_FRAG_STORE_H

#include "../lib/ct_csum.h"
#include "frag_read.h"

/* A fragment's bytes, IP header and all, into chunks, and their sum. This comes
 * before the datagram is touched: what hangs there is always complete. */

struct frag_copy {
	struct ct_ctx *ctx;
	__u32 off; /* in the packet */
	__u32 left;
	__u32 first; /* chunks, from 1 */
	__u32 last;
	__u32 csum;
	int error;
};

/* Sum of n bytes of the chunk; bpf_csum_diff() takes 512 on Linux 6.1. */
#define FRAG_SUM_STEP 512

static __always_inline __u32 frag_sum(struct frag_chunk *c, __u32 n, __u32 sum)
{
	__u64 size;
	__u32 k;

	n = (n + 3) & ~3u;
#pragma unroll
	for (k = 0; k < FRAG_CHUNK / FRAG_SUM_STEP; k++) {
		if (n <= k * FRAG_SUM_STEP)
			break;
		size = n - k * FRAG_SUM_STEP;
		if (size > FRAG_SUM_STEP)
			size = FRAG_SUM_STEP;
		size -= 4;
		asm volatile("" : "+r"(size));
		size &= FRAG_SUM_STEP - 4;
		asm volatile("" : "+r"(size));
		size += 4;
		sum = bpf_csum_diff(NULL, 0, (__be32 *)(c->data + k * FRAG_SUM_STEP), size, sum);
	}
	return sum;
}

/* bpf_loop callback: the next chunk. */
static long frag_copy_chunk(__u32 i, struct frag_copy *p)
{
	struct frag_chunk *c, *before;
	__u32 chunk;
	__u64 n = p->left;

	if (n > FRAG_CHUNK)
		n = FRAG_CHUNK;
	chunk = frag_chunk_get();
	c = chunk ? frag_chunk(chunk) : NULL;
	if (!c) {
		p->error = -CT_DROP_FRAG_TOTAL;
		return 1;
	}
	c->next = 0;
	before = p->last ? frag_chunk(p->last) : NULL;
	if (before)
		before->next = chunk;
	else
		p->first = chunk;
	p->last = chunk;
	n = frag_bound(n);
	if (bpf_skb_load_bytes(p->ctx, p->off, c->data, n)) {
		p->error = -CT_DROP_PKT_ACCESS;
		return 1;
	}
	/* Sums run over whole words. */
	if (n & 3) {
		c->data[n] = 0;
		c->data[n + 1] = 0;
		c->data[n + 2] = 0;
	}
	p->csum = frag_sum(c, n, p->csum);
	p->off += n;
	p->left -= n;
	return !p->left;
}

/* Takes the header out of the sum. An IPv4 header that is right sums to zero. */
static __always_inline int frag_sum_payload(struct frag_work *w)
{
	struct frag_chunk *c = frag_chunk(w->chunk);
	__u64 n = w->hlen;
	__s64 sum;

	if (!c)
		return -CT_DROP_MAP_MISSING;
	n -= 4;
	asm volatile("" : "+r"(n));
	n &= 0xfc;
	asm volatile("" : "+r"(n));
	n += 4;
	if (w->key.family == 4) {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)c->data, n, 0);
		return ct_csum_fold((__u32)sum) == 0xffff ? 0 : -CT_DROP_FRAG_HEADER;
	}
	w->csum = bpf_csum_diff((__be32 *)c->data, n, NULL, 0, w->csum);
	return 0;
}

/* Gives the work's fragment up again. */
__noinline int frag_unstore(void)
{
	struct frag_work *w = frag_work();

	if (!w)
		return 0;
	if (w->chunk)
		frag_free_chain(w->chunk);
	w->chunk = 0;
	if (w->bytes)
		frag_give_back(w->key.zone, w->source, 0, w->bytes);
	w->bytes = 0;
	return 0;
}

/* 0, or a drop reason and nothing is held. */
__noinline int frag_store(struct ct_ctx *ctx, const struct ct_pkt *pkt)
{
	struct frag_work *w = frag_work();
	struct frag_copy p = {};
	__u32 bytes;
	int v;

	if (!pkt || !w)
		return -CT_DROP_MAP_MISSING;
	bytes = (pkt->len + FRAG_CHUNK - 1) & ~(FRAG_CHUNK - 1);
	v = frag_count(0, bytes);
	if (v < 0) {
		frag_stat(w->key.family, FRAG_STAT_REFUSED, 1);
		return v;
	}
	w->bytes = bytes;
	p.ctx = ctx;
	p.off = pkt->l3_off;
	p.left = pkt->len;
	bpf_loop(FRAG_PIECE_CHUNKS, frag_copy_chunk, &p, 0);
	w->chunk = p.first;
	w->csum = p.csum;
	v = p.error;
	if (v >= 0)
		v = frag_sum_payload(w);
	if (v < 0)
		frag_unstore();
	return v;
}

#endif
