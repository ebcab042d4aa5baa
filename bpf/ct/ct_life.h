/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_LIFE_H
#define BPFCT_CT_LIFE_H

#include <bpf/bpf_endian.h>

#include "../lib/ct_hash.h"
#include "../nat/nat_stub.h"
#include "../nat/nat_sub.h"
#include "ct_event.h"

/*
 * Life and death of records (I3, I4). A word changes only here, in ct_word.h and
 * in ct_touch.h, always by compare-and-swap:
 *
 *   SETUP -> HALF_OPEN -> CONFIRMED -> SETUP -> DYING -> DEAD -> (map delete)
 *               \________________________/       \-> SETUP: taken over by a new
 *                                                    connection on the same key
 *
 * The CPU that wins a step does what belongs to it, once: counts, events.
 * Between life and DYING the word is SETUP for the few instructions in which
 * the winner writes the time of death.
 */
#define CT_DYING_SECS 1 /* an old pointer lives no longer than a program run */

/* Half-open ones are counted by the originator's prefix: inside by address. */
static __always_inline __u32 *ct_prefix_count(const struct ct_settings *set, const __be32 *addr,
					      __u8 family, int inside)
{
	__u64 prefix = ct_prefix(addr, family);
	__u32 slot;

	if (inside)
		prefix = family == 4 ? bpf_ntohl(addr[0]) : ct_mix(prefix, addr[1] ^ addr[3]);
	slot = ct_prefix_slot(set, prefix, inside);
	return bpf_map_lookup_elem(&ct_prefix_v1, &slot);
}

/* One half-open less for the originator's prefix. */
static __always_inline void ct_share_back(const struct ct_settings *set, const union ct_key *key,
					  __u64 word, __u8 family)
{
	int hi = !!(word & CT_W_ORIG_HI), inside = !!(word & CT_W_STATUS(CT_S_INSIDE));
	__u32 *n;

	if (family == 4)
		n = ct_prefix_count(set, hi ? &key->k4.addr[1] : &key->k4.addr[0], 4, inside);
	else
		n = ct_prefix_count(set, hi ? key->k6.addr[1] : key->k6.addr[0], 6, inside);
	if (n)
		ct_add(n, -1);
}

/* A side's part of the rings: *size slots, a power of two, from the one returned. */
static __always_inline __u32 ct_half_ring(const struct ct_settings *set, __u32 side, __u32 *size)
{
	if (side == CT_SIDE_OUTSIDE) {
		*size = set->half_size[0];
		return 0;
	}
	if (side == CT_SIDE_INSIDE) {
		*size = set->half_size[1];
		return set->half_size[0];
	}
	*size = set->half_size[2];
	return set->half_size[0] + set->half_size[1];
}

/* Empties the slot of a record that is half-open no more: the next to come there
 * need not look whose it was. */
__noinline int ct_half_leave(__u32 gen, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_slot *s;
	__u32 at, size;

	if (!set || !(gen & CT_GEN_RING))
		return 0;
	at = ct_half_ring(set, gen >> CT_GEN_SIDE_SHIFT & 3, &size);
	at += gen & CT_GEN_COUNT & (size - 1);
	s = ct_half_at(&at, family);
	if (s && *(volatile __u32 *)&s->gen == gen)
		__sync_val_compare_and_swap(&s->gen, gen, 0);
	return 0;
}

/* Remembers a death, so that commits can free the node a second later even when
 * ctd does not sweep. An entry overwritten before its time is left to ctd. */
static __always_inline void ct_bury(const struct ct_settings *set, struct ct_table *tab,
				    const union ct_key *key, __u32 gen, __u8 family)
{
	__u32 at = __sync_fetch_and_add(&tab->grave_head, 1) & (set->grave_size - 1);
	struct ct_slot *s = ct_grave_at(&at, family);

	if (s)
		ct_slot_set(s, key, gen, ct_now(set), family);
}

/*
 * Ends a live connection whose word is `word`. The winner of the swap emits
 * DESTROY and gives back what the connection held. Returns 1 to the winner, 0
 * if the word had changed.
 */
