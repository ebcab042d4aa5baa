/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_LIFE_H
#define BPFCT_CT_LIFE_H

#include <bpf/bpf_endian.h>

#include "../lib/ct_clock.h"
#include "../lib/ct_hash.h"
#include "../nat/nat_sub.h"
#include "../nat/nat_use.h"
#include "ct_event.h"

/*
 * Life and death of records (I3, I4). A word changes only here and in
 * ct_touch.h, always by compare-and-swap:
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

static __always_inline int ct_cas(struct ct_conn *conn, __u64 old, __u64 new)
{
	return __sync_val_compare_and_swap(&conn->word, old, new) == old;
}

static __always_inline __u64 ct_w_with_life(__u64 w, __u32 life)
{
	return (w & ~CT_W_LIFE_MASK) | CT_W_LIFE(life);
}

static __always_inline __u64 ct_word(const struct ct_conn *conn)
{
	return *(volatile const __u64 *)&conn->word;
}

/*
 * What was written before is seen by others before anything is read after. A map
 * insert is not enough: its lock's release lets later loads overtake the stores,
 * so two CPUs may each insert and then each miss the other's. (Seen: 1 of 200,000
 * claims that raced with a plain commit.)
 */
static __always_inline void ct_barrier(struct ct_build *b)
{
	__u64 w = __sync_val_compare_and_swap(&b->found.word, 0, 0);

	asm volatile("" : : "r"(w));
}

static __always_inline int ct_w_live(__u64 word)
{
	__u32 life = ct_w_life(word);

	return life == CT_LIFE_HALF_OPEN || life == CT_LIFE_CONFIRMED;
}

/* Not dead, not dying, not expired. The word is looked at again after the time,
 * which might be that of the connection that takes an expired one's place. */
static __always_inline int ct_alive(const struct ct_conn *conn, __u64 word, __u32 now)
{
	__u64 again;

	if (!ct_w_live(word) || ct_before(*(volatile const __u32 *)&conn->expires, now))
		return 0;
	again = ct_word(conn);
	return ct_w_gen(again) == ct_w_gen(word) && ct_w_live(again);
}

/* Tries of a compare-and-swap that other CPUs keep winning. */
#define CT_TOUCH_TRIES 6

/* Sets status bits of a connection whose word was `word`, whatever packets change meanwhile.
 * 0 when it has ended. */
static __always_inline int ct_set_status(struct ct_conn *conn, __u64 word, __u16 status)
{
	__u32 gen = ct_w_gen(word);
	int i;

	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		if (ct_cas(conn, word, word | CT_W_STATUS(status)))
			return 1;
		word = ct_word(conn);
		if (ct_w_gen(word) != gen || !ct_w_live(word))
			return 0;
	}
	return 0;
}

/* Sets the mark of a connection whose word was `word`, from where we may be preempted: it is
 * swapped together with the time of the start beside it, which the node's next life has not. */
static __always_inline int ct_set_mark(struct ct_conn *conn, __u64 word, __u32 mark)
{
	__u64 *both = (__u64 *)&conn->start, was, want;
	__u64 now;
	int i;

	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		was = *(volatile __u64 *)both;
		now = ct_word(conn);
		if (ct_w_gen(now) != ct_w_gen(word) || !ct_w_live(now))
			return 0;
		want = (was & 0xffffffff) | (__u64)mark << 32;
		if (__sync_val_compare_and_swap(both, was, want) == was)
			return 1;
	}
	return 0;
}
_Static_assert(__builtin_offsetof(struct ct_conn, start) % 8 == 0 &&
		       __builtin_offsetof(struct ct_conn, mark) ==
			       __builtin_offsetof(struct ct_conn, start) + 4,
	       "start and mark are swapped as one");

/*
 * Starts the timer of a connection anew, whose word was `word` when the caller
 * was done with it. Who kills writes the time of death there, who changes the
 * state or takes the node over another time-out: theirs must stand. So the old
 * time is read before the word, and replaced only while it is still that.
 */
