// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The standalone firewall on TC. Ingress: track, judge, translate, and redirect
 * to where the packet goes; what the stack has to see goes up. Egress: the
 * router's own packets, and source translation of what came through the stack.
 */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct_path.h"
#include "../../bpf/ct/ct_alg_take.h"
#include "fw_forward.h"
#include "fw_frag.h"
#include "fw_helper.h"
#include "fw_mss.h"
#include "fw_nat.h"
#include "fw_reverse.h"

/* The packet goes on: to the next program or filter of this hook, whoever's it
 * is, then to the stack. TC_ACT_OK would end the hook and keep the clsact
 * filters of others from everything that TCX programs let pass. */
#define FW_NEXT TC_ACT_UNSPEC

struct fw_work {
	struct fw_hop hop;
	struct fw_verdict verdict;
	struct ct_tuple arrived; /* the packet's own, while its tuple is what it will be */
};
CT_SCRATCH_FITS(struct fw_work);

static __always_inline struct fw_work *fw_work(void)
{
	return ct_scratch(CT_SCRATCH_CONSUMER);
}

static __always_inline int fw_drop(int v)
{
	ct_drop(-v);
	ct_stat(CT_STAT_DROP);
	return TC_ACT_SHOT;
}

/* As fw_drop(), of a packet that may stand for a whole datagram. */
static __always_inline int fw_drop_all(const struct ct_work *w, int v)
{
	if (w->pkt.flags & CT_PKT_GATHERED)
		frag_discard(&w->pkt, -v);
	return fw_drop(v);
}

static __always_inline int fw_is_invalid(int v)
{
#define X(name, text, cls, meaning)                                                                \
	if (CT_DROP_##cls == CT_DROP_INVALID && v == -CT_DROP_##name)                              \
		return 1;
	CT_DROP_REASONS(X)
#undef X
	return 0;
}

/* The half in force; NULL cannot happen. */
static __always_inline const struct fw_half *fw_rules_now(void)
{
	__u32 half;

	return fw_active(&half);
}

/* Has a network that the rules name changed, and ctd not compiled them since? With ctd dead
 * the old ones have to do. */
static __always_inline int fw_rules_late(void)
{
	const struct fw_late *ctd = fw_late(FW_LATE_CTD), *watch = fw_late(FW_LATE_WATCH);
	const struct ct_settings *set = ct_settings();

	return ctd && watch && set && (__s32)(watch->nets - ctd->changes) > 0 &&
	       ct_ctd_listens(set);
}

/* A SYN that `set mss clamp` is about; of other packets the flags are all that is looked
 * at. */
static __always_inline int fw_to_clamp(const struct ct_pkt *pkt)
{
	const struct fw_half *half;

	if (!fw_is_syn(pkt))
		return 0;
	half = fw_rules_now();
	return half && half->mss_clamp;
}

/* Up the stack: destination translated here, source at egress. */
__noinline int fw_to_stack(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	int v, pending;

	if (!w || !f)
		return fw_drop(-CT_DROP_MAP_MISSING);
	v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_DST);
	if (v < 0)
		return fw_drop_all(w, v);
	pending = w->res.translate & CT_XLATE_SRC ? FW_MARK_PENDING : 0;
	if (f->hop.where == FW_TO_LATE)
		pending = FW_MARK_LATE;
	/* The stack alone knows where it goes: its MSS is looked at where it leaves. */
	if (f->hop.where == FW_TO_STACK && !f->hop.nh.ifindex && fw_to_clamp(&w->pkt))
		pending = FW_MARK_PENDING;
	ct_stat(CT_STAT_STACK_FORWARD);
	if (w->pkt.flags & CT_PKT_GATHERED) {
		v = fw_release_up(skb, pending);
		return v < 0 ? fw_drop(v) : frag_stolen();
	}
	skb->tc_index = fw_mark(skb, w->pkt.l3_off) | pending;
	return FW_NEXT;
}

