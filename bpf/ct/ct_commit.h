/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_COMMIT_H
#define BPFCT_CT_COMMIT_H

#include "../nat/nat_choose.h"
#include "ct_alg.h"
#include "ct_lookup.h"

/* Inserts of one commit: the second when a reaper freed the node in between. */
#define CT_COMMIT_TRIES 2

/* What a commit holds until its record is in, to be given back if it fails. */
struct ct_hold {
	struct ct_table *tab;
	struct ct_zone *zone;
	__u32 *prefix;
};

static __always_inline void ct_give_back(struct ct_hold *h)
{
	ct_add(&h->tab->nodes, -1);
	ct_add(&h->zone->count, -1);
	ct_add(h->prefix, -1);
	ct_add(&h->tab->half_open, -1);
}

/* Takes quota, share, ring slot and node for one more half-open record, and
 * enters its generation into the word in ct_build. 0 or a drop reason, with nothing
 * held. */
static __always_inline int ct_take_room(const struct ct_settings *set, const struct ct_pkt *pkt,
					const struct ct_result *res,
					const struct ct_commit_args *args, struct ct_hold *h,
					struct ct_build *b, __u8 family)
{
	struct ct_table *tab = h->tab;
	__u32 zone = pkt->tuple.zone, side = args->inside ? CT_SIDE_INSIDE : CT_SIDE_OUTSIDE, n;

	if (!ct_room(tab, family))
		return -CT_DROP_TABLE_FULL;
	if (ct_grave_due(set, tab))
		ct_grave_sweep(res->now, family);
	h->zone = bpf_map_lookup_elem(&ct_zone_v1, &zone);
	h->prefix = ct_prefix_count(set, pkt->tuple.saddr, family, args->inside);
	if (!h->zone || !h->prefix)
		return -CT_DROP_MAP_MISSING;
	n = ct_add(&h->zone->count, 1);
	if (h->zone->limit && n > h->zone->limit) {
		ct_add(&h->zone->count, -1);
		ct_add(&h->zone->refused, 1);
		return -CT_DROP_ZONE_LIMIT;
	}
	ct_high(&h->zone->high, n);
	if (ct_add(h->prefix, 1) > set->half_share) {
		ct_add(h->prefix, -1);
		ct_add(&h->zone->count, -1);
		return -CT_DROP_PREFIX_SHARE;
	}
	n = ct_add(&tab->nodes, 1);
	if (n > tab->nodes_limit) {
		ct_add(&tab->nodes, -1);
		ct_add(h->prefix, -1);
		ct_add(&h->zone->count, -1);
		return -CT_DROP_NODES_FULL;
	}
	ct_high(&tab->nodes_high, n);
	ct_high(&tab->half_high, ct_add(&tab->half_open, 1));
	n = ct_half_take(&res->key, res->now, side, family);
	b->c.word |= CT_W_GEN(n);
	if (n)
		return 0;
	/* No prefix may take the small ring for itself. */
	if (*(volatile __u32 *)h->prefix <= set->half_size[CT_SIDE_RETRY] / 16 &&
	    ct_half_retry(set, &pkt->tuple, res->now))
		n = ct_half_take(&res->key, res->now, CT_SIDE_RETRY, family);
	if (n) {
		b->c.word |= CT_W_GEN(n);
		ct_stat(CT_STAT_RETRY_ADMITTED);
		return 0;
	}
	ct_give_back(h);
	return -CT_DROP_HALF_FULL;
}

