// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The standalone firewall on TC. Ingress: track, judge, translate, and redirect
 * to where the packet goes; what the stack has to see goes up. Egress: the
 * router's own packets, and source translation of what came through the stack.
 */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct_path.h"
#include "fw_forward.h"
#include "fw_nat.h"

/* The packet goes on: to the next program or filter of this hook, whoever's it
 * is, then to the stack. TC_ACT_OK would end the hook and keep the clsact
 * filters of others from everything that TCX programs let pass. */
#define FW_NEXT TC_ACT_UNSPEC

struct fw_work {
	struct fw_hop hop;
	struct fw_verdict verdict;
	struct ct_tuple arrived; /* the packet's own, while its tuple is what it will be */
};
CT_MAP(fw_work_v1, BPF_MAP_TYPE_PERCPU_ARRAY, 1, __u32, struct fw_work);

static __always_inline struct fw_work *fw_work(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fw_work_v1, &zero);
}

/*
 * A packet is tracked once though it crosses several hooks. The mark is
 * tc_index: 15 bits of a keyed hash of the packet's addresses, protocol and first
 * transport word as it leaves the hook, so that a tunnel's outer packet does not
 * match, and a bit that says "source translation still to be done". Always
 * written at ingress, as it arrives from the peer namespace over veth; never 0.
 * Taken from the packet's bytes, so that egress need not parse what is done.
 */
#define FW_MARK_PENDING 1

__noinline int fw_mark(struct __sk_buff *skb, __u32 l3)
{
	const struct ct_settings *set = ct_settings();
	__u8 *first = ct_at(skb, l3, 20);
	__be32 *w = (__be32 *)first, *l4;
	__u64 h;

	if (!first || !set)
		return 0;
	h = set->secret[0];
	if (*first >> 4 == 4) {
		h = ct_mix(h, ((__u64)w[3] << 32) | w[4]);
		h = ct_mix(h, first[9]);
		l4 = ct_at(skb, l3 + 20, 4);
	} else {
		w = ct_at(skb, l3, 40);
		if (!w)
			return 0;
		h = ct_mix(h, ((__u64)w[2] << 32) | w[6]);
		h = ct_mix(h, ((__u64)w[3] << 32) | w[7]);
		h = ct_mix(h, ((__u64)w[4] << 32) | w[8]);
		h = ct_mix(h, ((__u64)w[5] << 32) | w[9]);
		h = ct_mix(h, *((__u8 *)w + 6));
		l4 = ct_at(skb, l3 + 40, 4);
	}
	/* A packet may end with its IP header. */
	if (l4)
		h = ct_mix(h, *l4);
	return (ct_mix(h, set->secret[1]) & 0xfffe) | 0x8000;
}

/* Where the IP header of an untagged packet is; the mark is only for those. */
static __always_inline __u32 fw_l3(int l2)
{
	return l2 ? sizeof(struct ethhdr) : 0;
}

static __always_inline int fw_drop(int v)
{
	ct_drop(-v);
	ct_stat(CT_STAT_DROP);
	return TC_ACT_SHOT;
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

/* Up the stack: destination translated here, source at egress. */
__noinline int fw_to_stack(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	int v;

	if (!w)
		return fw_drop(-CT_DROP_MAP_MISSING);
	v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_DST);
	if (v < 0)
		return fw_drop(v);
	skb->tc_index = fw_mark(skb, w->pkt.l3_off) |
			(w->res.translate & CT_XLATE_SRC ? FW_MARK_PENDING : 0);
	ct_stat(CT_STAT_STACK_FORWARD);
	return FW_NEXT;
}

