// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What would become of a packet? The look-ups, rules and routes of fw_tc.bpf.c asked
 * in its order for a packet that is only described: ctd runs this by BPF_PROG_RUN, on
 * the interface where the packet would arrive. Nothing is counted, entered or sent.
 */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct/ct_lookup.h"
#include "../../bpf/nat/nat_bind.h"
#include "fw_explain.h"
#include "fw_forward.h"
#include "fw_nat.h"
#include "fw_reverse.h"

struct fw_question fw_asked;

/* Not the per-CPU rooms of the datapath, which may run in the middle of this. */
static struct ct_pkt fw_pkt;
static struct ct_result fw_res;
static struct fw_query fw_query;

static __always_inline int fw_is_self(const struct fw_question *e)
{
	return e->fib == BPF_FIB_LKUP_RET_NOT_FWDED || e->fib == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* As fw_route(), which remembers next hops and does not say which gateway it is. */
__noinline int fw_find_way(struct __sk_buff *skb, struct fw_question *e)
{
	const struct ct_settings *set = ct_settings();
	struct bpf_fib_lookup p = {};

	if (!e || !set)
		return -CT_DROP_MAP_MISSING;
	e->aside = ct_route_aside(set, e->seen.family);
	e->out_ifindex = 0;
	e->redirected = 0;
	p.ifindex = skb->ifindex;
	p.l4_protocol = e->seen.proto;
	if (p.l4_protocol == IPPROTO_TCP || p.l4_protocol == IPPROTO_UDP) {
		p.sport = e->seen.sport;
		p.dport = e->seen.dport;
	}
	p.tot_len = 1;
	if (e->seen.family == 4) {
		p.family = FW_AF_INET;
		p.ipv4_src = e->seen.saddr[0];
		p.ipv4_dst = e->seen.daddr[0];
	} else {
		p.family = FW_AF_INET6;
		__builtin_memcpy(p.ipv6_src, e->seen.saddr, 16);
		__builtin_memcpy(p.ipv6_dst, e->seen.daddr, 16);
	}
	e->fib = bpf_fib_lookup(skb, &p, sizeof(p), 0);
	if (e->fib != BPF_FIB_LKUP_RET_SUCCESS && e->fib != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	e->out_ifindex = p.ifindex;
	e->mtu = p.mtu_result;
	if (e->seen.family == 4)
		e->gateway[0] = p.ipv4_dst;
	else
		__builtin_memcpy(e->gateway, p.ipv6_dst, 16);
	if (e->fib == BPF_FIB_LKUP_RET_SUCCESS && !fw_by_stack(e->aside, &fw_res) &&
	    fw_attached(p.ifindex) && !fw_odd_source(&e->seen))
		e->redirected =
			p.dmac[0] | p.dmac[1] | p.dmac[2] | p.dmac[3] | p.dmac[4] | p.dmac[5];
	return 0;
}

static __always_inline void fw_ask(struct __sk_buff *skb, const struct fw_question *e, __u32 dir)
{
	__builtin_memset(&fw_query, 0, sizeof(fw_query));
	fw_query.in_ifindex = skb->ifindex;
	fw_query.out_ifindex = e->out_ifindex;
	fw_query.dir = dir;
	fw_query.to_self = fw_is_self(e);
	fw_query.quiet = 1;
}

/* Number of the nat rule that the walk finds, its flags; 0: none. */
static __always_inline __u32 fw_nat_number(__u32 *slot, __u32 *flags)
{
	const struct fw_nat_rule *r;

	*slot = fw_walk_nat(&fw_pkt, &fw_query);
	r = bpf_map_lookup_elem(&fw_nat_v2, slot);
	if (!r)
		return 0;
	*flags = r->flags;
	return r->number;
}

/* As fw_redirect(). */
__noinline int fw_find_destination(struct __sk_buff *skb, struct fw_question *e, __u32 inside)
{
	__u32 slot, flags = 0;

	if (!e || fw_link_local(&fw_pkt.tuple))
		return 0;
	fw_ask(skb, e, FW_IN);
	fw_query.out_ifindex = 0;
	fw_query.kind = FW_NAT_DST;
	fw_query.inside = inside;
	e->dst_rule = fw_nat_number(&slot, &flags);
	if (e->dst_rule) {
		e->dst = fw_nat_destination(&fw_pkt, skb->ifindex, slot, &e->nat);
		return e->dst;
	}
	e->dst = nat_inbound(&fw_pkt, &e->nat, inside);
	if (e->dst <= 0 || !inside)
		return e->dst;
	fw_ask(skb, e, FW_OUT);
	fw_query.out_ifindex = 0;
	fw_query.kind = FW_NAT_SRC;
	fw_query.hairpin = 1;
	e->src_rule = fw_nat_number(&slot, &e->src_flags);
	e->src = e->src_rule ? fw_nat_source(&fw_pkt, slot, &e->nat) : 0;
	if (e->src < 0)
		e->dst = e->src;
	else if (!e->src)
		e->dst = 0;
	return e->dst;
}

/* As the end of fw_decide(). */
__noinline int fw_find_source(struct __sk_buff *skb, struct fw_question *e)
{
	__u32 slot;

	if (!e || (e->nat.flags & CT_NAT_SRC) || fw_link_local(&fw_pkt.tuple))
		return 0;
	fw_ask(skb, e, FW_OUT);
	fw_query.to_self = 0;
	fw_query.kind = FW_NAT_SRC;
	e->src_rule = fw_nat_number(&slot, &e->src_flags);
	if (e->src_rule)
		e->src = fw_nat_source(&fw_pkt, slot, &e->nat);
	return 0;
}

__noinline int fw_find_rules(struct __sk_buff *skb, struct fw_question *e)
{
	if (!e)
		return -CT_DROP_MAP_MISSING;
	fw_ask(skb, e, FW_IN);
	e->in = fw_walk_rules(&fw_pkt, &fw_query, &e->in_by);
	/* The rule that redirects admits, unless another blocks. */
	if (e->in == -CT_DROP_FW_DEFAULT && e->dst > 0)
		e->in = 0;
	if (e->in < 0 || fw_is_self(e) || !fw_judges_out())
		return 0;
	fw_ask(skb, e, FW_OUT);
	fw_query.to_self = 0;
	e->out = fw_walk_rules(&fw_pkt, &fw_query, &e->out_by);
	return 0;
}

/* The packet's record, if any; then its way is all that is left to ask. */
static __always_inline int fw_find_record(struct __sk_buff *skb, struct fw_question *e)
{
	ct_peek(skb, &fw_pkt, &fw_res);
	if (!fw_res.word)
		return 0;
	e->word = fw_res.word;
	e->dir = fw_res.dir;
	if (fw_res.translate & CT_XLATE_DST) {
		__builtin_memcpy(e->seen.daddr, fw_res.to.daddr, sizeof(e->seen.daddr));
		e->seen.dport = fw_res.to.dport;
	}
	return 1;
}

static __always_inline void fw_describe(struct fw_question *e, const struct fw_iface *iface)
{
	__builtin_memset(&fw_pkt, 0, sizeof(fw_pkt));
	__builtin_memset(&fw_res, 0, sizeof(fw_res));
	e->tuple.zone = iface ? iface->zone : 0;
	fw_pkt.tuple = e->tuple;
	fw_pkt.flags = e->pkt_flags;
	fw_pkt.tcp_flags = e->tcp_flags;
	fw_pkt.icmp_type = e->icmp_type;
	fw_pkt.icmp_code = e->icmp_code;
	fw_pkt.ttl = e->ttl;
	e->seen = e->tuple;
}

SEC("tc")
int fw_explain(struct __sk_buff *skb)
{
	const struct ct_settings *set = ct_settings();
	const struct fw_iface *iface = fw_iface(skb->ifindex);
	struct fw_question *e = &fw_asked;
	const struct fw_half *half;
	__u32 active = 0;

	half = fw_active(&active);
	if (!set || !half)
		return TC_ACT_SHOT;
	fw_describe(e, iface);
	if (!(e->pkt_flags & CT_PKT_UNTRACKED)) {
		if (fw_find_record(skb, e)) {
			fw_find_way(skb, e);
			return TC_ACT_OK;
		}
		e->opens = ct_can_open(&fw_pkt, set);
	}
	e->reverse = fw_reverse(skb, &fw_pkt, half->antispoof);
	fw_find_way(skb, e);
	if (e->reverse < 0)
		return TC_ACT_OK;
	if (!(e->pkt_flags & CT_PKT_UNTRACKED) &&
	    fw_find_destination(skb, e, iface && (iface->flags & FW_IF_INSIDE)) > 0) {
		__builtin_memcpy(fw_pkt.tuple.daddr, e->nat.dst.addr_min,
				 sizeof(fw_pkt.tuple.daddr));
		if (e->nat.dst.port_min)
			fw_pkt.tuple.dport = bpf_htons(e->nat.dst.port_min);
		e->seen = fw_pkt.tuple;
		fw_find_way(skb, e);
	}
	fw_find_rules(skb, e);
	if (!fw_is_self(e) && e->out_ifindex && !(e->pkt_flags & CT_PKT_UNTRACKED))
		fw_find_source(skb, e);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
