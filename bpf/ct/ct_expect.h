/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_EXPECT_H
#define BPFCT_CT_EXPECT_H

#include <bpf/bpf_endian.h>

#include "ct_event.h"
#include "ct_result.h"
#include "ct_tcp_table.h"
#include "ct_word.h"

/*
 * Expectations (expect_abi.h). ct_lookup() finds one for a packet that opens a
 * connection: +new+rel. ct_commit() claims it, once among all CPUs, and enters the
 * connection as it says: EXPECTED for life, its translation consistent with the
 * master's, the master's mark and label. Between the two the consumer judges; what it
 * refuses leaves the expectation as it was.
 */

/* What was found for this CPU's packet, and places for map keys and values. */
struct ct_expect_work {
	struct ct_tuple key;
	struct ct_expect x;	/* as it was at the look-up */
	union ct_key at;	/* of the master's record */
	struct ct_label_key id; /* of the expected connection's */
	struct ct_master master;
	struct ct_label label;
	__u32 mark; /* the master's */
	__u32 status;
};
CT_SCRATCH_FITS(struct ct_expect_work);

static __always_inline struct ct_expect_work *ct_expect_work(void)
{
	return ct_scratch(CT_SCRATCH_EXPECT);
}

static __always_inline struct ct_expect_state *ct_expect_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ct_expstate_v1, &zero);
}

static __always_inline void ct_expect_count(struct ct_expect_state *st, __u32 which)
{
	__sync_fetch_and_add(&st->n[which & 7], 1);
}

static __always_inline __u64 ct_expect_word(const struct ct_expect *x)
{
	return *(volatile const __u64 *)&x->word;
}

/* Does the master of w->x live? Then its mark and status are in w. */
__noinline int ct_expect_master(__u32 now)
{
	struct ct_expect_work *w = ct_expect_work();
	const struct ct_label_key *id;
	const struct ct_conn *c;
	__u64 word;

	if (!w)
		return 0;
	id = &w->x.master;
	w->mark = w->status = 0;
	if (id->key.pad == 4) {
		const struct ct_conn4 *c4;

		w->at.k4.addr[0] = id->key.addr[0][0];
		w->at.k4.addr[1] = id->key.addr[1][0];
		w->at.k4.port[0] = id->key.port[0];
		w->at.k4.port[1] = id->key.port[1];
		w->at.k4.zone = id->key.zone;
		w->at.k4.proto = id->key.proto;
		w->at.k4.pad = 0;
		c4 = bpf_map_lookup_elem(&ct_conn4_v1, &w->at.k4);
		if (!c4)
			return 0;
		c = &c4->c;
	} else {
		const struct ct_conn6 *c6;

		w->at.k6 = id->key;
		w->at.k6.pad = 0;
		c6 = bpf_map_lookup_elem(&ct_conn6_v1, &w->at.k6);
		if (!c6)
			return 0;
		c = &c6->c;
	}
	word = ct_word(c);
	if (ct_w_gen(word) != id->gen)
		return 0;
	if ((w->x.flags & CT_X_CLOSES) && ct_tcp_closed(id->key.proto, ct_w_state(word)))
		return 0;
	w->mark = c->mark;
	w->status = ct_w_status(word);
	return ct_alive(c, word, now);
}

/* The entry under w->key, if it is good for a packet now. */
static __always_inline int ct_expect_try(struct ct_expect_state *st, struct ct_expect_work *w,
					 __u32 now)
{
	const struct ct_expect *x = bpf_map_lookup_elem(&ct_expect_v1, &w->key);
	__u64 word;

	if (!x)
		return 0;
	word = ct_expect_word(x);
	if (((__u32)word & CT_X_CLAIMED) || (x->flags & CT_X_INACTIVE))
		return 0;
	/* A node that is reused meanwhile gives a mixture, which the claim finds out:
	 * generations are not used twice. */
	__builtin_memcpy(&w->x, x, sizeof(w->x));
	w->x.word = word;
	if (ct_before(w->x.expires, now)) {
		ct_expect_count(st, CT_X_COUNT_EXPIRED);
		return 0;
	}
	if (ct_expect_master(now) || (w->x.flags & CT_X_OUTLIVES))
		return 1;
	ct_expect_count(st, CT_X_COUNT_ORPHANED);
	return 0;
}

/* May this packet belong to an expected connection? */
static __always_inline int ct_expect_fits(const struct ct_pkt *pkt)
{
	return (!(pkt->flags & CT_PKT_NO_PORTS) || ct_pkt_call(pkt)) &&
	       !(pkt->flags & CT_PKT_LATER_FRAG) && !ct_is_icmp(&pkt->tuple);
}