/* The record as the first packet makes it, in ct_build. Untranslated so far. */
static __always_inline int ct_build_record(struct ct_ctx *ctx, const struct ct_settings *set,
					   struct ct_build *b, const struct ct_pkt *pkt,
					   const struct ct_result *res,
					   const struct ct_commit_args *args, __u64 *word)
{
	const struct ct_tuple *t = &pkt->tuple;
	struct ct_track *tr = &b->tr;
	int v;

	__builtin_memset(&b->conn6, 0, sizeof(b->conn6));
	b->c.start = b->c.last = res->now;
	__builtin_memset(tr, 0, sizeof(*tr));
	tr->word = *word;
	tr->now = res->now;
	tr->fresh = 1;
	tr->proto = t->proto;
	tr->class = ct_tcp_class(pkt->tcp_flags);
	tr->family = t->family;
	v = ct_track(ctx, &b->c, pkt, set, tr);
	if (v < 0)
		return v;
	*word |= CT_W_STATE(tr->state & 0xf);
	if (!tr->timeout)
		tr->timeout = t->proto == IPPROTO_TCP
				      ? ct_timeout_secs(args->policy, CT_TIMEOUT_tcp_syn_sent)
				      : ct_timeout_secs(args->policy, CT_TIMEOUT_sctp_closed);
	b->c.word = *word;
	b->c.expires = res->now + ct_ticks(set, tr->timeout);
	b->c.mark = args->set_mark ? args->mark : 0;
	b->c.route[0] = args->route;
	b->c.count[0].packets = 1;
	b->c.count[0].bytes = pkt->len;
	if (ct_is_icmp(t)) {
		b->c.reply_sport = t->sport;
		b->c.reply_dport = t->dport;
	} else {
		b->c.reply_sport = t->dport;
		b->c.reply_dport = t->sport;
	}
	if (t->family == 4) {
		b->conn4.reply_saddr = t->daddr[0];
		b->conn4.reply_daddr = t->saddr[0];
	} else {
		__builtin_memcpy(b->conn6.reply_saddr, t->daddr, 16);
		__builtin_memcpy(b->conn6.reply_daddr, t->saddr, 16);
	}
	return 0;
}

/* Which sides of the reply tuple differ from the plain one. */
static __always_inline __u16 ct_nat_status(const struct ct_build *b, const struct ct_tuple *t)
{
	int icmp = ct_is_icmp(t), src, dst;

	if (t->family == 4) {
		src = b->conn4.reply_daddr != t->saddr[0];
		dst = b->conn4.reply_saddr != t->daddr[0];
	} else {
		src = !ct_addr6_same(b->conn6.reply_daddr, t->saddr);
		dst = !ct_addr6_same(b->conn6.reply_saddr, t->daddr);
	}
	if (icmp) {
		src |= b->c.reply_sport != t->sport;
	} else {
		src |= b->c.reply_dport != t->sport;
		dst |= b->c.reply_sport != t->dport;
	}
	return (src ? CT_S_SRC_NAT : 0) | (dst ? CT_S_DST_NAT : 0);
}

/*
 * A record is under our key already. Alive: the other CPU's packet won, ours
 * follows it. Dying or expired: takes it over in place (I4), unless word is 0:
 * then we have nothing to put there. Returns 0 taken over, 1 the winner's is
 * used, or a reason.
 */
static __always_inline int ct_meet(struct ct_conn *conn, const struct ct_pkt *pkt,
				   struct ct_result *res, __u64 word, __u8 family)
{
	__u32 src = !!(word & CT_W_ORIG_HI);
	__u64 old = ct_word(conn), setup;
	struct ct_build *b = ct_build();
	union ct_key skey = {};

