/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_CLAIM_H
#define BPFCT_NAT_CLAIM_H

#include "../ct/ct_life.h"

/*
 * A tuple belongs to one connection (I2). A translated connection claims its
 * reply tuple by inserting a stub under it, then looks whether a record lives
 * there; a plain one inserts its record, then looks for a live stub. Each looks
 * after its own insert (ct_barrier), so of two that race at least one sees the
 * other and steps back.
 */
#define NAT_CLAIM_STALE	    2 /* a stub that leads nowhere is in the way: b->skey, key, stale_gen */
#define NAT_CLAIM_RECORD    3 /* our stub is in, but a record lives under its key: take it out */
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
	gen = *(volatile __u32 *)&s->gen;
	born = *(volatile __u32 *)&s->born;
	if (!gen) /* somebody is removing it */
		return 0;
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
	gen = *(volatile __u32 *)&s->gen;
	born = *(volatile __u32 *)&s->born;
	if (!gen) /* somebody is removing it */
		return 0;
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

/* May a stub that leads nowhere be removed? One whose generation is 0 is about to be by another,
 * who would then remove its successor; but a delete may have failed. */
static __always_inline int nat_stub_left(const struct ct_settings *set, __u32 gen, __u32 born,
					 __u32 now)
{
	return gen || ct_before(born + ct_ticks(set, 3 * NAT_STUB_GRACE_SECS), now);
}

/* Counts what the stub in b is going to hold: the port of its source, the binding
 * that let it in. 1, or 0: a binding has ended meanwhile, nothing is counted. */
static __always_inline int nat_hold(struct ct_build *b, __u32 zone)
{
	if (b->nat && !nat_take_use(b->nat, b->nat_gen, zone))
		return 0;
	if (!b->nat_in || nat_take_use(b->nat_in, b->nat_in_gen, zone))
		return 1;
	if (b->nat)
		nat_give_use(b->nat, zone);
	return 0;
}

static __always_inline void nat_unhold(__u32 nat, __u32 nat_in, __u32 zone)
{
	if (nat)
		nat_give_use(nat, zone);
	if (nat_in)
		nat_give_use(nat_in, zone);
}

/* A stub of our own former life, whose generation we have just replaced: what it
 * held goes back, what we hold goes in. */
static __always_inline void nat_inherit(__u32 *nat, __u32 *nat_in, const struct ct_build *b,
					__u32 zone)
{
	__u32 was = *nat, was_in = *nat_in;

	*(volatile __u32 *)nat = b->nat;
	*(volatile __u32 *)nat_in = b->nat_in;
	nat_unhold(was, was_in, zone);
}

/*
 * Claims the reply tuple of the record being built (ct_build, IPv4) for the
 * connection under *key. 1: ours, 0: taken, NAT_CLAIM_*: taken and something to do
 * (by the caller, whose stack has room), negative: drop reason, of which
 * COMMIT_BUSY says that another CPU enters the same connection.
 */
__noinline int nat_claim4(const union ct_key *key, __u32 gen)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(4);
	struct ct_build *b = ct_build();
	struct ct_conn4 *conn;
	struct ct_stub4 *s;
	__u32 now, was, zone;
	int live, left, v;

	if (!set || !tab || !b || !key)
		return -CT_DROP_MAP_MISSING;
	now = ct_now(set);
	zone = key->k4.zone;
	ct_reply_key(&b->skey, &b->c, key, 4);
	if (ct_add(&tab->stubs, 1) > tab->stub_limit) {
		ct_add(&tab->stubs, -1);
		return -CT_DROP_NODES_FULL;
	}
	if (!nat_hold(b, zone)) {
		ct_add(&tab->stubs, -1);
		return -CT_DROP_NAT_EXPIRED;
	}
	b->stub4.conn = key->k4;
	b->stub4.gen = gen;
	b->stub4.born = now;
	b->stub4.nat = b->nat;
	b->stub4.nat_in = b->nat_in;
	if (bpf_map_update_elem(&ct_stub4_v1, &b->skey.k4, &b->stub4, BPF_NOEXIST)) {
		ct_add(&tab->stubs, -1);
		v = 0;
		s = bpf_map_lookup_elem(&ct_stub4_v1, &b->skey.k4);
		if (!s)
			goto taken;
		was = *(volatile __u32 *)&s->gen;
		left = nat_stub_left(set, was, *(volatile __u32 *)&s->born, now);
		b->key.k4 = s->conn;
		live = nat_stub_live4(&b->skey.k4, now);
		if (b->key.k4.addr[0] != key->k4.addr[0] || b->key.k4.addr[1] != key->k4.addr[1] ||
		    b->key.k4.port[0] != key->k4.port[0] || b->key.k4.port[1] != key->k4.port[1] ||
		    b->key.k4.zone != key->k4.zone || b->key.k4.proto != key->k4.proto) {
			/* One that leads nowhere goes; its place is free for the next who asks. */
			b->stale_gen = was;
			if (!live && left && !bpf_map_lookup_elem(&ct_conn4_v1, &b->key.k4))
				v = NAT_CLAIM_STALE;
			goto taken;
		}
		/* Our own former life's: the same client came back. Of two CPUs that
		 * enter it now one goes on. */
		v = -CT_DROP_COMMIT_BUSY;
		if (!was && left) {
			b->stale_gen = 0;
			v = NAT_CLAIM_STALE;
		}
		if (live || !was)
			goto taken;
		*(volatile __u32 *)&s->born = now;
		if (__sync_val_compare_and_swap(&s->gen, was, gen) != was)
			goto taken;
		nat_inherit(&s->nat, &s->nat_in, b, zone);
	}
	ct_barrier(b);
	conn = bpf_map_lookup_elem(&ct_conn4_v1, &b->skey.k4);
	if (conn && (ct_w_life(ct_word(&conn->c)) == CT_LIFE_SETUP ||
		     ct_alive(&conn->c, ct_word(&conn->c), now))) {
		return NAT_CLAIM_RECORD;
	}
	return 1;