/* And be its first? Of TCP only a SYN: what is picked up mid-stream must not use up what the
 * true one is waiting for. */
static __always_inline int ct_expect_opens(const struct ct_pkt *pkt)
{
	return pkt->tuple.proto != IPPROTO_TCP ||
	       (pkt->tcp_flags & (CT_TH_SYN | CT_TH_ACK)) == CT_TH_SYN;
}

/* Looks for an expectation of this packet; at most one look-up a shape. 1: res says
 * so, ct_expect_work() has it. */
__noinline int ct_expect_find(const struct ct_pkt *pkt, struct ct_result *res)
{
	struct ct_expect_state *st = ct_expect_state();
	struct ct_expect_work *w = ct_expect_work();
	int found = 0;

	if (!pkt || !res || !st || !w || !ct_expect_fits(pkt))
		return 0;
	__builtin_memcpy(&w->key, &pkt->tuple, sizeof(w->key));
	if (*(volatile __u32 *)&st->entries[CT_X_EXACT])
		found = ct_expect_try(st, w, res->now);
	if (!found && *(volatile __u32 *)&st->entries[CT_X_ANY_PORT]) {
		w->key.sport = 0;
		found = ct_expect_try(st, w, res->now);
	}
	if (!found && *(volatile __u32 *)&st->entries[CT_X_ANY_SOURCE]) {
		w->key.sport = 0;
		__builtin_memset(w->key.saddr, 0, sizeof(w->key.saddr));
		found = ct_expect_try(st, w, res->now);
	}
	if (!found)
		return 0;
	res->state |= CT_STATE_REL;
	/* Of one whose first packet nobody has committed: still related, but it claims nothing. */
	if (!ct_expect_opens(pkt))
		return 0;
	res->expected = CT_EXPECTED | (w->x.flags & CT_X_NAT ? CT_EXPECTED_NAT : 0) |
			(w->x.flags & CT_X_POLICY ? CT_EXPECTED_POLICY : 0);
	res->mark = w->mark;
	return 1;
}

/* Costs a packet that opens a connection one array look-up while nothing is expected. */
static __always_inline void ct_expect_look(const struct ct_pkt *pkt, struct ct_result *res)
{
	const struct ct_expect_state *st = ct_expect_state();

	if (st && *(volatile const __u32 *)&st->count)
		ct_expect_find(pkt, res);
}

static __always_inline void ct_expect_dst(const struct ct_tuple *t, const struct ct_expect *x,
					  struct ct_nat_args *nat)
{
	const struct ct_tuple *to = &x->nat;

	if (t->dport == to->dport && t->daddr[0] == to->daddr[0] && t->daddr[1] == to->daddr[1] &&
	    t->daddr[2] == to->daddr[2] && t->daddr[3] == to->daddr[3])
		return;
	nat->flags |= CT_NAT_DST | CT_NAT_TO_ID;
	__builtin_memcpy(nat->dst.addr_min, to->daddr, 16);
	__builtin_memcpy(nat->dst.addr_max, to->daddr, 16);
	nat->dst.port_min = nat->dst.port_max = bpf_ntohs(to->dport);
}

static __always_inline void ct_expect_src(const struct ct_tuple *t, const struct ct_expect *x,
					  struct ct_nat_args *nat)
{
	const struct ct_tuple *to = &x->nat;

	if ((!to->sport || t->sport == to->sport) && t->saddr[0] == to->saddr[0] &&
	    t->saddr[1] == to->saddr[1] && t->saddr[2] == to->saddr[2] &&
	    t->saddr[3] == to->saddr[3])
		return;
	nat->flags |= CT_NAT_SRC;
	__builtin_memcpy(nat->src.addr_min, to->saddr, 16);
	__builtin_memcpy(nat->src.addr_max, to->saddr, 16);
	nat->src.port_min = nat->src.port_max = bpf_ntohs(to->sport);
	nat->pool_base = 0;
	if (to->sport)
		nat->flags |= CT_NAT_GIVEN;
	else if (x->nat_pool)
		nat->pool_base = x->nat_pool;
}

/*
 * Puts the translation of the expectation that was found in place of what the rules
 * said: both sides, as its master's. Limits of the rules stay, and a subscriber's block
 * of ports if a port is to be chosen. 1: the destination changes; 0: it does not, or
 * the expectation leaves translation to the rules. May be asked twice.
 */
__noinline int ct_expect_nat(const struct ct_pkt *pkt, const struct ct_result *res,
			     struct ct_nat_args *nat)
{
	struct ct_expect_work *w = ct_expect_work();
	__u32 keep;

