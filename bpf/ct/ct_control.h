/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_CONTROL_H
#define BPFCT_CT_CONTROL_H

#include <linux/errno.h>

#include "../nat/nat_claim.h"
#include "../nat/nat_enter.h"
#include "ct_dump.h"
#include "ct_touch.h"

/*
 * What user space may do to records, through SEC("syscall") ct_control only, so
 * that it follows the same steps as packets do (I4). Runs in process context: a
 * packet may interrupt it between any two instructions, so it uses nothing per
 * CPU and no building place.
 */

/* Status bits that a request may set. */
#define CT_CONTROL_STATUS (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_FIXED_TIMEOUT)

static __always_inline int ct_control_live(const struct ct_control *req, __u64 word)
{
	__u32 life = ct_w_life(word);

	if (req->gen && req->gen != ct_w_gen(word))
		return 0;
	return life == CT_LIFE_HALF_OPEN || life == CT_LIFE_CONFIRMED;
}

static __always_inline int ct_control_label(const union ct_key *key, const struct ct_control *req,
					    __u32 gen, __u8 family)
{
	struct ct_label_key lk;
	struct ct_label label = req->flow.label;

	ct_label_key(&lk, key, gen, family);
	return bpf_map_update_elem(&ct_label_v1, &lk, &label, BPF_ANY) ? -ENOSPC : 0;
}

static __always_inline int ct_control_update(const struct ct_settings *set, struct ct_conn *conn,
					     const union ct_key *key, const struct ct_control *req,
					     __u64 word, __u8 family)
{
	__u64 add = 0;

	if (req->set & CT_SET_STATUS)
		add |= CT_W_STATUS(ct_w_status(req->flow.c.word) &
				   (CT_CONTROL_STATUS | CT_S_TAKEN));
	if (req->set & CT_SET_LABEL) {
		if (ct_control_label(key, req, ct_w_gen(word), family))
			return -ENOSPC;
		add |= CT_W_STATUS(CT_S_LABEL);
	}
	if (add && !ct_cas(conn, word, word | add))
		return -EAGAIN;
	if ((req->set & CT_SET_MARK) && !ct_set_mark(conn, word, req->flow.c.mark))
		return -EAGAIN;
	if ((req->set & CT_SET_TIMEOUT) &&
	    !ct_set_timer_alone(conn, word, ct_now(set) + ct_ticks(set, req->flow.c.expires)))
		return -EAGAIN;
	ct_event(set, conn, key, word | add, family, CT_EVENT_UPDATE);
	return 0;
}

/* Its reply tuple is free at once, and not a second later with the node: whoever ends it (a call's
 * media) may want the next one between the same two endpoints. */
static __always_inline int ct_control_delete(struct ct_conn *conn, const union ct_key *key,
					     __u64 word, __u8 family)
{
	union ct_key skey = {};

	/* Read before the record ends: afterwards its node may become another's. */
	if (word & CT_W_STATUS(CT_S_NAT))
		ct_reply_key(&skey, conn, key, family);
	if (!ct_kill(conn, key, word, family, CT_STAT_DELETED))
		return -EAGAIN;
	if (word & CT_W_STATUS(CT_S_NAT))
		ct_stub_drop(&skey, key, ct_w_gen(word), family);
	return 0;
}

/* DELETE and UPDATE on one family. */
static __always_inline int ct_control_on(const struct ct_settings *set,
					 const struct ct_control *req, const union ct_key *key,
					 __u8 family)
{
	struct ct_conn *conn = ct_conn_at(key, family);
	__u64 word;

	if (!conn)
		return -ENOENT;
	word = ct_word(conn);
	if (!ct_control_live(req, word))
		return -ENOENT;
	if (!ct_still_under(key, conn, family))
		return -EAGAIN;
	if (req->op == CT_CONTROL_UPDATE)
		return ct_control_update(set, conn, key, req, word, family);
	return ct_control_delete(conn, key, word, family);
}

/* What was inserted is seen by others before what is looked at next; see ct_barrier(). */
static __always_inline void ct_control_barrier(struct ct_table *tab)
{
	__u32 n = __sync_val_compare_and_swap(&tab->stubs, 0, 0);

	asm volatile("" : : "r"(n));
}