taken:
	nat_unhold(b->nat, b->nat_in, zone);
	return v;
}

/* As nat_claim4. */
__noinline int nat_claim6(const union ct_key *key, __u32 gen)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(6);
	struct ct_build *b = ct_build();
	struct ct_conn6 *conn;
	struct ct_stub6 *s;
	__u32 now, was, zone;
	int live, left, v;

	if (!set || !tab || !b || !key)
		return -CT_DROP_MAP_MISSING;
	now = ct_now(set);
	zone = key->k6.zone;
	ct_reply_key(&b->skey, &b->c, key, 6);
	if (ct_add(&tab->stubs, 1) > tab->stub_limit) {
		ct_add(&tab->stubs, -1);
		return -CT_DROP_NODES_FULL;
	}
	if (!nat_hold(b, zone)) {
		ct_add(&tab->stubs, -1);
		return -CT_DROP_NAT_EXPIRED;
	}
	b->stub6.conn = key->k6;
	b->stub6.gen = gen;
	b->stub6.born = now;
	b->stub6.nat = b->nat;
	b->stub6.nat_in = b->nat_in;
	if (bpf_map_update_elem(&ct_stub6_v1, &b->skey.k6, &b->stub6, BPF_NOEXIST)) {
		ct_add(&tab->stubs, -1);
		v = 0;
		s = bpf_map_lookup_elem(&ct_stub6_v1, &b->skey.k6);
		if (!s)
			goto taken;
		was = *(volatile __u32 *)&s->gen;
		left = nat_stub_left(set, was, *(volatile __u32 *)&s->born, now);
		b->key.k6 = s->conn;
		live = nat_stub_live6(&b->skey.k6, now);
		if (ct_addr6_cmp(b->key.k6.addr[0], key->k6.addr[0]) ||
		    ct_addr6_cmp(b->key.k6.addr[1], key->k6.addr[1]) ||
		    b->key.k6.port[0] != key->k6.port[0] || b->key.k6.port[1] != key->k6.port[1] ||
		    b->key.k6.zone != key->k6.zone || b->key.k6.proto != key->k6.proto) {
			/* One that leads nowhere goes; its place is free for the next who asks. */
			b->stale_gen = was;
			if (!live && left && !bpf_map_lookup_elem(&ct_conn6_v1, &b->key.k6))
				v = NAT_CLAIM_STALE;
			goto taken;
		}
		/* Our own former life's: the same client came back. Of two CPUs that
		 * enter it now one goes on. */
		v = -CT_DROP_COMMIT_BUSY;
		if (!was && left) {
			b->stale_gen = 0;
			v = NAT_CLAIM_STALE;
		}
		if (live || !was)
			goto taken;
		*(volatile __u32 *)&s->born = now;
		if (__sync_val_compare_and_swap(&s->gen, was, gen) != was)
			goto taken;
		nat_inherit(&s->nat, &s->nat_in, b, zone);
	}
	ct_barrier(b);
	conn = bpf_map_lookup_elem(&ct_conn6_v1, &b->skey.k6);
	if (conn && (ct_w_life(ct_word(&conn->c)) == CT_LIFE_SETUP ||
		     ct_alive(&conn->c, ct_word(&conn->c), now))) {
		return NAT_CLAIM_RECORD;
	}
	return 1;
taken:
	nat_unhold(b->nat, b->nat_in, zone);
	return v;
}

#endif