__noinline int fw_to_hop(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	__u32 to;
	int v;

	if (!w || !f)
		return fw_drop(-CT_DROP_MAP_MISSING);
	v = fw_rewrite_link(skb, &w->pkt, &f->hop);
	if (v >= 0)
		v = nat_apply_here(skb, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST);
	if (v < 0)
		return fw_drop_all(w, v);
	skb->tc_index = fw_mark_here(skb, w->pkt.l3_off);
	ct_stat(CT_STAT_FAST_FORWARD);
	to = f->hop.nh.ifindex;
	if (w->pkt.flags & CT_PKT_GATHERED) {
		v = frag_release(skb, &w->pkt, to, 0);
		if (v < 0)
			return fw_drop(v);
	}
	return bpf_redirect(to, 0);
}

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

/* A fragment that is not (or no more) to be tracked: v is what fw_fragment_in()
 * said. */
__noinline int fw_fragment_goes(struct __sk_buff *skb, int v)
{
	struct ct_work *w = ct_work();

	if (!w)
		return fw_drop(-CT_DROP_MAP_MISSING);
	switch (v) {
	case FRAG_HOLD:
		return frag_stolen();
	case FRAG_RETURNED:
		skb->tc_index = fw_mark(skb, w->pkt.l3_off) | w->pkt.frag_note;
		return FW_NEXT;
	}
	__builtin_memset(&w->res, 0, sizeof(w->res));
	v = fw_admit(skb);
	return v < 0 ? fw_drop(v) : fw_to_stack(skb);
}

/* The zone in which what comes or goes by this interface is tracked. */
static __always_inline __u16 fw_zone(__u32 ifindex)
{
	const struct fw_iface *iface = fw_iface(ifindex);

	return iface ? iface->zone : 0;
}

static __always_inline int fw_in(struct __sk_buff *skb, int l2)
{
	const struct ct_settings *set = ct_settings();
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	int v, again = 0;

	if (!w || !f || !set)
		return fw_drop(-CT_DROP_MAP_MISSING);
	skb->tc_index = 0;
	/* A tagged frame belongs to its VLAN device, whose own hook judges it; without
	 * one the stack drops it. */
	if (skb->pkt_type == FW_PKT_OTHERHOST || (skb->vlan_present && (skb->vlan_tci & 0xfff)))
		return FW_NEXT;
	v = ct_parse(skb, &w->pkt, fw_zone(skb->ifindex), l2);
	if (v == CT_PARSE_OTHER)
		return FW_NEXT;
	if (v == -CT_DROP_FRAG_TINY)
		frag_stat(w->pkt.tuple.family, FRAG_STAT_TOO_SMALL, 1);
	if (v >= 0 && (w->pkt.flags & CT_PKT_FRAGMENT)) {
		v = fw_fragment_in(skb);
		if (v > 0)
			return fw_fragment_goes(skb, v);
	}
	if (v >= 0 && skb->mark)
		again = v = alg_again(skb, &w->pkt, &w->res);
	if (v >= 0 && !again)
		v = ct_lookup(skb, &w->pkt, &w->res);
	f->hop.where = FW_TO_STACK;
	if (v == CT_NEW || v == CT_UNTRACKED) {
		w->res.verdict = v;
		v = fw_admit(skb);
		if (v == FW_COMMIT)
			v = ct_commit(skb, &w->pkt, &w->res, &w->args);
	} else if (v > 0) {
		if (ct_route_get(set, w->res.route, &f->hop.nh)) {
			f->hop.where = FW_TO_HOP;
		} else {
			v = fw_route(skb, &w->pkt, &w->res, &f->hop);
			if (v >= 0 && f->hop.route)
				ct_route_keep(&w->res, f->hop.route);
		}
	}
	if (v >= 0 && !again && (w->res.word & CT_W_STATUS(CT_S_HELPER))) {
		v = alg_take(skb, &w->pkt, &w->res);
		if (v == ALG_TAKEN)
			return frag_stolen();
	}
	if (v < 0) {
		if (fw_is_invalid(v)) {
			ct_stat(CT_STAT_INVALID);
			ct_drop(CT_DROP_FW_INVALID);
		}
		return fw_drop_all(w, v);
	}
	if (f->hop.where != FW_TO_SELF && fw_to_clamp(&w->pkt)) {
		v = fw_mss(skb, &w->pkt, fw_mss_way(skb, &w->pkt, &w->res));
		if (v < 0)
			return fw_drop_all(w, v);
	}
	if (l2 && f->hop.where == FW_TO_HOP && fw_can_redirect(skb, &w->pkt, &f->hop))
		return fw_to_hop(skb);
	return fw_to_stack(skb);
}