__noinline int fw_to_hop(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	int v;

	if (!w || !f)
		return fw_drop(-CT_DROP_MAP_MISSING);
	v = fw_rewrite_link(skb, &w->pkt, &f->hop);
	if (v >= 0)
		v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST);
	if (v < 0)
		return fw_drop(v);
	skb->tc_index = fw_mark(skb, w->pkt.l3_off);
	ct_stat(CT_STAT_FAST_FORWARD);
	return bpf_redirect(f->hop.nh.ifindex, 0);
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

	v = fw_nat_dst(&w->pkt, skb->ifindex, w->args.inside, to_self, nat);
	if (!v)
		v = fw_bound(skb, w);
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
	int v, to_self, redirected = 0;

	to_self = f->hop.where == FW_TO_SELF;
	if (w->res.verdict == CT_NEW) {
		redirected = fw_redirect(skb, w, f, to_self);
		if (redirected < 0)
			return redirected;
		to_self = f->hop.where == FW_TO_SELF;
	}
	out = f->hop.nh.ifindex;
	v = fw_judge(&w->pkt, in, out, FW_IN, to_self, &f->verdict);
	/* The rule that redirects admits, unless another blocks. */
	if (v == -CT_DROP_FW_DEFAULT && redirected)
		v = 0;
	if (v >= 0 && !to_self)
		v = fw_judge(&w->pkt, in, out, FW_OUT, 0, &f->verdict);
	if (v < 0)
		return v;
	if (w->res.verdict != CT_NEW)
		return 0;
	/* What the stack will answer with an error opens nothing. */
	if (!to_self && (!out || w->pkt.ttl <= 1))
		return 0;
	if (!to_self && !(w->args.nat.flags & CT_NAT_SRC)) {
		v = fw_nat(&w->pkt, in, out, 0, &w->args.nat);
		if (v < 0)
			return v;
	}
	w->args.route = f->hop.route;
	return FW_COMMIT;
}

/* A packet without a connection at ingress. As fw_decide(). */
__noinline int fw_admit(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	__u32 in = skb->ifindex;
	struct fw_iface *iface;
	int v;

	if (!w || !f)
		return -CT_DROP_MAP_MISSING;
	iface = bpf_map_lookup_elem(&fw_iface_v1, &in);
	__builtin_memset(&w->args, 0, sizeof(w->args));
	w->args.inside = iface && (iface->flags & FW_IF_INSIDE);
	v = fw_route(skb, &w->pkt, &w->res, &f->hop);
	if (v < 0)
		return v;
	f->arrived = w->pkt.tuple;
	v = fw_decide(skb, w, f);
	w->pkt.tuple = f->arrived;
	return v;
}

static __always_inline int fw_in(struct __sk_buff *skb, int l2)
{
	const struct ct_settings *set = ct_settings();
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	int v;

	if (!w || !f || !set)
		return fw_drop(-CT_DROP_MAP_MISSING);
	skb->tc_index = 0;
	/* A tagged frame belongs to its VLAN device, whose own hook judges it; without
	 * one the stack drops it. */
	if (skb->pkt_type == FW_PKT_OTHERHOST || (skb->vlan_present && (skb->vlan_tci & 0xfff)))
		return FW_NEXT;
	v = ct_parse(skb, &w->pkt, 0, l2);
	if (v == CT_PARSE_OTHER)
		return FW_NEXT;
	if (v >= 0) {
		v = frag_admit(&w->pkt);
		if (v == FRAG_PASS) {
			__builtin_memset(&w->res, 0, sizeof(w->res));
			v = fw_admit(skb);
			return v < 0 ? fw_drop(v) : fw_to_stack(skb);
		}
	}
	if (v >= 0)
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
	if (v < 0) {
		if (fw_is_invalid(v)) {
			ct_stat(CT_STAT_INVALID);
			ct_drop(CT_DROP_FW_INVALID);
		}
		return fw_drop(v);
	}
	if (l2 && f->hop.where == FW_TO_HOP && fw_can_redirect(skb, &w->pkt, &f->hop))
		return fw_to_hop(skb);
	return fw_to_stack(skb);
}

/* A packet of the router's own that opens a connection. */
__noinline int fw_admit_out(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	__u32 out = skb->ifindex;
	int v;

	if (!w || !f)
		return -CT_DROP_MAP_MISSING;
	v = fw_judge(&w->pkt, 0, out, FW_OUT, 0, &f->verdict);
	if (v < 0)
		return v;
	if (w->res.verdict != CT_NEW)
		return 0;
	__builtin_memset(&w->args, 0, sizeof(w->args));
	v = fw_nat(&w->pkt, 0, out, 0, &w->args.nat);
	if (v < 0)
		return v;
	w->args.inside = 1;
	w->args.local = 1;
	return FW_COMMIT;
}

/* Came through ingress of one of ours, or never crossed an ingress? */
static __always_inline int fw_from_ours(struct __sk_buff *skb)
{
	__u32 in = skb->ingress_ifindex;
	struct fw_iface *iface;

	if (!in)
		return 1;
	iface = bpf_map_lookup_elem(&fw_iface_v1, &in);
	return iface && (iface->flags & FW_IF_ATTACHED);
}

