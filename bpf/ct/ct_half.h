/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_HALF_H
#define BPFCT_CT_HALF_H

#include "ct_life.h"

/*
 * Where records are listed so that their number is bounded without ctd (I3, I6):
 *
 *  - half-open rings, FIFO: a new connection takes the next slot; what is still
 *    half-open there gives way if it is at least 3 s old, else the newcomer is
 *    refused. One ring for connections begun outside, one for inside, and one
 *    for those that were refused and came again: real clients repeat a SYN,
 *    spoofed floods do not (see ct_half_retry).
 *  - the clock over confirmed records: promotion takes a slot, and a commit
 *    that finds the table at its limit, or near it with ctd dead, looks at the
 *    next few for expired ones.
 *  - the grave, FIFO of deaths: each commit frees the nodes of a few records
 *    that have been dead for a second.
 */
#define CT_HALF_MIN_SECS 3
#define CT_CLOCK_PROBES	 24  /* of a promotion, for a slot that no living record holds */
#define CT_REAP_STEPS	 128 /* slots of the clock that a commit passes when the table is full */
#define CT_REAP_LOOK	 8   /* as many as a look at a record counts for: 16 looks at most */
#define CT_GRAVE_STEPS	 4

/* Takes the next slot of a ring. The generation for the record, or 0: refused. */
static __always_inline __u32 ct_half_take_body(const union ct_key *key, __u32 now, __u32 side,
					       __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(family);
	__u32 size, at, gen;
	struct ct_slot *s;

	if (!set || !tab || !key)
		return 0;
	if (side > CT_SIDE_RETRY)
		side = CT_SIDE_RETRY;
	gen = __sync_fetch_and_add(&tab->half_head[side], 1) & CT_GEN_COUNT;
	at = ct_half_ring(set, side, &size);
	at += gen & (size - 1);
	gen |= CT_GEN_RING | side << CT_GEN_SIDE_SHIFT;
	s = ct_half_at(&at, family);
	if (!s || (s->gen &&
		   !ct_slot_free(s, CT_LIFE_HALF_OPEN, ct_ticks(set, CT_HALF_MIN_SECS), family)))
		return 0;
	ct_slot_set(s, key, gen, now, family);
	return gen;
}

__noinline __u32 ct_half_take(const union ct_key *key, __u32 now, __u32 side, __u8 family)
{
	return family == 4 ? ct_half_take_body(key, now, side, 4)
			   : ct_half_take_body(key, now, side, 6);
}

/*
 * A full ring refused this tuple. Returns 1 if it did so before, half a second
 * to 20 s ago: then the retry ring may take it. Otherwise remembers it; a mark
 * younger than 1.3 s is not overwritten, so that the usual first
 * retransmission after 1 s finds its mark under a flood too.
 */
static __always_inline int ct_half_retry(const struct ct_settings *set, const struct ct_tuple *t,
					 __u32 now)
{
	__u64 h = ct_hash_tuple(set, t);
	__u32 slot = h & 16383, mark, tag = h >> 48, age;
	struct ct_seen *seen = bpf_map_lookup_elem(&ct_seen_v1, &slot);
	__u32 *cell;

	if (!seen)
		return 0;
	cell = &seen->mark[(h >> 14) & 63];
	mark = *(volatile __u32 *)cell;
	age = (now - mark) & 0xffff;
	if (mark && mark >> 16 == tag && age >= ct_ticks(set, 1) / 2 && age < ct_ticks(set, 20))
		return 1;
	if (!mark || age > ct_ticks(set, 1) * 13 / 10)
		*(volatile __u32 *)cell = tag << 16 | (now & 0xffff);
	return 0;
}

/* Books a promotion that this CPU won; word as it was before. */
__noinline int ct_promoted(const union ct_key *key, __u64 word, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(family);

	if (!set || !tab || !key)
		return 0;
	ct_add(&tab->half_open, -1);
	ct_share_back(set, key, word, family);
	ct_half_leave(ct_w_gen(word), family);
	ct_high(&tab->confirmed_high, ct_add(&tab->confirmed, 1));
	ct_stat(CT_STAT_PROMOTED);
	return 0;
}

/* Takes an empty slot of the clock. Another CPU that tries the same one sees it BUSY until key
 * and generation are there. */
static __always_inline int ct_slot_claim(__u32 *gen)
{
	return !__sync_val_compare_and_swap(gen, 0, CT_SLOT_BUSY);
}

/*
 * Lists a confirmed record in the clock. The clock has at least two slots for each record that
 * the limit admits, and the probes go where the hash of generation and number sends them, so
 * that the living do not stand in rows: all of them meet one of the living with a chance of
 * 2^-24 at most. Such a record would be ended by ctd's sweep only.
 * (Few variables here and in ct_clock_reap(): both frames are part of the deepest stack.)
 */
static __always_inline int ct_clock_enter_body(const union ct_key *key, __u32 gen, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_slot *s;
	__u32 i, at, was;

	if (!set || !key)
		return 0;
	for (i = 0; i < CT_CLOCK_PROBES; i++) {
		asm volatile("" : "+r"(gen)); /* no copy of what is made of it */
		at = ct_mix(set->secret[0], (__u64)gen << 8 | i) & (set->clock_size - 1);
		s = ct_clock_at(&at, family);
		if (!s)
			return 0;
		was = *(volatile __u32 *)&s->gen;
		if (was == CT_SLOT_BUSY ||
		    (was && !ct_slot_free(s, CT_LIFE_CONFIRMED, 0, family)) ||
		    !ct_slot_claim(&s->gen))
			continue;
		ct_slot_set(s, key, gen, ct_now(set), family);
		return 1;
	}
	return 0;
}