static __always_inline void ct_set_timer(struct ct_conn *conn, __u64 word, __u32 expires)
{
	__u32 was;
	__u64 w;
	int i;

	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		was = *(volatile __u32 *)&conn->expires;
		w = ct_word(conn);
		if (was == expires || ct_w_gen(w) != ct_w_gen(word) ||
		    ct_w_state(w) != ct_w_state(word) || !ct_w_live(w))
			return;
		if (__sync_val_compare_and_swap(&conn->expires, was, expires) == was)
			return;
	}
}

/* As ct_set_timer() from where we may be preempted: swapped together with the time of the last
 * packet beside it, which no later life of the node has. 1, or 0 when it has ended. */
static __always_inline int ct_set_timer_alone(struct ct_conn *conn, __u64 word, __u32 expires)
{
	__u64 *both = (__u64 *)&conn->expires, was, want, w;
	int i;

	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		was = *(volatile __u64 *)both;
		w = ct_word(conn);
		if (ct_w_gen(w) != ct_w_gen(word) || !ct_w_live(w))
			return 0;
		want = (was & ~0xffffffffULL) | expires;
		if (__sync_val_compare_and_swap(both, was, want) == was)
			return 1;
	}
	return 0;
}
_Static_assert(__builtin_offsetof(struct ct_conn, expires) % 8 == 0 &&
		       __builtin_offsetof(struct ct_conn, last) ==
			       __builtin_offsetof(struct ct_conn, expires) + 4,
	       "expires and last are swapped as one");

static __always_inline __u32 ct_add(__u32 *n, __s32 by)
{
	return __sync_fetch_and_add(n, by) + by;
}

/* Two CPUs may both raise the mark; the lower one may win by one. */
static __always_inline void ct_high(__u32 *high, __u32 n)
{
	if (n > *(volatile __u32 *)high)
		*(volatile __u32 *)high = n;
}

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
	__u32 at, size;

	if (!set || !(gen & CT_GEN_RING))
		return 0;
	at = ct_half_ring(set, gen >> CT_GEN_SIDE_SHIFT & 3, &size);
	at += gen & CT_GEN_COUNT & (size - 1);
	if (family == 4) {
		struct ct_slot4 *s = bpf_map_lookup_elem(&ct_half4_v1, &at);

		if (s && *(volatile __u32 *)&s->gen == gen)
			__sync_val_compare_and_swap(&s->gen, gen, 0);
	} else {
		struct ct_slot6 *s = bpf_map_lookup_elem(&ct_half6_v1, &at);

		if (s && *(volatile __u32 *)&s->gen == gen)
			__sync_val_compare_and_swap(&s->gen, gen, 0);
	}
	return 0;
}

/* Remembers a death, so that commits can free the node a second later even when
 * ctd does not sweep. An entry overwritten before its time is left to ctd. */