/* There is a stub under the reply tuple: this connection's former life's is taken over. */
static __always_inline int ct_control_stub_take(const union ct_key *skey, const union ct_key *key,
						__u32 gen, __u32 nat, __u32 now, __u8 family)
{
	__u64 at;
	struct ct_stub *s = ct_stub_at(skey, &at, NULL, family);
	__u32 was, held[2];
	__u16 zone = family == 4 ? key->k4.zone : key->k6.zone;

	if (!s)
		return -EAGAIN;
	was = *(volatile __u32 *)&s->gen;
	if (!was || !ct_key_same(ct_stub_conn(s, family), key, family) ||
	    nat_stub_live(skey, now, family))
		return -EEXIST;
	*(volatile __u32 *)&s->born = now;
	if (__sync_val_compare_and_swap(&s->gen, was, gen) != was)
		return -EAGAIN;
	/* The former life's ports go back, ours is counted already. */
	held[0] = s->nat;
	held[1] = s->nat_in;
	s->nat = nat;
	s->nat_in = 0;
	if (held[0])
		nat_give_ref(held[0], zone);
	if (held[1])
		nat_give_ref(held[1], zone);
	return 0;
}

static __always_inline int ct_control_claim(const union ct_key *at, const union ct_key *key,
					    __u32 gen, __u32 nat, __u8 family)
{
	struct ct_conn *conn;
	const struct ct_settings *set = ct_settings();
	struct ct_table *tab = ct_table(family);
	union ct_key skey = *at;
	__u32 zone = family == 4 ? key->k4.zone : key->k6.zone;
	int v, live = 0;
	__u32 now;

	if (!set || !tab)
		return -EAGAIN;
	now = ct_now(set);
	if (ct_add(&tab->stubs, 1) > tab->stub_limit) {
		ct_add(&tab->stubs, -1);
		if (nat)
			nat_give_use(nat, zone);
		return -ENOSPC;
	}
	if (family == 4) {
		struct ct_stub4 stub = {.conn = key->k4,
					.s = {.gen = gen, .born = now, .nat = nat}};

		v = bpf_map_update_elem(&ct_stub4_v1, &skey.k4, &stub, BPF_NOEXIST);
	} else {
		__u64 hash = ct_stub6_hash(&skey.k6);
		struct ct_stub6 stub = {.conn = key->k6,
					.s = {.gen = gen, .born = now, .nat = nat}};

		v = bpf_map_update_elem(&ct_stub6_v1, &hash, &stub, BPF_NOEXIST);
	}
	if (v) {
		ct_add(&tab->stubs, -1);
		v = v == -E2BIG ? -ENOSPC : ct_control_stub_take(&skey, key, gen, nat, now, family);
		if (v && nat)
			nat_give_use(nat, zone);
	}
	if (v)
		return v;
	ct_control_barrier(tab);
	conn = ct_conn_at(&skey, family);
	live = conn &&
	       (ct_w_life(ct_word(conn)) == CT_LIFE_SETUP || ct_alive(conn, ct_word(conn), now));
	if (live)
		ct_stub_drop(&skey, key, gen, family);
	return live ? -EEXIST : 0;
}

/* Claims the reply tuple as nat_claim4() does (I2). nat: the port that the stub holds, counted
 * by the caller; it has been given back when this fails. 0, -EEXIST, -ENOSPC or -EAGAIN. */
__noinline int ct_control_stub(const union ct_key *skey, const union ct_key *key, __u32 gen,
			       __u32 nat, __u8 family)
{
	if (!skey || !key)
		return -EAGAIN;
	if (family == 4)
		return ct_control_claim(skey, key, gen, nat, 4);
	return ct_control_claim(skey, key, gen, nat, 6);
}

/*
 * A record is under the key already, its word is `old`. One that has ended is taken over in
 * place, as ct_meet() does (I4). 0: it is ours, in SETUP with our generation; -EEXIST: it
 * lives; -EAGAIN: somebody is at it.
 */
static __always_inline int ct_control_over(struct ct_conn *conn, const union ct_key *key,
					   __u64 word, __u64 old, __u8 family)
{
	const struct ct_settings *set = ct_settings();
	union ct_key skey = {};

	if (!set)
		return -EAGAIN;
	if (ct_alive(conn, old, ct_now(set)))
		return -EEXIST;
	if (ct_w_live(old)) {
		__u32 gen = ct_w_gen(old);

		ct_kill(conn, key, old, family, CT_STAT_EXPIRED);
		old = ct_word(conn);
		if (ct_w_gen(old) != gen)
			return -EAGAIN;
	}
	if (ct_w_life(old) != CT_LIFE_DYING ||
	    !ct_cas(conn, old, ct_w_with_life(word, CT_LIFE_SETUP)))
		return -EAGAIN;
	if (old & CT_W_STATUS(CT_S_NAT)) {
		ct_reply_key(&skey, conn, key, family);
		ct_stub_drop(&skey, key, ct_w_gen(old), family);
	}
	if (old & CT_W_STATUS(CT_S_SHARE))
		ct_share_drop(key, old, family);
	ct_label_drop(key, old, family);
	return 0;
}

