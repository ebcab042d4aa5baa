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

static __always_inline int ct_has_room(struct ct_table *tab)
{
	return *(volatile __u32 *)&tab->confirmed < tab->confirmed_limit;
}

/* Is there room for one more confirmed record? Looks for expired ones if not, and
 * from three quarters on if ctd does not. */
static __always_inline int ct_room(struct ct_table *tab, __u8 family)
{
	if (*(volatile __u32 *)&tab->confirmed < tab->confirmed_limit - tab->confirmed_limit / 4)
		return 1;
	ct_clock_reap(family);
	return ct_has_room(tab);
}

/* The word with this packet's state and flags in it. */
static __always_inline __u64 ct_touch_new(const struct ct_track *tr, __u64 old, __u8 state)
{
	__u16 status = ct_w_status(old);

	status |= tr->dir == CT_REPLY && !tr->ends ? CT_S_SEEN_REPLY : 0;
	status |= tr->assured ? CT_S_ASSURED : 0;
	return (old & ~(CT_W_STATE_MASK | CT_W_STATUS(0xffffULL))) | CT_W_STATE(state) |
	       CT_W_STATUS(status);
}

/* See ct_touch_word(). tr->promoted is the word before a promotion that we won. A
 * global function, so that the verifier goes through its tries once and not once for
 * each way on which a tracker can come to it; a leaf, as frames are scarce below. */
__noinline __u64 ct_touch_swap(struct ct_conn *conn, struct ct_track *tr)
{
	struct ct_table *tab;
	__u64 old, new;
	__u8 state;
	int i;

	if (!conn || !tr)
		return 0;
	tab = ct_table(tr->family);
	if (!tab)
		return 0;
	old = tr->word;
	state = tr->state & 0xf;
	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		__u32 life = ct_w_life(old);

		new = ct_touch_new(tr, old, state);
		if (life == CT_LIFE_HALF_OPEN && ct_is_confirmed(tr->proto, ct_w_status(new))) {
			if (!ct_has_room(tab))
				return 1;
			new = ct_w_with_life(new, CT_LIFE_CONFIRMED);
		}
		if (new == old)
			return old;
		if (ct_cas(conn, old, new)) {
			if (ct_w_life(new) != life)
				tr->promoted = old;
			tr->changed = ct_w_status(old) != ct_w_status(new) ||
				      ct_w_state(old) != ct_w_state(new);
			return new;
		}
		old = ct_word(conn);
		life = ct_w_life(old);
		if (ct_w_gen(old) != ct_w_gen(tr->word) ||
		    (life != CT_LIFE_HALF_OPEN && life != CT_LIFE_CONFIRMED))
			return 0;
		if (tr->proto == IPPROTO_TCP && ct_w_state(old) != ct_w_state(tr->word)) {
			state = ct_tcp_next[tr->dir & 1][tr->class & 7][ct_w_state(old) & 0xf];
			if (state >= CT_TCP_IGNORE)
				state = ct_w_state(old);
			tr->timeout =
				ct_timeout_secs(ct_w_policy(old), CT_TIMEOUT_tcp_none + state);
		}
	}
	return old;
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
					   struct ct_track *tr)
{
	__u64 word = tr->word;

	/* Most packets change nothing. */
	if (ct_w_life(word) == CT_LIFE_CONFIRMED && ct_touch_new(tr, word, tr->state & 0xf) == word)
		return word;
	word = ct_touch_swap(conn, tr);
	if (word == 1) {
		ct_clock_reap(tr->family);
		word = ct_touch_swap(conn, tr);
	}
	if (tr->promoted) {
		ct_promoted(key, tr->promoted, tr->family);
		ct_clock_enter(key, ct_w_gen(tr->promoted), tr->family);
	}
	return word;
}

/* Counts the packet and, unless it ends or the time-out is fixed, starts the timer anew.
 * word is what ct_touch_word() returned. */
static __always_inline void ct_touch_count(const struct ct_settings *set, struct ct_conn *conn,
					   const struct ct_track *tr, __u64 word, __u32 bytes)
{
	struct ct_count *n = &conn->count[tr->dir & 1];

	__sync_fetch_and_add(&n->packets, 1);
	__sync_fetch_and_add(&n->bytes, bytes);
	*(volatile __u32 *)&conn->last = tr->now;
	if (!tr->ends && !(ct_w_status(tr->word) & CT_S_FIXED_TIMEOUT))
		ct_set_timer(conn, word, tr->now + ct_ticks(set, tr->timeout));
}

#endif