	if (!b)
		return -CT_DROP_MAP_MISSING;
	if (ct_alive(conn, old, res->now)) {
		res->dir = src != !!(old & CT_W_ORIG_HI);
		if (res->dir == CT_REPLY && (old & CT_W_STATUS(CT_S_NAT)))
			return -CT_DROP_TUPLE_CLASH;
		__sync_fetch_and_add(&conn->count[res->dir & 1].packets, 1);
		__sync_fetch_and_add(&conn->count[res->dir & 1].bytes, pkt->len);
		res->word = old;
		res->mark = conn->mark;
		ct_set_to(res, conn, &pkt->tuple, family);
		res->state = ct_state_bits(res);
		return 1;
	}
	if (!word)
		return -CT_DROP_COMMIT_BUSY;
	if (ct_w_life(old) != CT_LIFE_DYING) {
		if (!ct_kill(conn, &res->key, old, family, CT_STAT_EXPIRED))
			return -CT_DROP_COMMIT_BUSY;
		old = ct_word(conn);
	}
	if (ct_w_life(old) != CT_LIFE_DYING)
		return -CT_DROP_COMMIT_BUSY;
	setup = ct_w_with_life(word, CT_LIFE_SETUP);
	if (!ct_cas(conn, old, setup))
		return -CT_DROP_COMMIT_BUSY;
	if (old & CT_W_STATUS(CT_S_NAT)) {
		ct_reply_key(&skey, conn, &res->key, family);
		ct_stub_drop(&skey, &res->key, ct_w_gen(old), family);
	}
	if (old & CT_W_STATUS(CT_S_SHARE))
		ct_share_drop(&res->key, old, family);
	ct_label_drop(&res->key, old, family);
	if (family == 4)
		__builtin_memcpy((void *)conn + 8, (void *)&b->conn4 + 8,
				 sizeof(struct ct_conn4) - 8);
	else
		__builtin_memcpy((void *)conn + 8, (void *)&b->conn6 + 8,
				 sizeof(struct ct_conn6) - 8);
	ct_cas(conn, setup, word);
	return 0;
}

__noinline int ct_meet4(struct ct_conn4 *conn, const struct ct_pkt *pkt, struct ct_result *res,
			__u64 word)
{
	if (!conn || !pkt || !res)
		return -CT_DROP_MAP_MISSING;
	return ct_meet(&conn->c, pkt, res, word, 4);
}

__noinline int ct_meet6(struct ct_conn6 *conn, const struct ct_pkt *pkt, struct ct_result *res,
			__u64 word)
{
	if (!conn || !pkt || !res)
		return -CT_DROP_MAP_MISSING;
	return ct_meet(&conn->c, pkt, res, word, 6);
}

static __always_inline int ct_meet_at(struct ct_conn *conn, const struct ct_pkt *pkt,
				      struct ct_result *res, __u64 word, __u8 family)
{
	if (family == 4)
		return ct_meet4((struct ct_conn4 *)conn, pkt, res, word);
	return ct_meet6((struct ct_conn6 *)conn, pkt, res, word);
}

/* Is there a live stub under the key of the record in ct_build? */
static __always_inline int ct_stub_live(struct ct_build *b, __u32 now, __u8 family)
{
	return ct_stub_at(&b->key, &b->at, NULL, family) && nat_stub_live(&b->key, now, family);
}

/* Puts the built record under its key: 0 it is in, 1 the winner's is used, or a
 * drop reason. *took says that it went into an old node. */
static __always_inline int ct_insert(const struct ct_pkt *pkt, struct ct_result *res,
				     struct ct_build *b, __u64 word, int *took, __u8 family)
{
	struct ct_conn *c;
	int i, v;

	b->key = res->key;
	*took = 0;
	for (i = 0; i < CT_COMMIT_TRIES; i++) {
		if (!(family == 4 ? bpf_map_update_elem(&ct_conn4_v1, &b->key.k4, &b->conn4,
							BPF_NOEXIST)
				  : bpf_map_update_elem(&ct_conn6_v1, &b->key.k6, &b->conn6,
							BPF_NOEXIST)))
			return 0;
		c = ct_conn_at(&b->key, family);
		if (!c)
			continue;
		v = ct_meet_at(c, pkt, res, word, family);
		*took = !v;
		return v;
	}
	ct_stat(CT_STAT_INSERT_FAILED);
	return -CT_DROP_MAP_UPDATE;
}

/* Another CPU claims a tuple for this very connection: its record, if that is in
 * by now. 1, or COMMIT_BUSY: the sender will repeat itself. */