__noinline int ct_control_over4(struct ct_conn4 *conn, const union ct_key *key, __u64 word,
				__u64 old)
{
	return conn && key ? ct_control_over(&conn->c, key, word, old, 4) : -EAGAIN;
}

__noinline int ct_control_over6(struct ct_conn6 *conn, const union ct_key *key, __u64 word,
				__u64 old)
{
	return conn && key ? ct_control_over(&conn->c, key, word, old, 6) : -EAGAIN;
}

/*
 * Counts the port that the request says its source translation holds, see CT_CONTROL_CREATE.
 * 0 with the NAT_REF for the stub in *ref, or -EINVAL. (Frame and context: as below.)
 */
static __noinline int ct_control_hold(const struct ct_control *req, const struct ct_settings *set,
				      const union ct_key *key, __u32 *ref, __u8 family)
{
	struct nat_entry e = {.ref = req->flow.c.route[0], .base = req->flow.c.route[1]};
	__be16 sport = req->flow.c.reply_sport, dport = req->flow.c.reply_dport;
	struct ct_tuple orig;
	int v;

	*ref = 0;
	if (!e.ref || !(req->flow.c.word & CT_W_STATUS(CT_S_SRC_NAT)))
		return 0;
	ct_tuple_orig(&orig, key, req->flow.c.word, family);
	__builtin_memcpy(e.inside, orig.saddr, 16);
	e.port = orig.sport;
	e.bound.family = family;
	e.bound.class = nat_class(&orig);
	e.bound.zone = orig.zone;
	if (family == 4)
		e.bound.addr[0] = req->flow.conn4.reply_daddr;
	else
		__builtin_memcpy(e.bound.addr, req->flow.conn6.reply_daddr, 16);
	/* Both are read: of one or the other clang would make a pointer into the context. */
	asm volatile("" : "+r"(sport), "+r"(dport));
	e.bound.port = e.bound.class == NAT_ICMP ? sport : dport;
	e.expires = ct_now(set) + ct_ticks(set, NAT_ENTER_SECS);
	v = nat_enter(&e);
	*ref = e.ref;
	return v;
}

/* A record is 152 bytes: these two have frames of their own, which are gone when the deep
 * calls come. (Static: a request may be the program's context.) */
static __noinline int ct_control_reply(const struct ct_control *req, const union ct_key *key,
				       union ct_key *skey, __u8 family)
{
	struct ct_conn6 conn = req->flow.conn6;

	ct_reply_key(skey, &conn.c, key, family);
	return 0;
}

static __always_inline void ct_control_times(struct ct_conn *c, const struct ct_control *req,
					     const struct ct_settings *set)
{
	c->start = c->last = ct_now(set);
	c->expires = c->start + ct_ticks(set, req->flow.c.expires);
	if (req->set & CT_SET_START)
		c->start -= ct_ticks(set, req->flow.c.start);
	c->route[0] = c->route[1] = 0;
}

static __noinline int ct_control_put(const struct ct_control *req, const struct ct_settings *set,
				     const union ct_key *key, __u64 word, __u8 family)
{
	struct ct_conn6 conn = req->flow.conn6;

	conn.c.word = word;
	ct_control_times(&conn.c, req, set);
	if (family == 4)
		return bpf_map_update_elem(&ct_conn4_v1, &key->k4, &conn, BPF_NOEXIST);
	return bpf_map_update_elem(&ct_conn6_v1, &key->k6, &conn, BPF_NOEXIST);
}

/* What ct_control_over() made ours gets its contents, then its life. */
static __always_inline void ct_control_fill(struct ct_conn *conn, const struct ct_control *req,
					    const struct ct_settings *set, __u64 word, __u8 family)
{
	__builtin_memcpy((void *)conn + 8, (const void *)&req->flow.conn6 + 8,
			 (family == 4 ? sizeof(struct ct_conn4) : sizeof(struct ct_conn6)) - 8);
	ct_control_times(conn, req, set);
	ct_cas(conn, ct_w_with_life(word, CT_LIFE_SETUP), word);
}

/* Puts the record under its key: 0, 1 it took over an old one's node, -EEXIST or -EAGAIN. */
static __always_inline int ct_control_insert(const struct ct_settings *set,
					     const struct ct_control *req, const union ct_key *key,
					     __u64 word, __u8 family)
{
	struct ct_conn *conn;
	__u64 old;
	int v;

	if (!ct_control_put(req, set, key, word, family))
		return 0;
	conn = ct_conn_at(key, family);
	old = conn ? ct_word(conn) : 0;
	if (!conn || !ct_still_under(key, conn, family))
		return -EAGAIN;
	if (family == 4)
		v = ct_control_over4((struct ct_conn4 *)conn, key, word, old);
	else
		v = ct_control_over6((struct ct_conn6 *)conn, key, word, old);
	if (!v)
		ct_control_fill(conn, req, set, word, family);
	return v ? v : 1;
}

