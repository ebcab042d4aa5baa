/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_ADMIT_H
#define BPFCT_FW_ADMIT_H

#include "fw_helper.h"
#include "fw_nat.h"
#include "fw_reverse.h"
#include "fw_work.h"

/* A packet without a connection at ingress: what the rules say, and where it goes. */

/* fw_admit() and fw_admit_out(): the packet goes on, and opens a connection as
 * w->args says. The entry program calls ct_commit() itself: one frame less on
 * the deepest stack. */
#define FW_COMMIT 1

/* To an external endpoint that an inside host is bound to. From inside that takes a
 * rule with hairpin, and what the other sees must be external too (RFC 4787 REQ-9). */
static __always_inline int fw_bound(struct __sk_buff *skb, struct ct_work *w)
{
	struct ct_nat_args *nat = &w->args.nat;
	int v = nat_inbound(&w->pkt, nat, w->args.inside);

	if (v <= 0 || !w->args.inside)
		return v;
	v = fw_nat(&w->pkt, skb->ifindex, 0, 1, nat);
	if (!v)
		__builtin_memset(nat, 0, sizeof(*nat));
	return v;
}

/* The destination that a new connection gets, entered into the packet's tuple so
 * that route and rules see where it goes. 1, 0: none, or a drop reason. */
static __always_inline int fw_redirect(struct __sk_buff *skb, struct ct_work *w, struct fw_work *f,
				       int to_self)
{
	struct ct_nat_args *nat = &w->args.nat;
	int v;

	if (w->res.expected & CT_EXPECTED_NAT) {
		v = ct_expect_nat(&w->pkt, &w->res, nat);
	} else {
		v = fw_nat_dst(&w->pkt, skb->ifindex, w->args.inside, to_self, nat);
		if (!v)
			v = fw_bound(skb, w);
	}
	if (v <= 0)
		return v;
	__builtin_memcpy(w->pkt.tuple.daddr, nat->dst.addr_min, sizeof(w->pkt.tuple.daddr));
	if (nat->dst.port_min)
		w->pkt.tuple.dport = bpf_htons(nat->dst.port_min);
	v = fw_route(skb, &w->pkt, &w->res, &f->hop);
	return v < 0 ? v : 1;
}

/* Rules, and where it goes. FW_COMMIT, 0 to let it go on without a connection, or
 * a drop reason. */
static __always_inline int fw_decide(struct __sk_buff *skb, struct ct_work *w, struct fw_work *f)
{
	__u32 in = skb->ifindex, out;
	int v, to_self, late, redirected = 0, expected = ct_expect_admits(&w->res);

	to_self = f->hop.where == FW_TO_SELF;
	if (w->res.verdict == CT_NEW) {
		redirected = fw_redirect(skb, w, f, to_self);
		if (redirected < 0)
			return redirected;
		to_self = f->hop.where == FW_TO_SELF;
		/* A new destination is given here or never; the look-up's word is taken. */
		if (redirected && f->hop.where == FW_TO_LATE)
			f->hop.where = FW_TO_STACK;
	}
	late = f->hop.where == FW_TO_LATE;
	out = f->hop.nh.ifindex;
	v = fw_judge_as(&w->pkt, in, out, FW_IN, to_self, expected, &f->verdict);
	/* The rule that redirects admits, unless another blocks. */
	if (v == -CT_DROP_FW_DEFAULT && redirected && !w->res.expected)
		v = 0;
	if (v >= 0 && !to_self && !late)
		v = fw_judge_as(&w->pkt, in, out, FW_OUT, 0, expected, &f->verdict);
	if (v < 0)
		return v;
	if (w->res.verdict != CT_NEW || late)
		return 0;
	/* What the stack will answer with an error opens nothing. */
	if (!to_self && (!out || w->pkt.ttl <= 1))
		return 0;
	/* Of an expected connection ct_commit() takes the rule's limits and no more. */
	if (!to_self &&
	    (!(w->args.nat.flags & CT_NAT_SRC) || (w->res.expected & CT_EXPECTED_NAT))) {
		v = fw_nat(&w->pkt, in, out, 0, &w->args.nat);
		if (v < 0)
			return v;
	}
	w->args.route = f->hop.route;
	w->args.helper = fw_helper(&w->pkt, f->arrived.dport, in);
	return FW_COMMIT;
}

/* `block return`: ctd tells the sender, at a bounded rate. Not of what was not sent to
 * one host alone (RFC 1122 3.2.2), nor of what opens no connection: ND, MLD. */
static __always_inline void fw_tell_blocked(struct __sk_buff *skb, struct ct_work *w)
{
	if (skb->pkt_type != FW_PKT_HOST || w->res.verdict != CT_NEW)
		return;
	w->args.nat.flags |= CT_NAT_ICMP;
	nat_tell(skb, &w->pkt, &w->args, 0, CT_DROP_FW_BLOCK);
}

/* A packet without a connection at ingress. As fw_decide(). */
__noinline int fw_admit(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	__u32 in = skb->ifindex;
	const struct fw_iface *iface;
	const struct fw_half *half;
	int v;

	if (!w || !f)
		return -CT_DROP_MAP_MISSING;
	iface = fw_iface(in);
	__builtin_memset(&w->args, 0, sizeof(w->args));
	w->args.inside = iface && (iface->flags & FW_IF_INSIDE);
	if (w->res.verdict == CT_NEW && fw_rules_late())
		return -CT_DROP_FW_LATE;
	half = fw_rules_now();
	v = fw_reverse(skb, &w->pkt, half ? half->antispoof : FW_SPOOF_OFF);
	if (v >= 0)
		v = fw_route(skb, &w->pkt, &w->res, &f->hop);
	if (v < 0)
		return v;
	f->arrived = w->pkt.tuple;
	v = fw_decide(skb, w, f);
	w->pkt.tuple = f->arrived;
	if (v == -CT_DROP_FW_BLOCK && f->verdict.action == FW_RETURN)
		fw_tell_blocked(skb, w);
	return v;
}

#endif
