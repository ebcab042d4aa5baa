/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_CLAIM_H
#define BPFCT_NAT_CLAIM_H

#include "../ct/ct_life.h"
#include "nat_maps.h"

/*
 * A tuple belongs to one connection (I2). A translated connection claims its
 * reply tuple by inserting a stub under it, then looks whether a record lives
 * there; a plain one inserts its record, then looks for a live stub. Each looks
 * after its own insert (ct_barrier), so of two that race at least one sees the
 * other and steps back.
 */
#define NAT_STUB_GRACE_SECS 1 /* a stub's record follows it within a program run */

/* Does the stub under this key lead to a live connection, or may its commit be
 * under way? Removes one that leads nowhere. */
__noinline int nat_stub_live4(const struct ct_key4 *skey, __u32 now)
{
	const struct ct_settings *set = ct_settings();
	struct ct_stub4 *s;
	struct ct_conn4 *conn;
	struct ct_key4 key;
	__u32 gen, born;
	__u64 w;

	if (!skey || !set)
		return 0;
	key = *skey;
	s = bpf_map_lookup_elem(&ct_stub4_v1, &key);
	if (!s)
		return 0;
	key = s->conn;
	gen = s->gen;
	born = s->born;
	conn = bpf_map_lookup_elem(&ct_conn4_v1, &key);
	if (conn) {
		w = ct_word(&conn->c);
		if (ct_w_gen(w) == gen)
			return ct_w_life(w) == CT_LIFE_SETUP || ct_alive(&conn->c, w, now);
	}
	if (ct_before(now, born + ct_ticks(set, NAT_STUB_GRACE_SECS) + 1))
		return 1;
	return 0;
}

__noinline int nat_stub_live6(const struct ct_key6 *skey, __u32 now)
{
	const struct ct_settings *set = ct_settings();
	struct ct_stub6 *s;
	struct ct_conn6 *conn;
	struct ct_key6 key;
	__u32 gen, born;
	__u64 w;

	if (!skey || !set)
		return 0;
	key = *skey;
	s = bpf_map_lookup_elem(&ct_stub6_v1, &key);
	if (!s)
		return 0;
	key = s->conn;
	gen = s->gen;
	born = s->born;
	conn = bpf_map_lookup_elem(&ct_conn6_v1, &key);
	if (conn) {
		w = ct_word(&conn->c);
		if (ct_w_gen(w) == gen)
			return ct_w_life(w) == CT_LIFE_SETUP || ct_alive(&conn->c, w, now);
	}
	if (ct_before(now, born + ct_ticks(set, NAT_STUB_GRACE_SECS) + 1))
		return 1;
	return 0;
}

/*
 * Claims the reply tuple of the record being built (ct_build, IPv4) for the
 * connection under *key. 1: ours, 0: taken, negative: drop reason, of which
 * COMMIT_BUSY says that another CPU enters the same connection.
 */