/* The last first fragment translated on this CPU: the stack cuts a packet into
 * fragments in order and on one CPU, and the later ones have no ports to find
 * their connection by. */
struct fw_cut {
	__be32 saddr;
	__be32 daddr;
	__be32 to;
	__be16 id;
	__u8 proto;
	__u8 valid;
};
CT_MAP(fw_cut_v1, BPF_MAP_TYPE_PERCPU_ARRAY, 1, __u32, struct fw_cut);

/* A packet that ingress sent up the stack with its source still to translate. */
__noinline int fw_finish(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_cut *cut;
	struct iphdr *ip;
	__u32 zero = 0;

	cut = bpf_map_lookup_elem(&fw_cut_v1, &zero);
	if (!w || !cut)
		return -CT_DROP_MAP_MISSING;
	if (w->pkt.flags & CT_PKT_LATER_FRAG) {
		ip = ct_at(skb, w->pkt.l3_off, sizeof(*ip));
		if (w->pkt.tuple.family != 4 || !ip || !cut->valid || ip->saddr != cut->saddr ||
		    ip->daddr != cut->daddr || ip->id != cut->id || ip->protocol != cut->proto)
			return -CT_DROP_NAT_LOST;
		ip->check = nat_csum_apply(ip->check, nat_diff4(ip->saddr, cut->to));
		ip->saddr = cut->to;
		return 0;
	}
	ct_peek(skb, &w->pkt, &w->res);
	if (!(w->res.translate & CT_XLATE_SRC))
		return -CT_DROP_NAT_LOST;
	cut->valid = 0;
	ip = ct_at(skb, w->pkt.l3_off, sizeof(*ip));
	if ((w->pkt.flags & CT_PKT_FRAGMENT) && w->pkt.tuple.family == 4 && ip) {
		cut->saddr = ip->saddr;
		cut->daddr = ip->daddr;
		cut->id = ip->id;
		cut->proto = ip->protocol;
		cut->to = w->res.to.saddr[0];
		cut->valid = 1;
	}
	return nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC);
}

/* Leaves by this hook; the mark tells the hooks of devices below. */
static __always_inline int fw_done(struct __sk_buff *skb, int l2)
{
	skb->tc_index = fw_mark(skb, fw_l3(l2));
	return FW_NEXT;
}

static __always_inline int fw_out(struct __sk_buff *skb, int l2)
{
	struct ct_work *w = ct_work();
	__u16 mark = skb->tc_index, want;
	int v;

	if (!w)
		return fw_drop(-CT_DROP_MAP_MISSING);
	want = mark ? fw_mark(skb, fw_l3(l2)) : 0;
	if (mark && mark == want && fw_from_ours(skb))
		return FW_NEXT;
	v = ct_parse(skb, &w->pkt, 0, l2);
	if (v == CT_PARSE_OTHER)
		return FW_NEXT;
	if (!fw_from_ours(skb))
		return fw_drop(-CT_DROP_FW_UNTRACKED_IF);
	if (v >= 0 && (mark & FW_MARK_PENDING) &&
	    (mark == (want | FW_MARK_PENDING) || (w->pkt.flags & CT_PKT_LATER_FRAG))) {
		v = fw_finish(skb);
		return v < 0 ? fw_drop(v) : fw_done(skb, l2);
	}
	/* The router's own from here on: what is odd about it is its business. */
	if (v < 0 || (w->pkt.flags & CT_PKT_FRAGMENT)) {
		ct_stat(CT_STAT_UNTRACKED);
		return FW_NEXT;
	}
	v = ct_lookup(skb, &w->pkt, &w->res);
	if (v == CT_NEW || v == CT_UNTRACKED) {
		w->res.verdict = v;
		v = fw_admit_out(skb);
		if (v == FW_COMMIT)
			v = ct_commit(skb, &w->pkt, &w->res, &w->args);
		if (v < 0)
			return fw_drop(v);
	}
	if (v < 0) {
		ct_stat(CT_STAT_INVALID);
		return FW_NEXT;
	}
	v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST);
	return v < 0 ? fw_drop(v) : fw_done(skb, l2);
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
