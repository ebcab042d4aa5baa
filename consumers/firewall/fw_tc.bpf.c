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
#include "fw_admit.h"
#include "fw_frag.h"
#include "fw_midway.h"

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
	pending = 0;
	if (w->res.translate & CT_XLATE_SRC)
		pending = fw_midway_note() ? FW_MARK_MIDWAY : FW_MARK_PENDING;
	if (f->hop.where == FW_TO_LATE)
		pending = FW_MARK_LATE;
	/* The stack alone knows where it goes: its MSS is looked at where it leaves. */
	if (f->hop.where == FW_TO_STACK && !pending && !f->hop.nh.ifindex && fw_to_clamp(&w->pkt))
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
		if (ct_drop_is_invalid(v)) {
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
__noinline int fw_finish(struct __sk_buff *skb, int midway)
{
	const struct fw_iface *iface = fw_iface(skb->ifindex);
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	int v, syn;

	if (!w || !f)
		return -CT_DROP_MAP_MISSING;
	f->midway = w->pkt.tuple;
	if (!midway)
		ct_peek(skb, &w->pkt, &w->res);
	else if (!fw_midway_find(skb, w->pkt.flags & CT_PKT_ICMP_REPLY))
		return -CT_DROP_NAT_LOST;
	syn = fw_to_clamp(&w->pkt);
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
#define FW_MIDWAY  3 /* as FW_PENDING, its destination is translated */

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
	if (mark == (want | FW_MARK_MIDWAY) || mark == (uncut | FW_MARK_MIDWAY))
		return FW_MIDWAY;
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
 * An error of the stack's own about a packet that went up with its source alone still to be
 * translated: it quotes what that packet's sender sent and needs no translation, so ct_lookup(),
 * which looks for what has been translated, finds nothing. But the sequence number of a helped
 * connection was adjusted before it went up. > 0: an error about a connection of ours, 0: not, < 0:
 * a drop reason.
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
	if (v == FW_PENDING || v == FW_MIDWAY)
		return fw_done(skb, fw_finish(skb, v == FW_MIDWAY));
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
		again = fw_midway_error(skb);
		if (!again)
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