static __always_inline int ct_kill_body(const struct ct_settings *set, struct ct_conn *conn,
					const union ct_key *key, __u64 word, __u8 family,
					__u32 stat)
{
	__u32 zone = family == 4 ? key->k4.zone : key->k6.zone, life = ct_w_life(word);
	__u64 setup = ct_w_with_life(word, CT_LIFE_SETUP), dying;
	struct ct_table *tab = ct_table(family);
	struct ct_zone *z;

	if ((life != CT_LIFE_HALF_OPEN && life != CT_LIFE_CONFIRMED) || !tab)
		return 0;
	if (!ct_cas(conn, word, setup))
		return 0;
	dying = ct_w_with_life(word, CT_LIFE_DYING) | CT_W_STATUS(CT_S_DYING);
	ct_event(set, conn, key, dying, family, CT_EVENT_DESTROY);
	*(volatile __u32 *)&conn->expires = ct_now(set);
	/* It keeps its slot of the ring for its second (ct_slot4_free), and so its prefix' share:
	 * else who sends SYN and RST in turn would have the ring for himself. */
	if (life == CT_LIFE_HALF_OPEN) {
		ct_add(&tab->half_open, -1);
		dying |= CT_W_STATUS(CT_S_SHARE);
	} else {
		ct_add(&tab->confirmed, -1);
	}
	z = bpf_map_lookup_elem(&ct_zone_v1, &zone);
	if (z)
		ct_add(&z->count, -1);
	if (word & CT_W_STATUS(CT_S_LIMITED))
		nat_sub_give(key, word, family);
	ct_stat(CT_STAT_DESTROYED);
	ct_stat(stat);
	ct_cas(conn, setup, dying);
	ct_bury(set, tab, key, ct_w_gen(word), family);
	return 1;
}

/* Global functions: verified once, not at each place that calls them. */
__noinline int ct_kill4(struct ct_conn4 *conn, const union ct_key *key, __u64 word, __u32 stat)
{
	const struct ct_settings *set = ct_settings();

	return conn && key && set ? ct_kill_body(set, &conn->c, key, word, 4, stat) : 0;
}

__noinline int ct_kill6(struct ct_conn6 *conn, const union ct_key *key, __u64 word, __u32 stat)
{
	const struct ct_settings *set = ct_settings();

	return conn && key && set ? ct_kill_body(set, &conn->c, key, word, 6, stat) : 0;
}

/* conn is the first member of a ct_conn4 or ct_conn6, as family (a constant) says. */
static __always_inline int ct_kill(struct ct_conn *conn, const union ct_key *key, __u64 word,
				   __u8 family, __u32 stat)
{
	if (family == 4)
		return ct_kill4((struct ct_conn4 *)conn, key, word, stat);
	return ct_kill6((struct ct_conn6 *)conn, key, word, stat);
}

/* What is kept beside the record of few connections: label, master. */
__noinline int ct_label_delete(const union ct_key *key, __u32 gen, __u8 family)
{
	struct ct_label_key lk;

	if (!key)
		return 0;
	ct_label_key(&lk, key, gen, family);
	bpf_map_delete_elem(&ct_master_v1, &lk);
	bpf_map_delete_elem(&ct_alg_v1, &lk);
	return bpf_map_delete_elem(&ct_label_v1, &lk);
}

/* What stands beside the record, under its key and generation: label, master, helper. */
static __always_inline void ct_label_drop(const union ct_key *key, __u64 word, __u8 family)
{
	if (word & CT_W_STATUS(CT_S_LABEL | CT_S_EXPECTED | CT_S_HELPER))
		ct_label_delete(key, ct_w_gen(word), family);
}

/* As ct_share_back(), for who takes over a dying record in place. */
__noinline int ct_share_drop(const union ct_key *key, __u64 word, __u8 family)
{
	const struct ct_settings *set = ct_settings();

	if (!set || !key)
		return 0;
	if (family == 4)
		ct_share_back(set, key, word, 4);
	else
		ct_share_back(set, key, word, 6);
	return 0;
}

/* Marks a record DEAD that has been DYING for a second; stub and label go now.
 * Returns 1 to the winner, who deletes the node. (On Linux 6.1 a map key may not
 * be an argument of a global function, so the delete is the caller's.) */