/* A packet that opens a connection where it leaves: the router's own, or one that
 * the `in` rules have admitted (FW_TO_LATE). */
__noinline int fw_admit_out(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	__u32 out = skb->ifindex, in = 0;
	const struct fw_iface *iface;
	int v;

	if (!w || !f)
		return -CT_DROP_MAP_MISSING;
	if (f->hop.where == FW_TO_LATE)
		in = skb->ingress_ifindex;
	v = fw_judge_as(&w->pkt, in, out, FW_OUT, 0, ct_expect_admits(&w->res), &f->verdict);
	if (v < 0)
		return v;
	if (w->res.verdict != CT_NEW)
		return 0;
	__builtin_memset(&w->args, 0, sizeof(w->args));
	v = fw_nat(&w->pkt, in, out, 0, &w->args.nat);
	if (v < 0)
		return v;
	iface = fw_iface(out);
	if (in && fw_to_clamp(&w->pkt)) {
		v = fw_mss(skb, &w->pkt, iface ? iface->mtu : 0);
		if (v < 0)
			return v;
	}
	iface = in ? fw_iface(in) : NULL;
	w->args.inside = !in || (iface && (iface->flags & FW_IF_INSIDE));
	w->args.local = !in;
	w->args.helper = fw_helper(&w->pkt, w->pkt.tuple.dport, in ? in : FW_LOOPBACK);
	return FW_COMMIT;
}

/* Came through ingress of one of ours, or never crossed an ingress? */
static __always_inline int fw_from_ours(struct __sk_buff *skb)
{
	__u32 in = skb->ingress_ifindex;
	const struct fw_iface *iface;

	if (!in)
		return 1;
	iface = fw_iface(in);
	/* What comes from an interface that `set skip on` names nobody has judged, and
	 * here it is tracked and translated as the router's own. */
	return iface && (iface->flags & (FW_IF_ATTACHED | FW_IF_SKIP));
}

/* A packet that ingress sent up the stack with its source still to translate. */
static __always_inline int fw_finish(struct __sk_buff *skb, struct ct_work *w)
{
	const struct fw_iface *iface = fw_iface(skb->ifindex);
	int v, syn = fw_to_clamp(&w->pkt);

	ct_peek(skb, &w->pkt, &w->res);
	if (syn) {
		v = fw_mss(skb, &w->pkt, iface ? iface->mtu : 0);
		if (v < 0)
			return v;
	}
	/* Of a SYN the mark may say no more than that. */
	if (!(w->res.translate & CT_XLATE_SRC))
		return syn && w->res.word ? 0 : -CT_DROP_NAT_LOST;
	return nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC);
}

/* Leaves by this hook; the mark tells the hooks of devices below, and this one of
 * the clones that the fragments of a datagram are. */
__noinline int fw_done(struct __sk_buff *skb, int v)
{
	struct ct_work *w = ct_work();

	if (!w)
		return fw_drop(-CT_DROP_MAP_MISSING);
	if (v < 0)
		return fw_drop_all(w, v);
	skb->tc_index = fw_mark(skb, w->pkt.l3_off);
	if (w->pkt.flags & CT_PKT_GATHERED) {
		v = frag_release(skb, &w->pkt, skb->ifindex, 0);
		if (v < 0)
			return fw_drop(v);
	}
	return FW_NEXT;
}