__noinline int nat_claim4(const union ct_key *key, __u32 gen)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(4);
	struct ct_build *b = ct_build();
	struct ct_stub4 stub = {};
	union ct_key skey = {};
	struct ct_conn4 *conn;
	union ct_key other = {};
	struct ct_stub4 *s;
	__u32 now, was;
	int live;

	if (!set || !tab || !b || !key)
		return -CT_DROP_MAP_MISSING;
	now = ct_now(set);
	ct_reply_key(&skey, &b->c, key, 4);
	stub.conn = key->k4;
	stub.gen = gen;
	stub.born = now;
	if (ct_add(&tab->stubs, 1) > tab->stub_limit) {
		ct_add(&tab->stubs, -1);
		return -CT_DROP_NODES_FULL;
	}
	if (bpf_map_update_elem(&ct_stub4_v1, &skey.k4, &stub, BPF_NOEXIST)) {
		ct_add(&tab->stubs, -1);
		s = bpf_map_lookup_elem(&ct_stub4_v1, &skey.k4);
		if (!s)
			return 0;
		was = *(volatile __u32 *)&s->gen;
		other.k4 = s->conn;
		live = nat_stub_live4(&skey.k4, now);
		if (other.k4.addr[0] != key->k4.addr[0] || other.k4.addr[1] != key->k4.addr[1] ||
		    other.k4.port[0] != key->k4.port[0] || other.k4.port[1] != key->k4.port[1] ||
		    other.k4.zone != key->k4.zone || other.k4.proto != key->k4.proto) {
			/* One that leads nowhere goes; its place is free for the next who asks. */
			if (!live && !bpf_map_lookup_elem(&ct_conn4_v1, &other.k4) &&
			    ct_stub_drop(&skey, &other, was, 4))
				ct_stat(CT_STAT_STUB_REPAIRED);
			return 0;
		}
		/* Our own former life's: the same client came back. Of two CPUs that
		 * enter it now one goes on. */
		if (live || !was)
			return -CT_DROP_COMMIT_BUSY;
		*(volatile __u32 *)&s->born = now;
		if (__sync_val_compare_and_swap(&s->gen, was, gen) != was)
			return -CT_DROP_COMMIT_BUSY;
	}
	ct_barrier(b);
	conn = bpf_map_lookup_elem(&ct_conn4_v1, &skey.k4);
	if (conn && (ct_w_life(ct_word(&conn->c)) == CT_LIFE_SETUP ||
		     ct_alive(&conn->c, ct_word(&conn->c), now))) {
		ct_stub_drop(&skey, key, gen, 4);
		return 0;
	}
	return 1;
}

/* As nat_claim4. */
__noinline int nat_claim6(const union ct_key *key, __u32 gen)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(6);
	struct ct_build *b = ct_build();
	struct ct_stub6 stub = {};
	union ct_key skey = {};
	struct ct_conn6 *conn;
	union ct_key other = {};
	struct ct_stub6 *s;
	__u32 now, was;
	int live;

	if (!set || !tab || !b || !key)
		return -CT_DROP_MAP_MISSING;
	now = ct_now(set);
	ct_reply_key(&skey, &b->c, key, 6);
	stub.conn = key->k6;
	stub.gen = gen;
	stub.born = now;
	if (ct_add(&tab->stubs, 1) > tab->stub_limit) {
		ct_add(&tab->stubs, -1);
		return -CT_DROP_NODES_FULL;
	}
	if (bpf_map_update_elem(&ct_stub6_v1, &skey.k6, &stub, BPF_NOEXIST)) {
		ct_add(&tab->stubs, -1);
		s = bpf_map_lookup_elem(&ct_stub6_v1, &skey.k6);
		if (!s)
			return 0;
		was = *(volatile __u32 *)&s->gen;
		other.k6 = s->conn;
		live = nat_stub_live6(&skey.k6, now);
		if (ct_addr6_cmp(other.k6.addr[0], key->k6.addr[0]) ||
		    ct_addr6_cmp(other.k6.addr[1], key->k6.addr[1]) ||
		    other.k6.port[0] != key->k6.port[0] || other.k6.port[1] != key->k6.port[1] ||
		    other.k6.zone != key->k6.zone || other.k6.proto != key->k6.proto) {
			if (!live && !bpf_map_lookup_elem(&ct_conn6_v1, &other.k6) &&
			    ct_stub_drop(&skey, &other, was, 6))
				ct_stat(CT_STAT_STUB_REPAIRED);
			return 0;
		}
		if (live || !was)
			return -CT_DROP_COMMIT_BUSY;
		*(volatile __u32 *)&s->born = now;
		if (__sync_val_compare_and_swap(&s->gen, was, gen) != was)
			return -CT_DROP_COMMIT_BUSY;
	}
	ct_barrier(b);
	conn = bpf_map_lookup_elem(&ct_conn6_v1, &skey.k6);
	if (conn && (ct_w_life(ct_word(&conn->c)) == CT_LIFE_SETUP ||
		     ct_alive(&conn->c, ct_word(&conn->c), now))) {
		ct_stub_drop(&skey, key, gen, 6);
		return 0;
	}
	return 1;
}

#endif