__noinline int ct_clock_enter(const union ct_key *key, __u32 gen, __u8 family)
{
	return family == 4 ? ct_clock_enter_body(key, gen, 4) : ct_clock_enter_body(key, gen, 6);
}

/*
 * At the limit, or near it with nobody else to do it: ends what has expired among the next
 * slots of the clock. Those of records that have long to live cost a glance: their slot says
 * when to look again. So a thousand commits a second pass 128,000 slots.
 */
static __always_inline int ct_clock_reap_body(__u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(family);
	__u32 i, at, hand, now, was;
	struct ct_slot *s;

	if (!set || !tab ||
	    (*(volatile __u32 *)&tab->confirmed < tab->confirmed_limit && ct_ctd_alive(set)))
		return 0;
	now = ct_now(set);
	hand = *(volatile __u32 *)&tab->clock_hand;
	for (i = 0; i < CT_REAP_STEPS; i++) {
		at = hand++ & (set->clock_size - 1);
		s = ct_clock_at(&at, family);
		if (!s)
			return 0;
		was = *(volatile __u32 *)&s->gen;
		if (!was || was == CT_SLOT_BUSY || ct_before(now, s->born))
			continue;
		i += CT_REAP_LOOK - 1;
		ct_slot_free(s, CT_LIFE_CONFIRMED, 0, family);
	}
	/* Of two CPUs that pass at a time one may set the other back: those are passed twice. */
	tab = ct_table(family);
	if (tab)
		*(volatile __u32 *)&tab->clock_hand = hand;
	return 0;
}

__noinline int ct_clock_reap(__u8 family)
{
	return family == 4 ? ct_clock_reap_body(4) : ct_clock_reap_body(6);
}

/*
 * As ct_clock_reap(), of the ring of those that were begun inside, from anywhere on: for a
 * subscriber at its limit while nobody sweeps, whose own may be among them.
 */
static __always_inline int ct_half_reap_body(__u8 family)
{
	const struct ct_settings *set = ct_settings();
	__u32 i, at, first, size, hand, was;
	struct ct_slot *s;

	if (!set)
		return 0;
	first = ct_half_ring(set, CT_SIDE_INSIDE, &size);
	hand = bpf_get_prandom_u32();
	for (i = 0; i < CT_REAP_STEPS; i++) {
		at = first + (hand++ & (size - 1));
		s = ct_half_at(&at, family);
		was = s ? *(volatile __u32 *)&s->gen : 0;
		if (!was)
			continue;
		i += CT_REAP_LOOK - 1;
		ct_slot_free(s, CT_LIFE_HALF_OPEN, ~0U, family);
	}
	return 0;
}

__noinline int ct_half_reap(__u8 family)
{
	return family == 4 ? ct_half_reap_body(4) : ct_half_reap_body(6);
}

/* Is the grave a commit's business? While ctd lives its sweep frees nodes; a
 * commit then helps when they get short. */
static __always_inline int ct_grave_due(const struct ct_settings *set, struct ct_table *tab)
{
	if (*(volatile __u32 *)&tab->grave_head == *(volatile __u32 *)&tab->grave_tail)
		return 0;
	return !ct_ctd_alive(set) ||
	       *(volatile __u32 *)&tab->nodes > tab->nodes_limit - tab->nodes_limit / 4 ||
	       *(volatile __u32 *)&tab->stubs > tab->stub_limit - tab->stub_limit / 4;
}

/*
 * Frees the node of the record that has been dead longest, if its second is over. 0: there is none.
 * What the entry says is copied before it is known not to be overwritten, and taken by moving the
 * tail: a sweep may be preempted here, and come back when the FIFO has turned.
 */
static __always_inline int ct_grave_step_body(__u32 now, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(family);
	__u32 at, tail, head, gen, born;
	union ct_key key = {};
	struct ct_conn *conn;
	struct ct_slot *s;
	__u64 word;

	if (!set || !tab)
		return 0;
	tail = *(volatile __u32 *)&tab->grave_tail;
	if (*(volatile __u32 *)&tab->grave_head == tail)
		return 0;
	at = tail & (set->grave_size - 1);
	s = ct_grave_at(&at, family);
	if (!s)
		return 0;
	gen = *(volatile __u32 *)&s->gen;
	born = *(volatile __u32 *)&s->born;
	ct_slot_key(s, &key, family);
	asm volatile("" : : : "memory");
	head = *(volatile __u32 *)&tab->grave_head;
	if (head - tail > set->grave_size) {
		/* More deaths than the FIFO holds: ctd walks over the map for the oldest. */
		head -= set->grave_size / 8 * 7;
		if (__sync_val_compare_and_swap(&tab->grave_tail, tail, head) == tail)
			ct_add(&tab->grave_lost, head - tail);
		return 1;
	}
	/* Empty: its writer has the number, but not written yet. */
	if (!gen || ct_before(now, born + ct_ticks(set, CT_DYING_SECS) + 2))
		return 0;
	/* The loser of the race for the tail leaves it to the winner. */
	if (__sync_val_compare_and_swap(&tab->grave_tail, tail, tail + 1) != tail)
		return 1;
	__sync_val_compare_and_swap(&s->gen, gen, 0);
	conn = ct_conn_at(&key, family);
	word = conn ? ct_word(conn) : 0;
	if (conn && ct_w_gen(word) == gen)
		ct_visit(conn, &key, word, now, family);
	return 1;
}

__noinline int ct_grave_step(__u32 now, __u8 family)
{
	return family == 4 ? ct_grave_step_body(now, 4) : ct_grave_step_body(now, 6);
}

static __always_inline void ct_grave_sweep(__u32 now, __u8 family)
{
	__u32 i;

	for (i = 0; i < CT_GRAVE_STEPS; i++)
		if (!ct_grave_step(now, family))
			break;
}

#endif
