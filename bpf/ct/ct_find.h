/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_FIND_H
#define BPFCT_CT_FIND_H

#include "ct_life.h"

/*
 * Finds the live record that a tuple belongs to, and the direction in which the
 * tuple runs. An untranslated connection answers both ways under one key. A
 * translated one answers its original direction under its key, and replies only
 * through its stub (I1): a reply with untranslated addresses is not part of it.
 * A stub is believed only when the record's own reply tuple is what we look for.
 *
 * Which of the two maps is asked first is a guess (ct_guess()); the answer is the
 * same: a record that a stub leads to answers one direction of the tuple, what
 * lies under the tuple itself answers the other or both, never the same one (I2).
 *
 * b->found.now and .stub_first go in; direction and word come out in b->found, and b->key is
 * the key of what was found, for NULL the tuple's own. A subprogram of its own,
 * so that its stack is free again when the trackers run.
 */
/* The live record under b->key itself. */
static __always_inline struct ct_conn4 *ct_find_direct4(struct ct_build *b, __u32 src)
{
	struct ct_conn4 *conn = bpf_map_lookup_elem(&ct_conn4_v1, &b->key.k4);
	__u32 dir;
	__u64 w;

	if (!conn)
		return NULL;
	w = ct_word(&conn->c);
	dir = src != !!(w & CT_W_ORIG_HI);
	if (!ct_alive(&conn->c, w, b->found.now) ||
	    (dir == CT_REPLY && (w & CT_W_STATUS(CT_S_NAT))))
		return NULL;
	b->found.dir = dir;
	b->found.word = w;
	return conn;
}

/* The live record that a stub under b->key leads to; then b->key is that record's. */
static __always_inline struct ct_conn4 *ct_find_stub4(const struct ct_tuple *t, int icmp_reply,
						      struct ct_build *b)
{
	struct ct_stub4 *stub = bpf_map_lookup_elem(&ct_stub4_v1, &b->key.k4);
	struct ct_conn4 *conn;
	struct ct_key4 k;
	__u64 w;

	if (!stub)
		return NULL;
	k = stub->conn;
	conn = bpf_map_lookup_elem(&ct_conn4_v1, &k);
	if (!conn)
		return NULL;
	w = ct_word(&conn->c);
	if (!ct_alive(&conn->c, w, b->found.now) || !(w & CT_W_STATUS(CT_S_NAT)) ||
	    conn->reply_saddr != t->saddr[0] || conn->reply_daddr != t->daddr[0] ||
	    conn->c.reply_sport != t->sport || conn->c.reply_dport != t->dport ||
	    (t->proto == IPPROTO_ICMP && !icmp_reply) || k.proto != t->proto || k.zone != t->zone)
		return NULL;
	b->key.k4 = k;
	b->found.dir = CT_REPLY;
	b->found.word = w;
	return conn;
}

static __always_inline struct ct_conn4 *ct_find4_here(const struct ct_tuple *t, int icmp_reply,
						      struct ct_build *b)
{
	struct ct_conn4 *conn;
	__u32 src = ct_key4_make(&b->key.k4, t, icmp_reply);

	if (b->found.stub_first) {
		conn = ct_find_stub4(t, icmp_reply, b);
		return conn ? conn : ct_find_direct4(b, src);
	}
	conn = ct_find_direct4(b, src);
	return conn ? conn : ct_find_stub4(t, icmp_reply, b);
}

/* As ct_find4_here(), off the way of the bulk of packets. */
static __noinline struct ct_conn4 *ct_find4(const struct ct_tuple *t, int icmp_reply,
					    struct ct_build *b)
{
	return ct_find4_here(t, icmp_reply, b);
}

static __always_inline int ct_addr6_same(const __be32 *a, const __be32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* The live record under b->key itself. */
static __always_inline struct ct_conn6 *ct_find_direct6(struct ct_build *b, __u32 src)
{
	struct ct_conn6 *conn = bpf_map_lookup_elem(&ct_conn6_v1, &b->key.k6);
	__u32 dir;
	__u64 w;

	if (!conn)
		return NULL;
	w = ct_word(&conn->c);
	dir = src != !!(w & CT_W_ORIG_HI);
	if (!ct_alive(&conn->c, w, b->found.now) ||
	    (dir == CT_REPLY && (w & CT_W_STATUS(CT_S_NAT))))
		return NULL;
	b->found.dir = dir;
	b->found.word = w;
	return conn;
}

/* The live record that a stub under b->key leads to; then b->key is that record's. */
static __always_inline struct ct_conn6 *ct_find_stub6(const struct ct_tuple *t, int icmp_reply,
						      struct ct_build *b)
{
	const struct ct_settings *set = ct_settings();
	struct ct_stub6 *stub;
	struct ct_conn6 *conn;
	struct ct_key6 k;
	__u64 w;

	if (!set)
		return NULL;
	w = ct_key6_siphash(set->secret, &b->key.k6); /* ct_stub6_hash(), without the call */
	stub = bpf_map_lookup_elem(&ct_stub6_v1, &w);
	if (!stub)
		return NULL;
	k = stub->conn;
	conn = bpf_map_lookup_elem(&ct_conn6_v1, &k);
	if (!conn)
		return NULL;
	w = ct_word(&conn->c);
	if (!ct_alive(&conn->c, w, b->found.now) || !(w & CT_W_STATUS(CT_S_NAT)) ||
	    !ct_addr6_same(conn->reply_saddr, t->saddr) ||
	    !ct_addr6_same(conn->reply_daddr, t->daddr) || conn->c.reply_sport != t->sport ||
	    conn->c.reply_dport != t->dport || (t->proto == IPPROTO_ICMPV6 && !icmp_reply) ||
	    k.proto != t->proto || k.zone != t->zone)
		return NULL;
	b->key.k6 = k;
	b->found.dir = CT_REPLY;
	b->found.word = w;
	return conn;
}

static __noinline struct ct_conn6 *ct_find6(const struct ct_tuple *t, int icmp_reply,
					    struct ct_build *b)
{
	__u32 src = ct_key6_make(&b->key.k6, t, icmp_reply);
	struct ct_conn6 *conn = NULL;

	/* The stub's way is long: one place for it. */
	if (!b->found.stub_first)
		conn = ct_find_direct6(b, src);
	if (!conn)
		conn = ct_find_stub6(t, icmp_reply, b);
	if (!conn && b->found.stub_first)
		conn = ct_find_direct6(b, src);
	return conn;
}

/* Replies of translated connections come by the interfaces that face outwards:
 * so what an interface brought last says which map to ask first. */
static __always_inline void ct_guess(struct ct_build *b, __u32 ifindex)
{
	b->found.slot = ifindex & (CT_GUESSES - 1);
	b->found.stub_first = b->guess[b->found.slot & (CT_GUESSES - 1)] > CT_GUESS_MAX / 2;
}

static __always_inline void ct_guess_learn(struct ct_build *b)
{
	int by_stub = b->found.dir == CT_REPLY && (b->found.word & CT_W_STATUS(CT_S_NAT));
	__u8 *g = &b->guess[b->found.slot & (CT_GUESSES - 1)];

	if (by_stub && *g < CT_GUESS_MAX)
		*g += 1;
	else if (!by_stub && *g)
		*g -= 1;
}

#endif
