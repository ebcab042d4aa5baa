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
 * b->found.now goes in; direction and word come out in b->found, and b->key is
 * the key of what was found, for NULL the tuple's own. A subprogram of its own,
 * so that its stack is free again when the trackers run.
 */
static __noinline struct ct_conn4 *ct_find4(const struct ct_tuple *t, int icmp_reply,
					    struct ct_build *b)
{
	struct ct_conn4 *conn;
	struct ct_stub4 *stub;
	__u32 src, dir, now = b->found.now;
	union ct_key *key = &b->key;
	__u64 w;

	src = ct_key4_make(&key->k4, t, icmp_reply);
	conn = bpf_map_lookup_elem(&ct_conn4_v1, &key->k4);
	if (conn) {
		w = ct_word(&conn->c);
		dir = src != !!(w & CT_W_ORIG_HI);
		if (ct_alive(&conn->c, w, now) &&
		    !(dir == CT_REPLY && (w & CT_W_STATUS(CT_S_NAT)))) {
			b->found.dir = dir;
			b->found.word = w;
			return conn;
		}
	}
	stub = bpf_map_lookup_elem(&ct_stub4_v1, &key->k4);
	if (!stub)
		return NULL;
	{
		struct ct_key4 k = stub->conn;

		conn = bpf_map_lookup_elem(&ct_conn4_v1, &k);
		if (!conn)
			return NULL;
		w = ct_word(&conn->c);
		if (!ct_alive(&conn->c, w, now) || !(w & CT_W_STATUS(CT_S_NAT)) ||
		    conn->reply_saddr != t->saddr[0] || conn->reply_daddr != t->daddr[0] ||
		    conn->c.reply_sport != t->sport || conn->c.reply_dport != t->dport ||
		    (t->proto == IPPROTO_ICMP && !icmp_reply) || k.proto != t->proto ||
		    k.zone != t->zone)
			return NULL;
		key->k4 = k;
		b->found.dir = CT_REPLY;
		b->found.word = w;
	}
	return conn;
}

static __always_inline int ct_addr6_same(const __be32 *a, const __be32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __noinline struct ct_conn6 *ct_find6(const struct ct_tuple *t, int icmp_reply,
					    struct ct_build *b)
{
	struct ct_conn6 *conn;
	struct ct_stub6 *stub;
	__u32 src, dir, now = b->found.now;
	union ct_key *key = &b->key;
	__u64 w;

	src = ct_key6_make(&key->k6, t, icmp_reply);
	conn = bpf_map_lookup_elem(&ct_conn6_v1, &key->k6);
	if (conn) {
		w = ct_word(&conn->c);
		dir = src != !!(w & CT_W_ORIG_HI);
		if (ct_alive(&conn->c, w, now) &&
		    !(dir == CT_REPLY && (w & CT_W_STATUS(CT_S_NAT)))) {
			b->found.dir = dir;
			b->found.word = w;
			return conn;
		}
	}
	stub = bpf_map_lookup_elem(&ct_stub6_v1, &key->k6);
	if (!stub)
		return NULL;
	{
		struct ct_key6 k = stub->conn;

		conn = bpf_map_lookup_elem(&ct_conn6_v1, &k);
		if (!conn)
			return NULL;
		w = ct_word(&conn->c);
		if (!ct_alive(&conn->c, w, now) || !(w & CT_W_STATUS(CT_S_NAT)) ||
		    !ct_addr6_same(conn->reply_saddr, t->saddr) ||
		    !ct_addr6_same(conn->reply_daddr, t->daddr) ||
		    conn->c.reply_sport != t->sport || conn->c.reply_dport != t->dport ||
		    (t->proto == IPPROTO_ICMPV6 && !icmp_reply) || k.proto != t->proto ||
		    k.zone != t->zone)
			return NULL;
		key->k6 = k;
		b->found.dir = CT_REPLY;
		b->found.word = w;
	}
	return conn;
}

#endif
