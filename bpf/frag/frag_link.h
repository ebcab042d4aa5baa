/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_LINK_H
#define BPFCT_FRAG_LINK_H

#include "frag_store.h"

/* The datagram of a fragment, found or begun, and the fragment's place in it. */

/* What frag_link() says beside drop reasons. */
#define FRAG_LINKED   0
#define FRAG_COMPLETE 1
#define FRAG_AGAIN    2 /* the slot has become another's: look again */
#define FRAG_OLD      3 /* its time is over */
#define FRAG_SAME     4 /* one with this range is here: w->other is its chunk */
#define FRAG_KILL     5 /* the datagram is the caller's, and dies of w->other */

static __always_inline int frag_same_key(const struct frag_key *a, const struct frag_key *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;
	__u32 diff = 0, i;

#pragma unroll
	for (i = 0; i < sizeof(*a) / 4; i++)
		diff |= x[i] ^ y[i];
	return !diff;
}

static __always_inline void frag_open(struct frag_slot *h, const struct frag_work *w, __u32 expires,
				      __u32 serial)
{
	bpf_spin_lock(&h->lock);
	h->state = FRAG_SETUP;
	h->key = w->key;
	h->serial = serial;
	h->expires = expires;
	h->source = w->source;
	h->bytes = 0;
	h->pieces = 0;
	h->have = 0;
	h->end = 0;
	h->total = 0;
	h->note = 0;
	bpf_spin_unlock(&h->lock);
}

/* Begins the datagram of w->key. 1: it is in w->slot; 0: look it up again; or a drop
 * reason. */
__noinline int frag_begin(void)
{
	const struct ct_settings *set = ct_settings();
	struct frag_work *w = frag_work();
	struct frag_table *t = frag_table();
	struct frag_slot *h;
	__u32 slot = 0;
	int v;

	if (!w || !t || !set)
		return -CT_DROP_MAP_MISSING;
	v = frag_count(1, 0);
	if (v < 0) {
		frag_stat(w->key.family, FRAG_STAT_REFUSED, 1);
		return v;
	}
	h = frag_slot_get(&slot) ? frag_slot(slot) : NULL;
	if (!h) {
		frag_give_back(w->key.zone, w->source, 1, 0);
		return -CT_DROP_FRAG_TOTAL;
	}
	frag_open(h, w, w->now + ct_ticks(set, t->timeout), bpf_get_prandom_u32());
	/* Another CPU may have begun it: then its slot is the one. */
	if (bpf_map_update_elem(&frag_index_v1, &w->key, &slot, BPF_NOEXIST)) {
		frag_free_slot(slot);
		return 0;
	}
	w->slot = slot;
	return 1;
}

/* Hangs the work's fragment into the datagram in slot. FRAG_* or a drop reason;
 * FRAG_LINKED and FRAG_COMPLETE: the chunks are the datagram's now. */
__noinline int frag_link(__u32 slot)
{
	struct frag_work *w = frag_work();
	struct frag_slot *h = frag_slot(slot);
	__u32 off, end, more, i, n, at = 0, hit = ~0U, len = 0, old, now;
	int v = FRAG_LINKED;

	if (!w || !h)
		return -CT_DROP_MAP_MISSING;
	off = w->off;
	end = off + w->len;
	more = w->more;
	now = w->now;
	bpf_spin_lock(&h->lock);
	w->serial = h->serial;
	if (!frag_same_key(&h->key, &w->key) || h->state == FRAG_FREE || h->state == FRAG_RETURN) {
		v = FRAG_AGAIN;
		goto out;
	}
	if (h->state == FRAG_RELEASE) {
		v = -CT_DROP_FRAG_BUSY;
		goto out;
	}
	if ((__s32)(now - h->expires) >= 0) {
		v = FRAG_OLD;
		goto out;
	}
	if (h->state == FRAG_DEAD) {
		v = -(int)h->note;
		goto out;
	}
	n = h->pieces;
	old = h->total;
	/* In order, nothing can overlap. */
	if (off < h->end) {
		for (i = 0; i < FRAG_PIECES; i++) {
			__u32 o = h->piece[i].off, l = h->piece[i].len;

			if (i >= n)
				break;
			if (o < end && off < o + l) {
				hit = o;
				len = l;
				w->other = h->piece[i].chunk;
				w->other_hlen = h->piece[i].hlen;
				break;
			}
		}
	}
	if (hit != ~0U) {
		v = hit == off && off + len == end && more == (end != old) ? FRAG_SAME : FRAG_KILL;
		at = CT_DROP_FRAG_OVERLAP;
	} else if (old ? end > old || !more : !more && h->end > end) {
		v = FRAG_KILL; /* beyond the last one, or two last ones */
		at = CT_DROP_FRAG_OVERFLOW;
	} else if (n >= FRAG_PIECES) {
		v = FRAG_KILL;
		at = CT_DROP_FRAG_PIECES;
	}
	if (v == FRAG_KILL) {
		h->state = FRAG_RELEASE;
		h->note = at;
	}
	if (v != FRAG_LINKED)
		goto out;
	at = n & (FRAG_PIECES - 1);
	h->piece[at].off = off;
	h->piece[at].len = w->len;
	h->piece[at].hlen = w->hlen;
	h->piece[at].ttl = w->ttl;
	h->piece[at].chunk = w->chunk;
	h->piece[at].csum = w->csum;
	h->pieces = n + 1;
	h->bytes += w->bytes;
	h->have += w->len;
	if (end > h->end)
		h->end = end;
	if (!more)
		h->total = end;
	h->state = FRAG_HOLDING;
	if (h->total && h->have == h->total) {
		h->state = FRAG_RELEASE;
		v = FRAG_COMPLETE;
	}
out:
	bpf_spin_unlock(&h->lock);
	return v;
}