static __always_inline void ct_bury(const struct ct_settings *set, struct ct_table *tab,
				    const union ct_key *key, __u32 gen, __u8 family)
{
	__u32 at = __sync_fetch_and_add(&tab->grave_head, 1) & (set->grave_size - 1);

	if (family == 4) {
		struct ct_slot4 *s = bpf_map_lookup_elem(&ct_grave4_v1, &at);

		if (s) {
			s->key = key->k4;
			s->born = ct_now(set);
			*(volatile __u32 *)&s->gen = gen;
		}
	} else {
		struct ct_slot6 *s = bpf_map_lookup_elem(&ct_grave6_v1, &at);

		if (s) {
			s->key = key->k6;
			s->born = ct_now(set);
			*(volatile __u32 *)&s->gen = gen;
		}
	}
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

/* The key of the reply tuple, canonical. */
static __always_inline int ct_reply_key4_body(union ct_key *out, const struct ct_conn4 *conn,
					      const union ct_key *key)
{
	struct ct_tuple t = {};

	t.family = 4;
	t.sport = conn->c.reply_sport;
	t.dport = conn->c.reply_dport;
	t.saddr[0] = conn->reply_saddr;
	t.daddr[0] = conn->reply_daddr;
	t.zone = key->k4.zone;
	t.proto = key->k4.proto;
	return ct_key4_make(&out->k4, &t, 1);
}

__noinline int ct_reply_key4(union ct_key *out, const struct ct_conn4 *conn,
			     const union ct_key *key)
{
	return out && conn && key ? ct_reply_key4_body(out, conn, key) : 0;
}

/* As ct_key6_make() of the reply tuple, without the tuple: the deepest stacks of all
 * end here. */
__noinline int ct_reply_key6(union ct_key *out, const struct ct_conn6 *conn,
			     const union ct_key *key)
{
	__be16 sport, dport;
	struct ct_key6 *k;
	int c, icmp, src;

	if (!out || !conn || !key)
		return 0;
	k = &out->k6;
	sport = conn->c.reply_sport;
	dport = conn->c.reply_dport;
	icmp = key->k6.proto == IPPROTO_ICMPV6;
	c = ct_addr6_cmp(conn->reply_saddr, conn->reply_daddr);
	src = icmp || c > 0 || (c == 0 && sport > dport);
	k->zone = key->k6.zone;
	k->proto = key->k6.proto;
	k->pad = 0;
	k->port[0] = src && !icmp ? dport : sport;
	k->port[1] = src && !icmp ? sport : dport;
	if (src) {
		__builtin_memcpy(k->addr[0], conn->reply_daddr, 16);
		__builtin_memcpy(k->addr[1], conn->reply_saddr, 16);
	} else {
		__builtin_memcpy(k->addr[0], conn->reply_saddr, 16);
		__builtin_memcpy(k->addr[1], conn->reply_daddr, 16);
	}
	return src;
}

static __always_inline void ct_reply_key(union ct_key *out, const struct ct_conn *conn,
					 const union ct_key *key, __u8 family)
{
	if (family == 4)
		ct_reply_key4(out, (const struct ct_conn4 *)conn, key);
	else
		ct_reply_key6(out, (const struct ct_conn6 *)conn, key);
}

/* Takes the stub out of its map. 1 to who did it, with what it held in nat[]. */
static __always_inline int ct_stub_out(const union ct_key *skey, const union ct_key *key, __u32 gen,
				       __u8 family, __u32 *nat)
{
	const struct ct_settings *set = ct_settings();
	union ct_key k = *skey;

	if (!set)
		return 0;
	if (family == 4) {
		struct ct_stub4 *s = bpf_map_lookup_elem(&ct_stub4_v1, &k.k4);

		if (!s || s->conn.addr[0] != key->k4.addr[0] ||
		    s->conn.addr[1] != key->k4.addr[1] || *(volatile __u32 *)&s->gen != gen)
			return 0;
		*(volatile __u32 *)&s->born = ct_now(set);
		if (__sync_val_compare_and_swap(&s->gen, gen, 0) != gen)
			return 0;
		nat[0] = s->nat;
		nat[1] = s->nat_in;
		return !bpf_map_delete_elem(&ct_stub4_v1, &k.k4);
	} else {
		struct ct_stub6 *s = bpf_map_lookup_elem(&ct_stub6_v1, &k.k6);

		if (!s || ct_addr6_cmp(s->conn.addr[0], key->k6.addr[0]) ||
		    *(volatile __u32 *)&s->gen != gen)
			return 0;
		*(volatile __u32 *)&s->born = ct_now(set);
		if (__sync_val_compare_and_swap(&s->gen, gen, 0) != gen)
			return 0;
		nat[0] = s->nat;
		nat[1] = s->nat_in;
		return !bpf_map_delete_elem(&ct_stub6_v1, &k.k6);
	}
}

/* Removes the stub under skey if it leads to this life of this connection, and gives
 * back what it held. Its generation goes first, so that nobody takes over what is
 * about to go; born says since when: who meets it leaves it alone as long as we may be
 * on our way (nat_stub_left). */
__noinline int ct_stub_drop(const union ct_key *skey, const union ct_key *key, __u32 gen,
			    __u8 family)
{
	struct ct_table *tab;
	__u32 nat[2];
	__u16 zone;

	if (!skey || !key || !ct_stub_out(skey, key, gen, family, nat))
		return 0;
	zone = family == 4 ? key->k4.zone : key->k6.zone;
	tab = ct_table(family);
	if (tab)
		ct_add(&tab->stubs, -1);
	/* In place: the deepest stacks of all end here. */
	if (nat[0])
		nat_give_ref(nat[0], zone);
	if (nat[1])
		nat_give_ref(nat[1], zone);
	return 1;
}

__noinline int ct_label_delete(const union ct_key *key, __u32 gen, __u8 family)
{
	struct ct_label_key lk;

	if (!key)
		return 0;
	ct_label_key(&lk, key, gen, family);
	return bpf_map_delete_elem(&ct_label_v1, &lk);
}

static __always_inline void ct_label_drop(const union ct_key *key, __u64 word, __u8 family)
{
	if (word & CT_W_STATUS(CT_S_LABEL))
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
	if (family == 4)
		return bpf_map_lookup_elem(&ct_conn4_v1, &key->k4) == conn;
	return bpf_map_lookup_elem(&ct_conn6_v1, &key->k6) == conn;
}

/* One entry of a walk over the records. */
static __always_inline int ct_visit_entry(struct ct_conn *conn, const union ct_key *key, __u32 now,
					  __u8 family)
{
	__u64 word = ct_word(conn);

	return ct_still_under(key, conn, family) ? ct_visit(conn, key, word, now, family) : 0;
}

/* When a confirmed record is worth the next look (ct_clock_reap): when it expires; or, as one
 * that closes gets a shorter time-out, when it is twice as old as now, 15 to 30 s from now at
 * most: not all that were looked at together at the same time. */
#define CT_REAP_REST 15 /* seconds */
static __always_inline __u32 ct_look_again(const struct ct_settings *set,
					   const struct ct_conn *conn, __u32 gen, __u32 now)
{
	__u32 rest = ct_ticks(set, CT_REAP_REST + (gen & 15)), age = now - conn->start;

	if (rest > age)
		rest = age;
	return ct_before(conn->expires, now + rest) ? conn->expires + 1 : now + rest + 1;
}

/*
 * Visits what a slot of a ring or clock points to. Returns 1 if the slot can be
 * taken: nothing there, another life, or another class than `life`. With
 * min_age (ticks) a half-open record at least as old gives way, as does what
 * expired unseen (nobody sweeps without ctd); one that was DYING already and
 * never confirmed keeps the slot for its second: that bounds the dead as well.
 * A slot of the clock whose record lives on learns when to look again, another is empty then.
 */
static __always_inline int ct_slot4_look(struct ct_slot4 *slot, __u32 gen, __u32 life,
					 __u32 min_age)
{
	const struct ct_settings *set = ct_settings();
	struct ct_conn4 *conn;
	union ct_key key = {};
	__u32 now, was;
	__u64 word;

	if (!set)
		return 0;
	key.k4 = slot->key;
	conn = bpf_map_lookup_elem(&ct_conn4_v1, &key.k4);
	if (!conn || ct_w_gen(ct_word(&conn->c)) != gen)
		return 1;
	now = ct_now(set);
	word = ct_word(&conn->c);
	was = ct_w_life(word);
	if (ct_visit(&conn->c, &key, word, now, 4))
		return 1;
	word = ct_word(&conn->c);
	if (ct_w_gen(word) != gen)
		return 1;
	if (life == CT_LIFE_CONFIRMED) {
		if (ct_w_life(word) == life)
			slot->born = ct_look_again(set, &conn->c, gen, now);
		return ct_w_life(word) != life;
	}
	if (ct_w_life(word) == CT_LIFE_DYING &&
	    (was != CT_LIFE_DYING || (word & CT_W_STATUS(CT_S_ASSURED))))
		return 1;
	if (ct_w_life(word) == CT_LIFE_HALF_OPEN && now - slot->born >= min_age)
		return ct_kill(&conn->c, &key, word, 4, CT_STAT_EARLY_DROP);
	return ct_w_life(word) == CT_LIFE_CONFIRMED;
}

__noinline int ct_slot4_free(struct ct_slot4 *slot, __u32 life, __u32 min_age)
{
	__u32 gen;
	int v;

	if (!slot)
		return 0;
	gen = *(volatile __u32 *)&slot->gen;
	v = gen ? ct_slot4_look(slot, gen, life, min_age) : 1;
	if (v && life == CT_LIFE_CONFIRMED)
		__sync_val_compare_and_swap(&slot->gen, gen, 0);
	return v;
}

static __always_inline int ct_slot6_look(struct ct_slot6 *slot, __u32 gen, __u32 life,
					 __u32 min_age)
{
	const struct ct_settings *set = ct_settings();
	struct ct_conn6 *conn;
	union ct_key key = {};
	__u32 now, was;
	__u64 word;

	if (!set)
		return 0;
	key.k6 = slot->key;
	conn = bpf_map_lookup_elem(&ct_conn6_v1, &key.k6);
	if (!conn || ct_w_gen(ct_word(&conn->c)) != gen)
		return 1;
	now = ct_now(set);
	word = ct_word(&conn->c);
	was = ct_w_life(word);
	if (ct_visit(&conn->c, &key, word, now, 6))
		return 1;
	word = ct_word(&conn->c);
	if (ct_w_gen(word) != gen)
		return 1;
	if (life == CT_LIFE_CONFIRMED) {
		if (ct_w_life(word) == life)
			slot->born = ct_look_again(set, &conn->c, gen, now);
		return ct_w_life(word) != life;
	}
	if (ct_w_life(word) == CT_LIFE_DYING &&
	    (was != CT_LIFE_DYING || (word & CT_W_STATUS(CT_S_ASSURED))))
		return 1;
	if (ct_w_life(word) == CT_LIFE_HALF_OPEN && now - slot->born >= min_age)
		return ct_kill(&conn->c, &key, word, 6, CT_STAT_EARLY_DROP);
	return ct_w_life(word) == CT_LIFE_CONFIRMED;
}

__noinline int ct_slot6_free(struct ct_slot6 *slot, __u32 life, __u32 min_age)
{
	__u32 gen;
	int v;

	if (!slot)
		return 0;
	gen = *(volatile __u32 *)&slot->gen;
	v = gen ? ct_slot6_look(slot, gen, life, min_age) : 1;
	if (v && life == CT_LIFE_CONFIRMED)
		__sync_val_compare_and_swap(&slot->gen, gen, 0);
	return v;
}

/* Our own insert lost against a live stub under the same key: undo it, also when
 * a packet has changed its word meanwhile. */
__noinline int ct_withdraw(const union ct_key *at, __u32 gen, __u8 family)
{
	union ct_key key;
	__u64 word;
	int i;

	if (!at)
		return 0;
	key = *at;
	for (i = 0; i < CT_TOUCH_TRIES; i++) {
		if (family == 4) {
			struct ct_conn4 *c = bpf_map_lookup_elem(&ct_conn4_v1, &key.k4);

			word = c ? ct_word(&c->c) : 0;
			if (!c || ct_w_gen(word) != gen || !ct_w_live(word) ||
			    ct_kill4(c, &key, word, CT_STAT_INSERT_FAILED))
				return 0;
		} else {
			struct ct_conn6 *c = bpf_map_lookup_elem(&ct_conn6_v1, &key.k6);

			word = c ? ct_word(&c->c) : 0;
			if (!c || ct_w_gen(word) != gen || !ct_w_live(word) ||
			    ct_kill6(c, &key, word, CT_STAT_INSERT_FAILED))
				return 0;
		}
	}
	return 0;
}

#endif