__noinline int ct_join(const struct ct_pkt *pkt, struct ct_result *res)
{
	struct ct_conn *c;
	union ct_key key;

	if (!pkt || !res)
		return -CT_DROP_MAP_MISSING;
	key = res->key;
	if (pkt->tuple.family == 4) {
		c = ct_conn_at(&key, 4);
		return c ? ct_meet_at(c, pkt, res, 0, 4) : -CT_DROP_COMMIT_BUSY;
	}
	c = ct_conn_at(&key, 6);
	return c ? ct_meet_at(c, pkt, res, 0, 6) : -CT_DROP_COMMIT_BUSY;
}

__noinline int ct_add_label(const union ct_key *key, const struct ct_commit_args *args, __u32 gen,
			    __u8 family)
{
	struct ct_label_key lk;
	struct ct_label label;

	if (!key || !args)
		return 0;
	ct_label_key(&lk, key, gen, family);
	__builtin_memcpy(label.bits, args->label, sizeof(label.bits));
	return bpf_map_update_elem(&ct_label_v1, &lk, &label, BPF_ANY);
}

/* Takes back the claim of the record in ct_build. */
__noinline int ct_unclaim(const union ct_key *key, __u32 gen, __u8 family)
{
	struct ct_build *b = ct_build();
	union ct_key skey = {};

	if (!b || !key)
		return 0;
	if (family == 4)
		ct_reply_key4(&skey, &b->conn4, key);
	else
		ct_reply_key6(&skey, &b->conn6, key);
	return ct_stub_drop(&skey, key, gen, family);
}

/* A translated connection without a binding counts as a port of its subscriber. 1, or
 * 0: that has had its last one on another CPU meanwhile. */
__noinline int ct_count_port(const union ct_key *key, __u64 word, __u32 limit, __u8 family)
{
	int hi = !!(word & CT_W_ORIG_HI);
	struct nat_sub_key sub;

	if (!key || !(word & CT_W_STATUS(CT_S_SRC_NAT)) || (word & CT_W_STATUS(CT_S_BOUND)))
		return 1;
	if (family == 4)
		nat_sub_key(&sub, hi ? &key->k4.addr[1] : &key->k4.addr[0], key->k4.zone, 4);
	else
		nat_sub_key(&sub, hi ? key->k6.addr[1] : key->k6.addr[0], key->k6.zone, 6);
	return nat_sub_ports(&sub, 1, limit);
}

/* Is it translated on collision only? The host's own, what no rule translates, and an
 * all-zero source (OVS's). A global function: its work is not on ct_commit's stack. */
__noinline int ct_nat_shares(const struct ct_commit_args *args)
{
	if (!args || args->local)
		return 1;
	if (args->nat.flags & CT_NAT_DST)
		return 0;
	return !(args->nat.flags & CT_NAT_SRC) || nat_is_zero(args->nat.src.addr_min);
}

/* One more connection of its subscriber, if the rule limits them. 1, 0 when nobody counts,
 * or the reason against it as a negative number. */
static __always_inline int ct_take_share(const struct ct_settings *set, const struct ct_pkt *pkt,
					 const struct ct_commit_args *args, __u8 family)
{
	int v;

	if (!(args->nat.flags & CT_NAT_LIMIT))
		return 0;
	v = nat_sub_take(&pkt->tuple, &args->nat);
	/* What is over of this one's may be still counted: nobody sweeps. */
	if ((v == 1 || v == -CT_DROP_SUB_STATES || v == -CT_DROP_SUB_PORTS) && !ct_ctd_alive(set)) {
		ct_clock_reap(family);
		ct_half_reap(family);
		if (v < 0)
			v = nat_sub_take(&pkt->tuple, &args->nat);
	}
	return v < 0 ? v : 1;
}

/* Chooses the translation and claims its reply tuple; what it is goes into the word. 0, 1 when
 * another CPU's record of the same connection is used, or the reason as a negative number. */