static __always_inline int ct_reap_body(const struct ct_settings *set, struct ct_conn *conn,
					const union ct_key *key, __u64 word, __u32 now, __u8 family)
{
	union ct_key skey = {};
	struct ct_table *tab;

	if (ct_w_life(word) != CT_LIFE_DYING ||
	    ct_before(now, conn->expires + ct_ticks(set, CT_DYING_SECS) + 1))
		return 0;
	if (!ct_cas(conn, word, ct_w_with_life(word, CT_LIFE_DEAD)))
		return 0;
	if (word & CT_W_STATUS(CT_S_NAT)) {
		ct_reply_key(&skey, conn, key, family);
		ct_stub_drop(&skey, key, ct_w_gen(word), family);
	}
	if (word & CT_W_STATUS(CT_S_SHARE))
		ct_share_back(set, key, word, family);
	ct_label_drop(key, word, family);
	/* Late, as all else: this frame is part of the deepest stack. */
	tab = ct_table(family);
	if (tab)
		ct_add(&tab->nodes, -1);
	ct_stat(CT_STAT_DELETED);
	return 1;
}

__noinline int ct_reap4(struct ct_conn4 *conn, const union ct_key *key, __u64 word, __u32 now)
{
	const struct ct_settings *set = ct_settings();

	return conn && key && set ? ct_reap_body(set, &conn->c, key, word, now, 4) : 0;
}

__noinline int ct_reap6(struct ct_conn6 *conn, const union ct_key *key, __u64 word, __u32 now)
{
	const struct ct_settings *set = ct_settings();

	return conn && key && set ? ct_reap_body(set, &conn->c, key, word, now, 6) : 0;
}

/* What every pass over records does with one whose word is `word`: end it when
 * expired, delete it when it has been dead for a second. Returns 1 if its node is
 * free now. key must be on the caller's stack. */
static __always_inline int ct_visit(struct ct_conn *conn, const union ct_key *key, __u64 word,
				    __u32 now, __u8 family)
{
	__u32 life = ct_w_life(word);

	if (life == CT_LIFE_DYING && family == 4) {
		if (!ct_reap4((struct ct_conn4 *)conn, key, word, now))
			return 0;
		bpf_map_delete_elem(&ct_conn4_v1, &key->k4);
		/* It kept its slot while it was dead, unless it was promoted. */
		ct_half_leave(ct_w_gen(word), 4);
		return 1;
	}
	if (life == CT_LIFE_DYING) {
		if (!ct_reap6((struct ct_conn6 *)conn, key, word, now))
			return 0;
		bpf_map_delete_elem(&ct_conn6_v1, &key->k6);
		/* It kept its slot while it was dead, unless it was promoted. */
		ct_half_leave(ct_w_gen(word), 6);
		return 1;
	}
	if ((life == CT_LIFE_HALF_OPEN || life == CT_LIFE_CONFIRMED) &&
	    ct_before(conn->expires, now))
		ct_kill(conn, key, word, family, CT_STAT_EXPIRED);
	return 0;
}

/*
 * Does this record stand under this key? An iterator, or a program run by a system
 * call, may be preempted for longer than a dead node rests, and so hold a key and a
 * value that no longer belong together, or a pointer to a stranger. Asked after the
 * word was read: then a compare-and-swap with that word is about this key's record.
 */
static __always_inline int ct_still_under(const union ct_key *key, const void *conn, __u8 family)
{
	return ct_conn_at(key, family) == conn;
}

/* One entry of a walk over the records. */
static __always_inline int ct_visit_entry(struct ct_conn *conn, const union ct_key *key, __u32 now,
					  __u8 family)
{
	__u64 word = ct_word(conn);

	return ct_still_under(key, conn, family) ? ct_visit(conn, key, word, now, family) : 0;
}

/*
 * When a confirmed record is worth the next look: when it expires; or earlier, as one that closes
 * gets a shorter time-out. For ctd's pass that is within `rest` (ct_sweep_rest), each record at
 * its own turn, so that every pass has as many. For commits (rest 0) it is when the record is
 * twice as old as now, 15 to 30 s from now at most.
 */
#define CT_REAP_REST 15 /* seconds */
static __always_inline __u32 ct_look_again(const struct ct_settings *set,
					   const struct ct_conn *conn, __u32 gen, __u32 now,
					   __u32 rest)
{
	__u32 expires = *(volatile const __u32 *)&conn->expires, age = now - conn->start;

	if (rest) {
		rest = (gen - now) % rest;
	} else {
		rest = ct_ticks(set, CT_REAP_REST + (gen & 15));
		if (rest > age)
			rest = age;
	}
	return ct_before(expires, now + rest) ? expires + 1 : now + rest + 1;
}