/* What the mark says of a packet that is not simply done with. */
#define FW_OWN	   0 /* the router's own, or FW_TO_LATE: to be tracked */
#define FW_PENDING 1 /* its source is still to be translated */
#define FW_CUT	   2 /* done with, but for the stack having cut it */

__noinline int fw_marked(struct __sk_buff *skb, __u32 mark)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	__u32 want, uncut;

	if (!w || !f)
		return FW_OWN;
	f->hop.where = FW_TO_STACK;
	if (!mark)
		return FW_OWN;
	want = fw_mark(skb, w->pkt.l3_off);
	uncut = w->pkt.flags & CT_PKT_GATHERED ? fw_mark_uncut(skb, &w->pkt) : want;
	if (mark == (want | FW_MARK_LATE) || mark == (uncut | FW_MARK_LATE)) {
		f->hop.where = FW_TO_LATE;
		return FW_OWN;
	}
	if (mark == (want | FW_MARK_PENDING) || mark == (uncut | FW_MARK_PENDING))
		return FW_PENDING;
	return mark == uncut ? FW_CUT : FW_OWN;
}

/*
 * A packet that went up the stack with its source still to be translated, and whose mark
 * no longer fits: did nf_conntrack do it, just as we would have (CT_S_TAKEN)? Then the
 * packet is the answer to an answer of a connection of ours.
 */
__noinline int fw_translated(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();

	if (!w || !f || !skb->ingress_ifindex || (w->pkt.flags & CT_PKT_ICMP_ERROR))
		return 0;
	f->arrived = w->pkt.tuple;
	ct_tuple_invert(&w->pkt.tuple, &f->arrived);
	w->pkt.flags ^= CT_PKT_ICMP_REPLY;
	ct_peek(skb, &w->pkt, &w->res);
	w->pkt.flags ^= CT_PKT_ICMP_REPLY;
	w->pkt.tuple = f->arrived;
	return w->res.dir == CT_REPLY && (w->res.word & CT_W_STATUS(CT_S_NAT));
}

/* On its way out: a tag in skb metadata, and the inner one of two in the data. */
static __always_inline int fw_out_tagged(struct __sk_buff *skb)
{
	return (skb->vlan_present && (skb->vlan_tci & 0xfff)) ||
	       skb->protocol == bpf_htons(ETH_P_8021Q) || skb->protocol == bpf_htons(ETH_P_8021AD);
}

/* Payload of the router's own, which ctd has read: tracked, to be translated. */
__noinline int fw_out_again(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	int v;

	if (!w)
		return -CT_DROP_MAP_MISSING;
	v = alg_again(skb, &w->pkt, &w->res);
	if (v > 0)
		v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST);
	return v;
}

/*
 * An error of the stack's own about a packet that went up with its source still to be translated:
 * it quotes what that packet's sender sent and needs no translation, so ct_lookup(), which looks
 * for what has been translated, finds nothing. But the sequence number of a helped connection was
 * adjusted before it went up. > 0: an error about a connection of ours, 0: not, < 0: a drop reason.
 */
__noinline int fw_own_error(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	int v = 0;

	if (!w || !f || w->pkt.inner.proto != IPPROTO_TCP)
		return 0;
	f->arrived = w->pkt.tuple;
	w->pkt.tuple = w->pkt.inner;
	w->pkt.flags ^= CT_PKT_ICMP_ERROR;
	ct_peek(skb, &w->pkt, &w->res);
	w->pkt.flags ^= CT_PKT_ICMP_ERROR;
	w->pkt.tuple = f->arrived;
	if (!w->res.word)
		return 0;
	w->res.dir ^= 1;
	if (w->res.word & CT_W_STATUS(CT_S_HELPER))
		v = nat_seq_quote(skb, &w->pkt, &w->res);
	return v < 0 ? v : 1;
}

/* What came in is of the zone that it came in by, wherever it leaves; not so what comes from
 * the execute device. */