static __always_inline int ct_translate(struct ct_ctx *ctx, struct ct_pkt *pkt,
					struct ct_result *res, struct ct_commit_args *args,
					struct ct_build *b, __u64 *word, __u8 family)
{
	int v;

	v = nat_choose(ctx, pkt, args, &res->key, ct_w_gen(*word));
	if (v == -CT_DROP_COMMIT_BUSY)
		v = ct_join(pkt, res);
	if (v)
		return v;
	*word |= CT_W_STATUS(ct_nat_status(b, &pkt->tuple) | (b->nat_gen ? CT_S_BOUND : 0));
	b->c.word = *word;
	/* Claimed its own plain tuple (source is the external address already):
	 * the record alone answers for that. */
	if (!(*word & CT_W_STATUS(CT_S_NAT)))
		ct_unclaim(&res->key, ct_w_gen(*word), family);
	if ((*word & CT_W_STATUS(CT_S_LIMITED)) &&
	    !ct_count_port(&res->key, *word, args->nat.limit_ports, family)) {
		ct_unclaim(&res->key, ct_w_gen(*word), family);
		*word &= ~CT_W_STATUS(CT_S_SRC_NAT); /* no port to give back */
		return -CT_DROP_SUB_PORTS;
	}
	return 0;
}

static __always_inline __u64 ct_new_word(const struct ct_result *res,
					 const struct ct_commit_args *args, __u32 src)
{
	return CT_W_LIFE(CT_LIFE_HALF_OPEN) | args->policy |
	       CT_W_STATUS(CT_S_CONFIRMED | (args->inside ? CT_S_INSIDE : 0) |
			   (args->set_label ? CT_S_LABEL : 0) |
			   (res->expected ? CT_S_EXPECTED : 0) | (args->helper ? CT_S_HELPER : 0)) |
	       (src ? CT_W_ORIG_HI : 0);
}

static __always_inline int ct_commit_new(struct ct_ctx *ctx, const struct ct_settings *set,
					 struct ct_pkt *pkt, struct ct_result *res,
					 struct ct_commit_args *args, __u8 family)
{
	struct ct_build *b = ct_build();
	struct ct_hold h = {};
	int v, took, shared;
	__u64 word;

	h.tab = ct_table(family);
	if (!b || !h.tab)
		return -CT_DROP_MAP_MISSING;
	word = ct_new_word(res, args,
			   family == 4 ? ct_key4_make(&res->key.k4, &pkt->tuple, 0)
				       : ct_key6_make(&res->key.k6, &pkt->tuple, 0));
	v = ct_build_record(ctx, set, b, pkt, res, args, &word);
	if (v < 0)
		return v;
	v = ct_take_room(set, pkt, res, args, &h, b, family);
	if (v < 0)
		return v;
	word = b->c.word;
	/* Our own tuple answers to another connection: take another port, as
	 * netfilter's null binding does. Packets in our direction are ours then,
	 * those the other way the other's: both stay under this key. */
	b->key = res->key;
	shared = ct_nat_shares(args) && ct_stub_live(b, res->now, family);
	v = ct_take_share(set, pkt, args, family);
	if (v < 0)
		goto undo;
	if (v) {
		word |= CT_W_STATUS(CT_S_LIMITED);
		b->c.word = word;
	}
	if (shared || (args->nat.flags & (CT_NAT_SRC | CT_NAT_DST))) {
		v = ct_translate(ctx, pkt, res, args, b, &word, family);
		if (v)
			goto undo;
	}
	if (args->set_label)
		ct_add_label(&res->key, args, ct_w_gen(word), family);
	if (res->expected)
		ct_expect_bind(&res->key, ct_w_gen(word), family);
	v = args->helper ? ct_alg_add(&res->key, pkt, ct_w_gen(word), args->helper) : 0;
	if (!v)
		v = ct_insert(pkt, res, b, word, &took, family);
	if (v) {
		if (word & CT_W_STATUS(CT_S_NAT))
			ct_unclaim(&res->key, ct_w_gen(word), family);
		ct_label_drop(&res->key, word, family);
		goto undo;
	}
	if (took)
		ct_add(&h.tab->nodes, -1);
	ct_event(set, &b->c, &res->key, word, family, CT_EVENT_NEW);
	ct_barrier(b);
	if (!(shared && (word & CT_W_STATUS(CT_S_NAT))) && ct_stub_live(b, res->now, family)) {
		ct_withdraw(&res->key, ct_w_gen(word), family);
		return -CT_DROP_TUPLE_CLASH;
	}
	res->word = word;
	res->mark = b->c.mark;
	res->fresh = 1;
	res->dir = CT_ORIG;
	ct_set_to(res, &b->c, &pkt->tuple, family);
	res->state = ct_state_bits(res);
	ct_stat(CT_STAT_INSERT);
	return 0;
undo:
	ct_give_back(&h);
	if (word & CT_W_STATUS(CT_S_LIMITED))
		nat_sub_give(&res->key, word, family);
	if (v < 0)
		return v;
	/* The winner's record is used. */
	ct_stat(CT_STAT_CLASH_RESOLVE);
	return 0;
}