/*
 * Visits what a slot of a ring or clock points to. Returns 1 if the slot can be
 * taken: nothing there, another life, or another class than `life`. With
 * min_age (ticks) a half-open record at least as old gives way, as does what
 * expired unseen (nobody sweeps without ctd); one that was DYING already and
 * never confirmed keeps the slot for its second: that bounds the dead as well.
 * A slot of the clock whose record lives on learns when to look again, another is empty then.
 */
static __always_inline int ct_slot_look(struct ct_slot *slot, __u32 gen, __u32 life, __u32 min_age,
					__u8 family)
{
	const struct ct_settings *set = ct_settings();
	union ct_key key = {};
	struct ct_conn *conn;
	__u32 now, was;
	__u64 word;

	if (!set)
		return 0;
	ct_slot_key(slot, &key, family);
	conn = ct_conn_at(&key, family);
	if (!conn)
		return 1;
	/* Once: a word of this generation is this record's, whoever's the node is now. */
	word = ct_word(conn);
	if (ct_w_gen(word) != gen)
		return 1;
	now = ct_now(set);
	was = ct_w_life(word);
	if (ct_visit(conn, &key, word, now, family))
		return 1;
	word = ct_word(conn);
	if (ct_w_gen(word) != gen)
		return 1;
	if (life == CT_LIFE_CONFIRMED) {
		if (ct_w_life(word) == life)
			slot->born = ct_look_again(set, conn, gen, now, 0);
		return ct_w_life(word) != life;
	}
	if (ct_w_life(word) == CT_LIFE_DYING &&
	    (was != CT_LIFE_DYING || (word & CT_W_STATUS(CT_S_ASSURED))))
		return 1;
	if (ct_w_life(word) == CT_LIFE_HALF_OPEN && now - slot->born >= min_age)
		return ct_kill(conn, &key, word, family, CT_STAT_EARLY_DROP);
	return ct_w_life(word) == CT_LIFE_CONFIRMED;
}

static __always_inline int ct_slot_free_body(struct ct_slot *slot, __u32 life, __u32 min_age,
					     __u8 family)
{
	__u32 gen = *(volatile __u32 *)&slot->gen;
	int v = gen ? ct_slot_look(slot, gen, life, min_age, family) : 1;

	if (v && life == CT_LIFE_CONFIRMED)
		__sync_val_compare_and_swap(&slot->gen, gen, 0);
	return v;
}

__noinline int ct_slot4_free(struct ct_slot4 *slot, __u32 life, __u32 min_age)
{
	return slot ? ct_slot_free_body(&slot->s, life, min_age, 4) : 0;
}

__noinline int ct_slot6_free(struct ct_slot6 *slot, __u32 life, __u32 min_age)
{
	return slot ? ct_slot_free_body(&slot->s, life, min_age, 6) : 0;
}

static __always_inline int ct_slot_free(struct ct_slot *slot, __u32 life, __u32 min_age,
					__u8 family)
{
	if (family == 4)
		return ct_slot4_free(ct_slot4_of(slot), life, min_age);
	return ct_slot6_free(ct_slot6_of(slot), life, min_age);
}

/* Our own insert lost against a live stub under the same key: undo it, also when
 * a packet has changed its word meanwhile. */
static __always_inline int ct_withdraw_body(const union ct_key *at, __u32 gen, __u8 family)
{
	struct ct_conn *c;
	union ct_key key;
	__u64 word;
	int i;

	if (!at)
		return 0;
	key = *at;
	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		c = ct_conn_at(&key, family);
		word = c ? ct_word(c) : 0;
		if (!c || ct_w_gen(word) != gen || !ct_w_live(word) ||
		    ct_kill(c, &key, word, family, CT_STAT_INSERT_FAILED))
			return 0;
	}
	return 0;
}

__noinline int ct_withdraw(const union ct_key *at, __u32 gen, __u8 family)
{
	return family == 4 ? ct_withdraw_body(at, gen, 4) : ct_withdraw_body(at, gen, 6);
}

#endif
