/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_HOLD_H
#define BPFCT_FRAG_HOLD_H

#include "frag_admit.h"
#include "frag_release.h"

/*
 * Fragments on TC, in two calls that any program can make (docs/fragments.md):
 *
 *   v = frag_hold(skb, &w->pkt, side)
 *       for a packet of which frag_admit() says FRAG_HOLD, before the lookup.
 *       FRAG_HOLD      held: return frag_stolen()
 *       FRAG_WHOLE     it was the last one missing. The packet is now the head of
 *                      the datagram and w->pkt describes the whole: look up, judge,
 *                      commit and translate it as any packet, then frag_release()
 *       FRAG_RETURNED  it has been through here and is on its way up the stack:
 *                      w->pkt.frag_note is what the consumer left there
 *       < 0            a drop reason
 *
 *   v = frag_release(skb, &w->pkt, ifindex, flags)
 *       sends the datagram's fragments, each with what was done to the head:
 *       addresses, TTL, link header, transport header; tc_index too.
 *       With flags 0 the last one stays in skb, for TC_ACT_OK or bpf_redirect();
 *       with BPF_F_INGRESS all go up the stack of skb's device: return frag_stolen().
 *       Per-CPU working areas (ct_work() too) are not to be used afterwards.
 *
 *   frag_discard(&w->pkt, reason)   when the verdict is to drop it
 */
#define FRAG_RETURNED 3

/*
 * What a TC program returns for a packet that is held: it is consumed, and a local
 * sender is told of no loss. tcx takes TC_ACT_STOLEN for "next", and TC_ACT_SHOT
 * gives the sender ENOBUFS; a redirect to a device that cannot be does it on both.
 */
static __always_inline int frag_stolen(void)
{
	return bpf_redirect(0, 0);
}

/* The verdict on a datagram is to drop it; reason is counted for all of its
 * fragments but the one in hand. */
__noinline int frag_discard(const struct ct_pkt *pkt, int reason)
{
	struct frag_slot *h;
	__u32 slot;

	if (!pkt || !(pkt->flags & CT_PKT_GATHERED))
		return 0;
	slot = pkt->frag_slot;
	h = frag_slot(slot);
	if (!h)
		return 0;
	if (h->pieces > 1)
		frag_drop_n(reason, h->pieces - 1);
	frag_free_data(slot);
	frag_free_slot(slot);
	return 0;
}

/* The fragment's datagram is complete, and ours alone. */
static __always_inline int frag_complete(struct ct_ctx *ctx, struct ct_pkt *pkt, __u32 slot)
{
	struct frag_slot *h = frag_slot(slot);
	int v;

	if (!h)
		return -CT_DROP_MAP_MISSING;
	bpf_map_delete_elem(&frag_index_v1, &h->key);
	v = frag_make_head(ctx, pkt->l3_off, slot);
	if (v >= 0)
		v = frag_describe(ctx, pkt, slot);
	if (v >= 0)
		v = frag_transport(ctx, pkt);
	if (v == -CT_DROP_FRAG_TINY)
		frag_stat(pkt->tuple.family, FRAG_STAT_TOO_SMALL, 1);
	if (v < 0) {
		pkt->flags = CT_PKT_GATHERED;
		pkt->frag_slot = slot;
		frag_discard(pkt, -v);
		pkt->flags = CT_PKT_FRAGMENT;
		return v;
	}
	frag_stat(pkt->tuple.family, FRAG_STAT_COMPLETED, 1);
	return FRAG_WHOLE;
}

/* Lookups of one fragment: its datagram may end under our hands. */
#define FRAG_TRIES 4

/* Where the stored fragment belongs. As frag_link(); w->slot is set. */
static __always_inline int frag_place(void)
{
	struct frag_work *w = frag_work();
	__u32 i, *found;
	int v;

	if (!w)
		return -CT_DROP_MAP_MISSING;
	for (i = 0; i < FRAG_TRIES; i++) {
		found = bpf_map_lookup_elem(&frag_index_v1, &w->key);
		if (found) {
			w->slot = *found;
		} else {
			v = frag_begin();
			if (v < 0)
				return v;
			if (!v)
				continue;
		}
		v = frag_link(w->slot);
		if (v == FRAG_OLD)
			frag_end(w->slot, w->serial, CT_DROP_FRAG_TIMEOUT);
		else if (v == FRAG_SAME)
			return frag_same(w->slot);
		else if (v == FRAG_KILL)
			return frag_kill(w->slot);
		else if (v != FRAG_AGAIN)
			return v;
	}
	return -CT_DROP_FRAG_BUSY;
}

static __always_inline int frag_hold(struct ct_ctx *ctx, struct ct_pkt *pkt, __u32 side)
{
	struct frag_work *w = frag_work();
	__u8 family;
	int v;

	if (!pkt || !w)
		return -CT_DROP_MAP_MISSING;
	if (frag_returned(ctx, pkt))
		return FRAG_RETURNED;
	family = pkt->tuple.family;
	v = frag_read(ctx, pkt, side);
	if (v < 0)
		return v;
	v = frag_store(ctx, pkt);
	if (v >= 0) {
		v = frag_place();
		if (v < 0)
			frag_unstore();
	}
	if (v < 0) {
		if (v == -CT_DROP_FRAG_DUPLICATE)
			frag_stat(family, FRAG_STAT_DUPLICATE, 1);
		else if (v == -CT_DROP_FRAG_HEADER)
			frag_stat(family, FRAG_STAT_MALFORMED, 1);
		return v;
	}
	frag_stat(family, FRAG_STAT_ACCEPTED, 1);
	if (v != FRAG_COMPLETE)
		return FRAG_HOLD;
	return frag_complete(ctx, pkt, w->slot);
}

#endif