/* Mark and label of a connection that exists. The label's flag is set last, so
 * that who sees it finds the entry. */
static __always_inline int ct_update(struct ct_conn *conn, struct ct_result *res,
				     const union ct_key *key, const struct ct_settings *set,
				     const struct ct_commit_args *args, __u8 family)
{
	__u64 w = ct_word(conn);

	if (ct_w_gen(w) != ct_w_gen(res->word))
		return 0;
	if (args->set_label) {
		ct_add_label(key, args, ct_w_gen(w), family);
		if (!ct_set_status(conn, w, CT_S_LABEL)) {
			ct_label_delete(key, ct_w_gen(w), family);
			return 0;
		}
	}
	if (args->set_mark) {
		*(volatile __u32 *)&conn->mark = args->mark;
		res->mark = args->mark;
	}
	ct_event(set, conn, key, ct_word(conn), family, CT_EVENT_UPDATE);
	return 0;
}

__noinline int ct_update_existing(struct ct_result *res, const struct ct_commit_args *args)
{
	const struct ct_settings *set = ct_settings();
	struct ct_conn *c;
	union ct_key key;

	if (!res || !args || !set || (!args->set_mark && !args->set_label))
		return 0;
	key = res->key;
	if (res->family == 4) {
		c = ct_conn_at(&key, 4);
		return c ? ct_update(c, res, &key, set, args, 4) : 0;
	}
	c = ct_conn_at(&key, 6);
	return c ? ct_update(c, res, &key, set, args, 6) : 0;
}

/*
 * Enters the connection that ct_lookup() called CT_NEW, translated as args->nat
 * says; on an existing one only sets mark and label if asked. Afterwards
 * res->to and res->translate say what nat_apply() has to do. 0, or a negative
 * drop reason: the packet must be dropped, nothing was entered.
 */
__noinline int ct_commit(struct ct_ctx *ctx, struct ct_pkt *pkt, struct ct_result *res,
			 struct ct_commit_args *args)
{
	const struct ct_settings *set = ct_settings();
	int v;

	if (!pkt || !res || !args || !set)
		return -CT_DROP_MAP_MISSING;
	if (res->related)
		return 0;
	if (res->word)
		return ct_update_existing(res, args);
	if (res->expected && !ct_expect_take(pkt, res, args)) {
		/* A packet of the same connection was faster, or of another. */
		v = ct_join(pkt, res);
		return v == 1 ? 0 : -CT_DROP_EXPECT_LOST;
	}
	if (pkt->tuple.family == 4)
		v = ct_commit_new(ctx, set, pkt, res, args, 4);
	else
		v = ct_commit_new(ctx, set, pkt, res, args, 6);
	if (v < 0 && res->expected)
		ct_expect_return();
	return v;
}

#endif