static __always_inline __u16 fw_zone_out(struct __sk_buff *skb, int again)
{
	__u32 in = skb->ingress_ifindex, out = skb->ifindex;

	asm volatile("" : "+r"(in), "+r"(out)); /* or one load of two places, which is refused */
	return fw_zone(in && !again ? in : out);
}

static __always_inline int fw_out(struct __sk_buff *skb, int l2)
{
	struct ct_work *w = ct_work();
	__u16 mark = skb->tc_index, want;
	int v, own = !skb->ingress_ifindex, again = 0;

	if (!w)
		return fw_drop(-CT_DROP_MAP_MISSING);
	/* As at ingress: its VLAN device's own hook has judged and translated it. The mark
	 * is taken behind an Ethernet header and would not be found behind two tags. */
	if (l2 && fw_out_tagged(skb))
		return FW_NEXT;
	want = mark ? fw_mark_here(skb, fw_l3(l2)) : 0;
	if (mark && mark == want && fw_from_ours(skb))
		return FW_NEXT;
	if (skb->mark)
		again = alg_is_ours(skb);
	v = ct_parse(skb, &w->pkt, fw_zone_out(skb, again), l2);
	if (v == CT_PARSE_OTHER)
		return FW_NEXT;
	if (!again && !fw_from_ours(skb))
		return fw_drop(-CT_DROP_FW_UNTRACKED_IF);
	if (v >= 0 && (w->pkt.flags & CT_PKT_FRAGMENT)) {
		v = fw_fragment_out(skb, mark);
		if (v == FRAG_HOLD)
			return frag_stolen();
		if (v < 0)
			return fw_drop(v);
	}
	/* What is odd about the router's own packets is its business. */
	if (v) {
		ct_stat(CT_STAT_UNTRACKED);
		return FW_NEXT;
	}
	if (again)
		return fw_done(skb, fw_out_again(skb));
	v = fw_marked(skb, mark);
	if (v == FW_CUT || (v == FW_OWN && mark && fw_translated(skb)))
		return fw_done(skb, 0);
	if (v == FW_PENDING)
		return fw_done(skb, fw_finish(skb, w));
	v = ct_lookup(skb, &w->pkt, &w->res);
	if (v == CT_NEW || v == CT_UNTRACKED) {
		w->res.verdict = v;
		v = fw_admit_out(skb);
		if (v == FW_COMMIT)
			v = ct_commit(skb, &w->pkt, &w->res, &w->args);
		/* Of others payload is taken at ingress: the sender's next try will be. */
		if (v >= 0 && !own && (w->res.word & CT_W_STATUS(CT_S_HELPER)) &&
		    w->pkt.payload_len)
			v = -CT_DROP_ALG_SHAPE;
		if (v < 0)
			return fw_done(skb, v);
	}
	if (v == -CT_DROP_ICMP_UNRELATED && own) {
		again = fw_own_error(skb);
		if (again)
			return fw_done(skb, again < 0 ? again : 0);
	}
	if (v < 0) {
		ct_stat(CT_STAT_INVALID);
		return fw_done(skb, 0);
	}
	/* Errors of the stack's own too, about packets whose destination was translated. */
	if (own && (w->res.word & CT_W_STATUS(CT_S_HELPER))) {
		v = alg_take(skb, &w->pkt, &w->res);
		if (v == ALG_TAKEN)
			return frag_stolen();
		if (v < 0)
			return fw_done(skb, v);
	}
	return fw_done(skb, nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST));
}

SEC("tc")
int fw_ingress(struct __sk_buff *skb)
{
	return fw_in(skb, 1);
}

SEC("tc")
int fw_egress(struct __sk_buff *skb)
{
	return fw_out(skb, 1);
}

/* Devices whose frames start with the IP header (tun, wireguard). */
SEC("tc")
int fw_ingress_l3(struct __sk_buff *skb)
{
	return fw_in(skb, 0);
}

SEC("tc")
int fw_egress_l3(struct __sk_buff *skb)
{
	return fw_out(skb, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