/* The event of what was entered, from the record: gone already, no event. */
static __always_inline void ct_control_new(const struct ct_settings *set, const union ct_key *key,
					   __u64 word, __u8 family)
{
	struct ct_conn *conn = ct_conn_at(key, family);

	if (conn)
		ct_event(set, conn, key, word, family, CT_EVENT_NEW);
}

/* Room and counts of a record that user space enters. It counts as confirmed
 * whatever its status: who may enter records is no flood. */
static __always_inline int ct_control_book(struct ct_table *tab, __u32 zone)
{
	struct ct_zone *z = bpf_map_lookup_elem(&ct_zone_v1, &zone);

	if (!z || tab->confirmed >= tab->confirmed_limit || (z->limit && z->count >= z->limit))
		return -ENOSPC;
	if (ct_add(&tab->nodes, 1) > tab->nodes_limit) {
		ct_add(&tab->nodes, -1);
		return -ENOSPC;
	}
	ct_high(&tab->nodes_high, tab->nodes);
	ct_high(&tab->confirmed_high, ct_add(&tab->confirmed, 1));
	ct_high(&z->high, ct_add(&z->count, 1));
	return 0;
}

/* Gives back what ct_control_book() took, when the key turns out to be used. */
static __always_inline void ct_control_unbook(struct ct_table *tab, __u32 zone)
{
	struct ct_zone *z = bpf_map_lookup_elem(&ct_zone_v1, &zone);

	ct_add(&tab->nodes, -1);
	ct_add(&tab->confirmed, -1);
	if (z)
		ct_add(&z->count, -1);
}

/* Does a record live under this very key? At a full table that is what has to be said. */
static __always_inline int ct_control_there(const union ct_key *key, __u32 now, __u8 family)
{
	struct ct_conn *conn = ct_conn_at(key, family);

	return conn && ct_alive(conn, ct_word(conn), now);
}

/* ctctl -I, import: see CT_CONTROL_CREATE. Of the word generation and life are ours. */
static __always_inline int ct_control_create(const struct ct_settings *set,
					     const struct ct_control *req, const union ct_key *key,
					     __u8 family)
{
	struct ct_table *tab = ct_table(family);
	__u32 now = ct_now(set), gen = (bpf_get_prandom_u32() & ~CT_GEN_RING) | 1;
	__u16 status = ct_w_status(req->flow.c.word);
	__u32 zone = family == 4 ? key->k4.zone : key->k6.zone;
	union ct_key skey = {};
	__u32 held = 0;
	__u64 word;
	int v, nat;

	if (!tab)
		return -ENOSPC;
	status = (status & (CT_CONTROL_STATUS | CT_S_NAT | CT_S_TAKEN)) | CT_S_CONFIRMED |
		 CT_S_INSIDE;
	nat = status & CT_S_NAT;
	word = CT_W_GEN(gen) | CT_W_STATUS(status) |
	       (req->flow.c.word & (CT_W_STATE_MASK | CT_W_ORIG_HI)) | CT_W_LIFE(CT_LIFE_CONFIRMED);
	if (nat_stub_live(key, now, family))
		return -EEXIST;
	v = ct_control_book(tab, zone);
	if (v)
		return ct_control_there(key, now, family) ? -EEXIST : v;
	if (nat) {
		ct_control_reply(req, key, &skey, family);
		v = ct_control_hold(req, set, key, &held, family);
		if (!v)
			v = ct_control_stub(&skey, key, gen, held, family);
	}
	if (v)
		goto undo;
	v = ct_control_insert(set, req, key, word, family);
	if (v < 0 && nat)
		ct_stub_drop(&skey, key, gen, family);
	if (v < 0)
		goto undo;
	if (v)
		ct_add(&tab->nodes, -1);
	ct_clock_enter(key, gen, family);
	ct_stat(CT_STAT_INSERT);
	ct_control_new(set, key, word, family);
	/* The second look: a packet may have claimed our tuple while we entered it. */
	ct_control_barrier(tab);
	if (!nat_stub_live(key, now, family))
		return 0;
	ct_withdraw(key, gen, family);
	return -EEXIST;
undo:
	ct_control_unbook(tab, zone);
	return v;
}

#endif