/* The datagram in slot, which the caller owns, becomes a tombstone: what comes
 * later dies too (RFC 5722). Returns the drop reason. */
__noinline int frag_kill(__u32 slot)
{
	struct frag_slot *h = frag_slot(slot);
	__u32 n, reason;

	if (!h)
		return -CT_DROP_MAP_MISSING;
	n = h->pieces;
	reason = h->note;
	frag_drop_n(reason, n);
	frag_stat(h->key.family,
		  reason == CT_DROP_FRAG_PIECES ? FRAG_STAT_TOO_MANY : FRAG_STAT_OVERLAPPED, 1);
	frag_free_data(slot);
	bpf_spin_lock(&h->lock);
	h->pieces = 0;
	h->state = FRAG_DEAD;
	bpf_spin_unlock(&h->lock);
	return -(int)reason;
}

struct frag_compare {
	__u32 a; /* chunks, from 1 */
	__u32 b;
	__u32 off; /* in the chunk */
	__u32 end;
	__u32 differ;
};

/* bpf_loop callback: eight bytes a step, aligned in the chunk. */
static long frag_compare_word(__u32 i, struct frag_compare *p)
{
	struct frag_chunk *a = frag_chunk(p->a), *b = frag_chunk(p->b);
	__u64 at = p->off & (FRAG_CHUNK - 8), n, j;

	if (!a || !b || p->off >= p->end)
		return 1;
	n = p->end - p->off;
	if (n >= 8) {
		if (*(__u64 *)(a->data + at) != *(__u64 *)(b->data + at))
			p->differ = 1;
	} else {
		for (j = 0; j < 7; j++)
			if (j < n && a->data[at + j] != b->data[at + j])
				p->differ = 1;
	}
	p->off += 8;
	if (at + 8 == FRAG_CHUNK) {
		p->a = a->next;
		p->b = b->next;
	}
	return p->differ;
}

/* A second fragment with a range that is here: the same bytes are ignored, others
 * kill the datagram. */
__noinline int frag_same(__u32 slot)
{
	struct frag_work *w = frag_work();
	struct frag_slot *h = frag_slot(slot);
	struct frag_compare p = {};
	int dies = 0;

	if (!w || !h)
		return -CT_DROP_MAP_MISSING;
	p.a = w->chunk;
	p.b = w->other;
	/* The four bytes before the data of an IPv4 packet without options are its
	 * destination: the same. */
	p.off = w->hlen & ~7u;
	p.end = w->hlen + w->len;
	if (w->other_hlen == w->hlen)
		bpf_loop(FRAG_PIECE_MAX / 8 + 1, frag_compare_word, &p, 0);
	else
		p.differ = 1;
	if (!p.differ)
		return -CT_DROP_FRAG_DUPLICATE;
	/* It may have become whole, and its chunks another's, under the comparison. */
	bpf_spin_lock(&h->lock);
	if (h->serial == w->serial && h->state == FRAG_HOLDING) {
		h->state = FRAG_RELEASE;
		h->note = CT_DROP_FRAG_OVERLAP;
		dies = 1;
	}
	bpf_spin_unlock(&h->lock);
	return dies ? frag_kill(slot) : -CT_DROP_FRAG_DUPLICATE;
}

#endif
