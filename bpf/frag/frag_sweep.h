/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_SWEEP_H
#define BPFCT_FRAG_SWEEP_H

#include "frag_pool.h"

/* What the time-out ends; called for each slot by an iterator, as on Linux 6.1
 * nothing else may walk a map with spin locks. */

/* The first fragment of a datagram that is ours: its chunk, or NULL. */
static __always_inline struct frag_chunk *frag_quote(struct frag_slot *h, __u32 slot,
						     struct frag_expired_head *e)
{
	__u32 first = frag_find(h, slot, 0, 0);

	if (first >= FRAG_PIECES)
		return NULL;
	first &= FRAG_PIECES - 1;
	e->family = h->key.family;
	e->len = (__u32)h->piece[first].hlen + h->piece[first].len;
	return frag_chunk(h->piece[first].chunk);
}

/* 1: it timed out, its first fragment is there, and *e and *quote describe it; the
 * caller ends it with frag_finish() after writing them out. */
static __always_inline struct frag_chunk *frag_visit(__u32 slot, struct frag_expired_head *e)
{
	const struct ct_settings *set = ct_settings();
	struct frag_slot *h = frag_slot(slot);
	struct frag_table *t = frag_table();
	struct frag_chunk *c = NULL;
	__u32 state;

	if (!h || !t || !set)
		return NULL;
	state = h->state;
	if (state == FRAG_FREE || state == FRAG_RELEASE || (__s32)(ct_now(set) - h->expires) < 0)
		return NULL;
	state = frag_take(h, h->serial);
	/* The router's own, which wait at egress, are nobody's to be told of. */
	if (t->icmp && state == FRAG_HOLDING && !(h->key.side >> 31))
		c = frag_quote(h, slot, e);
	if (!c)
		frag_finish(slot, state, CT_DROP_FRAG_TIMEOUT);
	return c;
}

#endif
