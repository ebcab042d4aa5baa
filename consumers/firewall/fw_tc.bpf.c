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
#include "fw_policy.h"

struct fw_work {
	struct fw_hop hop;
	struct fw_verdict verdict;
};
CT_MAP(fw_work_v1, BPF_MAP_TYPE_PERCPU_ARRAY, 1, __u32, struct fw_work);

static __always_inline struct fw_work *fw_work(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fw_work_v1, &zero);
}

/*
 * A packet is tracked once though it crosses several hooks. The mark is
 * tc_index: 15 bits of a keyed hash of the tuple as it leaves the hook, so that
 * a tunnel's outer packet does not match, and a bit that says "source
 * translation still to be done". Always written at ingress, as it arrives from
 * the peer namespace over veth; never 0.
 */
#define FW_MARK_PENDING 1

static __always_inline __u16 fw_mark(const struct ct_settings *set, const struct ct_tuple *t,
				     __u32 pending)
{
	return (ct_hash_tuple(set, t) & 0xfffe) | 0x8000 | (pending ? FW_MARK_PENDING : 0);
}

/* ICMP errors have no ports of their own to go by; their type stands in. */
static __always_inline void fw_mark_tuple(struct ct_tuple *t, const struct ct_pkt *pkt)
{
	*t = pkt->tuple;
	if (pkt->flags & (CT_PKT_ICMP_ERROR | CT_PKT_UNTRACKED | CT_PKT_ICMP_OTHER)) {
		t->sport = pkt->icmp_type;
		t->dport = pkt->icmp_code;
	}
}

/* The mark that a packet done with carries. */
__noinline int fw_mark_now(const struct ct_pkt *pkt)
{
	const struct ct_settings *set = ct_settings();
	struct ct_tuple t;

	if (!pkt || !set)
		return 0;
	fw_mark_tuple(&t, pkt);
	return fw_mark(set, &t, 0);
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

/* The tuple that the packet carries after translating `done` sides. */
static __always_inline void fw_tuple_after(struct ct_tuple *t, const struct ct_pkt *pkt,
					   const struct ct_result *res, __u32 done)
{
	int ports = !(pkt->flags & (CT_PKT_ICMP_ERROR | CT_PKT_NO_PORTS));

	fw_mark_tuple(t, pkt);
	if (done & res->translate & CT_XLATE_SRC) {
		__builtin_memcpy(t->saddr, res->to.saddr, 16);
		if (ports)
			t->sport = res->to.sport;
	}
	if (done & res->translate & CT_XLATE_DST) {
		__builtin_memcpy(t->daddr, res->to.daddr, 16);
		if (ports && ct_is_icmp(t))
			t->sport = res->to.sport;
		else if (ports)
			t->dport = res->to.dport;
	}
}

/* Up the stack: destination translated here, source at egress. */
__noinline int fw_to_stack(struct __sk_buff *skb)
{
	const struct ct_settings *set = ct_settings();
	struct ct_work *w = ct_work();
	struct ct_tuple t;
	int v;

	if (!w || !set)
		return fw_drop(-CT_DROP_MAP_MISSING);
	fw_tuple_after(&t, &w->pkt, &w->res, CT_XLATE_DST);
	v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_DST);
	if (v < 0)
		return fw_drop(v);
	skb->tc_classid = fw_mark(set, &t, w->res.translate & CT_XLATE_SRC);
	ct_stat(CT_STAT_STACK_FORWARD);
	return TC_ACT_OK;
}

__noinline int fw_to_hop(struct __sk_buff *skb)
{
	const struct ct_settings *set = ct_settings();
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	struct ct_tuple t;
	int v;

	if (!w || !f || !set)
		return fw_drop(-CT_DROP_MAP_MISSING);
	fw_tuple_after(&t, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST);
	v = fw_rewrite_link(skb, &w->pkt, &f->hop);
	if (v >= 0)
		v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST);
	if (v < 0)
		return fw_drop(v);
	skb->tc_index = fw_mark(set, &t, 0);
	ct_stat(CT_STAT_FAST_FORWARD);
	return bpf_redirect(f->hop.nh.ifindex, 0);
}

/* fw_admit() and fw_admit_out(): the packet goes on, and opens a connection as
 * w->args says. The entry program calls ct_commit() itself: one frame less on
 * the deepest stack. */
#define FW_COMMIT 1

/* A packet without a connection at ingress: rules and translation. FW_COMMIT, 0
 * to let it go on without a connection, or a drop reason. */
__noinline int fw_admit(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	__u32 in = skb->ifindex, out;
	struct fw_iface *iface;
	int v, to_self;

	if (!w || !f)
		return -CT_DROP_MAP_MISSING;
	v = fw_route(skb, &w->pkt, &w->res, &f->hop);
	if (v < 0)
		return v;
	to_self = f->hop.where == FW_TO_SELF;
	out = f->hop.nh.ifindex;
	v = fw_judge(&w->pkt, in, out, FW_IN, to_self, &f->verdict);
	if (v >= 0 && !to_self)
		v = fw_judge(&w->pkt, in, out, FW_OUT, 0, &f->verdict);
	if (v < 0)
		return v;
	if (w->res.verdict != CT_NEW)
		return 0;
	/* What the stack will answer with an error opens nothing. */
	if (!to_self && (!out || w->pkt.ttl <= 1))
		return 0;
	__builtin_memset(&w->args, 0, sizeof(w->args));
	if (!to_self) {
		v = fw_nat(&w->pkt, in, out, &w->args.nat);
		if (v < 0)
			return v;
	}
	iface = bpf_map_lookup_elem(&fw_iface_v1, &in);
	w->args.inside = iface && (iface->flags & FW_IF_INSIDE);
	w->args.route = f->hop.route;
	return FW_COMMIT;
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
	if (skb->pkt_type == FW_PKT_OTHERHOST)
		return TC_ACT_OK;
	v = ct_parse(skb, &w->pkt, 0, l2);
	if (v == CT_PARSE_OTHER)
		return TC_ACT_OK;
	if (v >= 0) {
		v = frag_admit(&w->pkt);
		if (v == FRAG_PASS) {
			__builtin_memset(&w->res, 0, sizeof(w->res));
			return fw_to_stack(skb);
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
	v = fw_nat(&w->pkt, 0, out, &w->args.nat);
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

static __always_inline int fw_out(struct __sk_buff *skb, int l2)
{
	struct ct_work *w = ct_work();
	__u16 mark = skb->tc_index;
	int v;

	if (!w)
		return fw_drop(-CT_DROP_MAP_MISSING);
	v = ct_parse(skb, &w->pkt, 0, l2);
	if (v == CT_PARSE_OTHER)
		return TC_ACT_OK;
	if (mark && v >= 0) {
		__u16 want = fw_mark_now(&w->pkt);

		if (mark == want)
			return TC_ACT_OK;
		if (mark == (want | FW_MARK_PENDING)) {
			ct_peek(skb, &w->pkt, &w->res);
			v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC);
			return v < 0 ? fw_drop(v) : TC_ACT_OK;
		}
	}
	if (!fw_from_ours(skb))
		return fw_drop(-CT_DROP_FW_UNTRACKED_IF);
	/* The router's own from here on: what is odd about it is its business. */
	if (v < 0 || (w->pkt.flags & CT_PKT_FRAGMENT)) {
		ct_stat(CT_STAT_UNTRACKED);
		return TC_ACT_OK;
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
		return TC_ACT_OK;
	}
	v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST);
	return v < 0 ? fw_drop(v) : TC_ACT_OK;
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