	if (!pkt || !res || !nat || !w || !(res->expected & CT_EXPECTED_NAT))
		return 0;
	keep = CT_NAT_LIMIT | CT_NAT_ICMP;
	if ((nat->flags & CT_NAT_BLOCK) && !w->x.nat.sport)
		keep |= CT_NAT_SRC | CT_NAT_BLOCK | CT_NAT_PAIRED | CT_NAT_PARITY;
	nat->flags &= keep;
	ct_expect_dst(&pkt->tuple, &w->x, nat);
	if (!(nat->flags & CT_NAT_BLOCK))
		ct_expect_src(&pkt->tuple, &w->x, nat);
	if (w->x.nat_ref) {
		nat->flags |= CT_NAT_BOUND;
		nat->in_ref = w->x.nat_ref;
		nat->in_gen = w->x.nat_gen;
	}
	return !!(nat->flags & CT_NAT_DST);
}

/* May the consumer's rules be passed over for this packet (but for those that block)? */
static __always_inline int ct_expect_admits(const struct ct_result *res)
{
	return res->expected && !(res->expected & CT_EXPECTED_POLICY);
}

/* Mark and label of the master, where the consumer gives none of its own (netfilter
 * inherits the mark, OVS the label as well), and the helper that it is to have. */
static __always_inline void ct_expect_inherit(struct ct_expect_work *w, struct ct_commit_args *args)
{
	const struct ct_label *label;

	if (w->x.give && !args->helper)
		args->helper = w->x.give;
	if (w->mark && !args->set_mark) {
		args->mark = w->mark;
		args->set_mark = 1;
	}
	if (args->set_label || !(w->status & CT_S_LABEL))
		return;
	label = bpf_map_lookup_elem(&ct_label_v1, &w->x.master);
	if (!label)
		return;
	__builtin_memcpy(args->label, label->bits, sizeof(args->label));
	args->set_label = 1;
}

/* Claims what was found for the commit that calls. 1: ours; 0: another packet was
 * faster, or it has been withdrawn. */
__noinline int ct_expect_take(const struct ct_pkt *pkt, const struct ct_result *res,
			      struct ct_commit_args *args)
{
	struct ct_expect_state *st = ct_expect_state();
	struct ct_expect_work *w = ct_expect_work();
	struct ct_expect *x;
	__u64 word;

	if (!pkt || !res || !args || !st || !w)
		return 0;
	x = bpf_map_lookup_elem(&ct_expect_v1, &w->key);
	word = x ? ct_expect_word(x) : 0;
	if (!x || ct_x_gen(word) != ct_x_gen(w->x.word) || ((__u32)word & CT_X_CLAIMED))
		goto raced;
	if (w->x.flags & CT_X_PERMANENT)
		/* Only counted; a withdrawal that overtakes us counts in a stranger. */
		__sync_fetch_and_add(&x->word, 1);
	else if (__sync_val_compare_and_swap(&x->word, word, word | CT_X_CLAIMED) != word)
		goto raced;
	ct_expect_nat(pkt, res, &args->nat);
	ct_expect_inherit(w, args);
	return 1;
raced:
	ct_expect_count(st, CT_X_COUNT_RACED);
	return 0;
}

/* The connection could not be entered after all: the expectation waits on. */
__noinline int ct_expect_return(void)
{
	struct ct_expect_state *st = ct_expect_state();
	struct ct_expect_work *w = ct_expect_work();
	struct ct_expect *x;
	__u64 word;

	if (!st || !w || (w->x.flags & CT_X_PERMANENT))
		return 0;
	word = w->x.word;
	x = bpf_map_lookup_elem(&ct_expect_v1, &w->key);
	if (x && __sync_val_compare_and_swap(&x->word, word | CT_X_CLAIMED, word) ==
			 (word | CT_X_CLAIMED))
		ct_expect_count(st, CT_X_COUNT_RETURNED);
	return 0;
}

/* Before the record goes in: who its master is. It goes with the record, as a label. */
__noinline int ct_expect_bind(const union ct_key *key, __u32 gen, __u8 family)
{
	struct ct_expect_state *st = ct_expect_state();
	struct ct_expect_work *w = ct_expect_work();

	if (!key || !st || !w)
		return 0;
	ct_label_key(&w->id, key, gen, family);
	w->master.conn = w->x.master;
	w->master.orig = w->x.orig;
	w->master.group = w->x.group;
	bpf_map_update_elem(&ct_master_v1, &w->id, &w->master, BPF_ANY);
	ct_expect_count(st, CT_X_COUNT_USED);
	return 0;
}

#endif
