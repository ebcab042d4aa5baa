/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_TOUCH_H
#define BPFCT_CT_TOUCH_H

#include <linux/in.h>
#include <linux/in6.h>

#include "ct_half.h"
#include "ct_tcp_table.h"
#include "ct_track.h"

/* Does a record with this status count as confirmed (DESIGN 4)? ICMP queries
 * never do; protocols without ASSURED do once answered, else a flood would take
 * an IPsec tunnel's record for one of its own. */
static __always_inline int ct_is_confirmed(__u8 proto, __u16 status)
{
	switch (proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 0;
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_GRE:
		return !!(status & CT_S_ASSURED);
	}
	return !!(status & CT_S_SEEN_REPLY);
}

/* Is there room for one more confirmed record? Looks for expired ones if not. */
static __always_inline int ct_room(struct ct_table *tab, __u8 family)
{
	if (*(volatile __u32 *)&tab->confirmed < tab->confirmed_limit)
		return 1;
	ct_clock_reap(family);
	return *(volatile __u32 *)&tab->confirmed < tab->confirmed_limit;
}

/*
 * Brings the word up to what the tracker found: state, SEEN_REPLY, ASSURED,
 * promotion. A CPU that loses the swap looks again: flags add up, and a TCP
 * state that the other CPU changed is put through the table with this packet's
 * class, so neither a FIN nor a promotion is lost, nor does what closes keep the
 * time-out of what was open. Returns the word that holds
 * afterwards, 0 when the connection died meanwhile, or 1 when it should be
 * promoted and the table is full.
 */
static __always_inline __u64 ct_touch_word(struct ct_conn *conn, const union ct_key *key,
					   struct ct_track *tr, __u8 proto, __u8 class, __u8 family)
{
	struct ct_table *tab = ct_table(family);
	__u64 old = tr->word, new;
	__u8 state = tr->state & 0xf;
	int i;

	if (!tab)
		return 0;
	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		__u16 status = ct_w_status(old), was = status;
		__u32 life = ct_w_life(old);

		if (tr->dir == CT_REPLY)
			status |= CT_S_SEEN_REPLY;
		if (tr->assured)
			status |= CT_S_ASSURED;
		new = (old & ~(CT_W_STATE_MASK | CT_W_STATUS(0xffffULL))) | CT_W_STATE(state) |
		      CT_W_STATUS(status);
		if (life == CT_LIFE_HALF_OPEN && ct_is_confirmed(proto, status)) {
			if (!ct_room(tab, family))
				return 1;
			new = ct_w_with_life(new, CT_LIFE_CONFIRMED);
		}
		if (new == old)
			return old;
		if (ct_cas(conn, old, new)) {
			if (ct_w_life(new) != life)
				ct_promoted(key, old, tr->now, family);
			tr->changed = status != was || ct_w_state(old) != ct_w_state(new);
			return new;
		}
		old = ct_word(conn);
		life = ct_w_life(old);
		if (ct_w_gen(old) != ct_w_gen(tr->word) ||
		    (life != CT_LIFE_HALF_OPEN && life != CT_LIFE_CONFIRMED))
			return 0;
		if (proto == IPPROTO_TCP && ct_w_state(old) != ct_w_state(tr->word)) {
			state = ct_tcp_next[tr->dir & 1][class & 7][ct_w_state(old) & 0xf];
			if (state >= CT_TCP_IGNORE)
				state = ct_w_state(old);
			tr->timeout =
				ct_timeout_secs(ct_w_policy(old), CT_TIMEOUT_tcp_none + state);
		}
	}
	return old;
}

/* Counts the packet and, unless the time-out is fixed, starts the timer anew.
 * word is what ct_touch_word() returned. */
static __always_inline void ct_touch_count(const struct ct_settings *set, struct ct_conn *conn,
					   const struct ct_track *tr, __u64 word, __u32 bytes)
{
	struct ct_count *n = &conn->count[tr->dir & 1];

	__sync_fetch_and_add(&n->packets, 1);
	__sync_fetch_and_add(&n->bytes, bytes);
	*(volatile __u32 *)&conn->last = tr->now;
	if (!tr->keep && !(ct_w_status(tr->word) & CT_S_FIXED_TIMEOUT))
		ct_set_timer(conn, word, tr->now + ct_ticks(set, tr->timeout));
}

#endif
