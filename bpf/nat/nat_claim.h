/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_CLAIM_H
#define BPFCT_NAT_CLAIM_H

#include <linux/errno.h>

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

/* Does this stub lead to a live connection, or may its commit be under way? */
static __always_inline int nat_stub_leads(struct ct_stub *s, __u32 now, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	__u32 gen = *(volatile __u32 *)&s->gen, born = *(volatile __u32 *)&s->born;
	union ct_key key = {};
	struct ct_conn *conn;
	__u64 w;

	if (!set || !gen) /* somebody is removing it */
		return 0;
	if (family == 4)
		key.k4 = ct_stub_conn(s, 4)->k4;
	else
		key.k6 = ct_stub_conn(s, 6)->k6;
	conn = ct_conn_at(&key, family);
	if (conn) {
		w = ct_word(conn);
		if (ct_w_gen(w) == gen)
			return ct_w_life(w) == CT_LIFE_SETUP || ct_alive(conn, w, now);
	}
	return ct_before(now, born + ct_ticks(set, NAT_STUB_GRACE_SECS) + 1);
}

__noinline int nat_stub_live4(const struct ct_key4 *skey, __u32 now)
{
	struct ct_stub4 *s;
	struct ct_key4 at;

	if (!skey)
		return 0;
	at = *skey;
	s = bpf_map_lookup_elem(&ct_stub4_v1, &at);
	return s ? nat_stub_leads(&s->s, now, 4) : 0;
}

/* The stub is named by its hash: the deepest stacks of all end here. */
__noinline int nat_stub_live6(__u64 at, __u32 now)
{
	struct ct_stub6 *s = bpf_map_lookup_elem(&ct_stub6_v1, &at);

	return s ? nat_stub_leads(&s->s, now, 6) : 0;
}

/* Is there a stub under this key that leads to a live connection? */
static __always_inline int nat_stub_live(const union ct_key *skey, __u32 now, __u8 family)
{
	if (family == 4)
		return nat_stub_live4(&skey->k4, now);
	return nat_stub_live6(ct_stub6_hash(&skey->k6), now);
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

static __always_inline __u32 nat_zone(const union ct_key *key, __u8 family)
{
	return family == 4 ? key->k4.zone : key->k6.zone;
}

/* The value of the stub that is about to be inserted for the connection under *key. */
static __always_inline void nat_claim_fill(struct ct_build *b, const union ct_key *key, __u32 gen,
					   __u32 now, __u8 family)
{
	struct ct_stub *s = family == 4 ? &b->stub4.s : &b->stub6.s;

	if (family == 4)
		b->stub4.conn = key->k4;
	else
		b->stub6.conn = key->k6;
	s->gen = gen;
	s->born = now;
	s->nat = b->nat;
	s->nat_in = b->nat_in;
}

static __always_inline int nat_claim_put(struct ct_build *b, __u8 family)
{
	if (family == 4)
		return bpf_map_update_elem(&ct_stub4_v1, &b->skey.k4, &b->stub4, BPF_NOEXIST);
	b->at = ct_stub6_hash(&b->skey.k6);
	return bpf_map_update_elem(&ct_stub6_v1, &b->at, &b->stub6, BPF_NOEXIST);
}

/* Another stub is under b->skey. 1: it is our own former life's and ours now; else as
 * nat_claim4. */
static __always_inline int nat_claim_meet(const struct ct_settings *set, struct ct_build *b,
					  const union ct_key *key, __u32 gen, __u32 now,
					  __u8 family)
{
	struct ct_stub *s = ct_stub_at(&b->skey, &b->at, &b->key, family);
	int live, left;
	__u32 was;

	if (!s)
		return 0;
	b->stale_gen = was = *(volatile __u32 *)&s->gen;
	left = nat_stub_left(set, was, *(volatile __u32 *)&s->born, now);
	live = nat_stub_live(&b->skey, now, family);
	if (!ct_key_same(&b->key, key, family)) {
		/* One that leads nowhere goes; its place is free for the next who asks. */
		return !live && left && !ct_conn_at(&b->key, family) ? NAT_CLAIM_STALE : 0;
	}
	/* Our own former life's: the same client came back. Of two CPUs that enter it now
	 * one goes on. */
	if (!was && left)
		return NAT_CLAIM_STALE;
	if (live || !was)
		return -CT_DROP_COMMIT_BUSY;
	*(volatile __u32 *)&s->born = now;
	if (__sync_val_compare_and_swap(&s->gen, was, gen) != was)
		return -CT_DROP_COMMIT_BUSY;
	nat_inherit(&s->nat, &s->nat_in, b, nat_zone(key, family));
	return 1;
}

static __always_inline int nat_claim_body(const union ct_key *key, __u32 gen, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(family);
	struct ct_build *b = ct_build();
	struct ct_conn *conn;
	__u32 now;
	int v;

	if (!set || !tab || !b || !key)
		return -CT_DROP_MAP_MISSING;
	now = ct_now(set);
	ct_reply_key(&b->skey, &b->c, key, family);
	if (ct_add(&tab->stubs, 1) > tab->stub_limit) {
		ct_add(&tab->stubs, -1);
		return -CT_DROP_NODES_FULL;
	}
	if (!nat_hold(b, nat_zone(key, family))) {
		ct_add(&tab->stubs, -1);
		return -CT_DROP_NAT_EXPIRED;
	}
	nat_claim_fill(b, key, gen, now, family);
	v = nat_claim_put(b, family);
	if (v) {
		ct_add(&tab->stubs, -1);
		/* A full map says that there are more than were counted: no port would help. */
		v = v == -E2BIG ? -CT_DROP_NODES_FULL
				: nat_claim_meet(set, b, key, gen, now, family);
		if (v != 1) {
			nat_unhold(b->nat, b->nat_in, nat_zone(key, family));
			return v;
		}
	}
	ct_barrier(b);
	conn = ct_conn_at(&b->skey, family);
	if (conn &&
	    (ct_w_life(ct_word(conn)) == CT_LIFE_SETUP || ct_alive(conn, ct_word(conn), now)))
		return NAT_CLAIM_RECORD;
	return 1;
}

/*
 * Claims the reply tuple of the record being built (ct_build) for the connection
 * under *key. 1: ours, 0: taken, NAT_CLAIM_*: taken and something to do
 * (by the caller, whose stack has room), negative: drop reason, of which
 * COMMIT_BUSY says that another CPU enters the same connection.
 */
__noinline int nat_claim4(const union ct_key *key, __u32 gen)
{
	return nat_claim_body(key, gen, 4);
}

__noinline int nat_claim6(const union ct_key *key, __u32 gen)
{
	return nat_claim_body(key, gen, 6);
}

#endif
