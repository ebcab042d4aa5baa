/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_POLICY_H
#define BPFCT_FW_POLICY_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../bpf/abi/ct_drop.h"
#include "../../bpf/lib/ct_pkt.h"
#include "fw_limit.h"
#include "fw_maps.h"

/*
 * Rules are walked in order with bpf_loop, for packets that open a connection
 * only. The walk is a global function: the verifier looks at it once, however
 * many programs and paths call it. Such functions take five arguments at most
 * and may get NULL pointers as far as the verifier knows, hence struct
 * fw_query and the tests for NULL.
 */
struct fw_query {
	__u32 in_ifindex;  /* 0: the router sends it itself */
	__u32 out_ifindex; /* 0: to the router itself, or not known */
	__u32 dir;	   /* FW_IN, FW_OUT */
	__u32 to_self;	   /* the router is the destination */
	__u32 quiet;	   /* only asked: nothing is counted */
	/* of nat rules */
	__u32 kind;    /* FW_NAT_* */
	__u32 inside;  /* it arrived on the trusted side */
	__u32 hairpin; /* source rules with hairpin alone, wherever it leaves */
	/* of filter rules */
	__u32 expected; /* only a rule that blocks matters: no limit counts it, nor the default */
};

/* What the callbacks of bpf_loop share with their caller. Only scalars come
 * back: Linux 6.1 does not carry pointers out of a callback. */
struct fw_walk {
	const struct ct_pkt *pkt;
	const struct fw_query *query;
	__u32 base;  /* first slot of the active half */
	__u32 found; /* slot of the rule that matched, ~0: none */
	__u16 sport; /* host byte order */
	__u16 dport;
	__u8 has_ports;
	__u8 has_icmp;
	__u8 pad[2];
};

static __always_inline int fw_addr_in(const __be32 *addr, const __be32 *net, const __be32 *mask)
{
	return !(((addr[0] ^ net[0]) & mask[0]) | ((addr[1] ^ net[1]) & mask[1]) |
		 ((addr[2] ^ net[2]) & mask[2]) | ((addr[3] ^ net[3]) & mask[3]));
}

static __always_inline int fw_match_l4(const struct fw_match *m, const struct fw_walk *w)
{
	__u32 f = m->flags;

	/* A later fragment has no ports: a rule that asks for them is not its. */
	if ((f & (FW_M_SPORT | FW_M_DPORT)) && !w->has_ports)
		return 0;
	if ((f & FW_M_SPORT) && (w->sport < m->sport_min || w->sport > m->sport_max))
		return 0;
	if ((f & FW_M_DPORT) && (w->dport < m->dport_min || w->dport > m->dport_max))
		return 0;
	if ((f & FW_M_ICMP_TYPE) && (!w->has_icmp || w->pkt->icmp_type != m->icmp_type))
		return 0;
	if ((f & FW_M_ICMP_CODE) && w->pkt->icmp_code != m->icmp_code)
		return 0;
	return 1;
}

static __always_inline int fw_match(const struct fw_match *m, const struct fw_walk *w)
{
	const struct ct_tuple *t = &w->pkt->tuple;
	const struct fw_query *q = w->query;
	__u32 f = m->flags;

	if (m->in_ifindex && (m->in_ifindex == q->in_ifindex) == !!(f & FW_M_IN_NOT))
		return 0;
	if (m->out_ifindex && m->out_ifindex != q->out_ifindex && !q->hairpin)
		return 0;
	if (m->family && m->family != t->family)
		return 0;
	if ((f & FW_M_PROTO) && m->proto != t->proto)
		return 0;
	if ((f & FW_M_TO_SELF) && !q->to_self)
		return 0;
	if ((f & FW_M_TO_NOT_SELF) && q->to_self)
		return 0;
	if ((f & FW_M_SRC) && !(f & FW_M_SRC_TABLE) &&
	    fw_addr_in(t->saddr, m->saddr, m->smask) == !!(f & FW_M_SRC_NOT))
		return 0;
	if ((f & FW_M_DST) && !(f & FW_M_DST_TABLE) &&
	    fw_addr_in(t->daddr, m->daddr, m->dmask) == !!(f & FW_M_DST_NOT))
		return 0;
	return fw_match_l4(m, w);
}

static __always_inline void fw_walk_init(struct fw_walk *w, const struct ct_pkt *pkt,
					 const struct fw_query *q)
{
	__u8 proto = pkt->tuple.proto;

	__builtin_memset(w, 0, sizeof(*w));
	w->pkt = pkt;
	w->query = q;
	w->found = ~0U;
	w->sport = bpf_ntohs(pkt->tuple.sport);
	w->dport = bpf_ntohs(pkt->tuple.dport);
	if (pkt->flags & CT_PKT_LATER_FRAG)
		return;
	w->has_icmp = pkt->tuple.family == 4 ? proto == 1 : proto == 58;
	w->has_ports = !(pkt->flags & CT_PKT_NO_PORTS) && proto != 1 && proto != 58;
}

/* The costlier part last: what the rule says of tables. */
static __always_inline int fw_match_tables(const struct fw_match *m, const struct fw_walk *w)
{
	__u32 f = m->flags;

	if ((f & FW_M_SRC_TABLE) && fw_in_table(w->pkt, m->saddr[0], 0) == !!(f & FW_M_SRC_NOT))
		return 0;
	return !(f & FW_M_DST_TABLE) || fw_in_table(w->pkt, m->daddr[0], 1) != !!(f & FW_M_DST_NOT);
}

/* bpf_loop callbacks: 1 ends the walk. */
static long fw_rule_step(__u32 i, struct fw_walk *w)
{
	__u32 slot = w->base + i;
	const struct fw_rule *r = bpf_map_lookup_elem(&fw_rule_v2, &slot);

	if (!r)
		return 1;
	if (r->dir != w->query->dir || !fw_match(&r->match, w) || !fw_match_tables(&r->match, w))
		return 0;
	w->found = slot;
	return 1;
}

static __always_inline void fw_hit(__u32 half, __u32 number, __u32 bytes)
{
	__u32 slot = half * FW_HITS + number;
	struct fw_hit *hit = bpf_map_lookup_elem(&fw_hit_v1, &slot);

	if (hit) { /* per CPU: no atomics */
		hit->packets++;
		hit->bytes += bytes;
	}
}

/* Without these IPv6 does not work at all, so the default does not govern
 * them; a rule may. RFC 4861: genuine ones have hop limit 255. */
static __always_inline int fw_is_neighbour(const struct ct_pkt *pkt)
{
	__u8 type = pkt->icmp_type;

	if (pkt->tuple.family != 6 || pkt->tuple.proto != 58 || (pkt->flags & CT_PKT_LATER_FRAG))
		return 0;
	if (type >= 133 && type <= 137) /* RS, RA, NS, NA, redirect */
		return pkt->ttl == 255;
	/* MLD: RFC 2710 and 3810 ask for hop limit 1 and a link-local source; a
	 * report sent before there is an address comes from :: */
	if ((type >= 130 && type <= 132) || type == 143)
		return pkt->ttl == 1;
	return 0;
}

/* The active half; NULL cannot happen, the verifier wants it handled. */
static __always_inline const struct fw_half *fw_active(__u32 *half)
{
	__u32 zero = 0;
	const struct fw_config *config = bpf_map_lookup_elem(&fw_config_v1, &zero);

	if (!config)
		return 0;
	*half = config->active & 1;
	return *half ? &config->half[1] : &config->half[0];
}

static __always_inline int fw_judges_out(void)
{
	__u32 half;
	const struct fw_half *active = fw_active(&half);

	return active && active->judges_out;
}

__attribute__((noinline)) int fw_walk_rules(const struct ct_pkt *pkt, const struct fw_query *query,
					    struct fw_verdict *verdict)
{
	struct fw_walk w;
	__u32 half = 0, number = 0;
	const struct fw_half *active;
	const struct fw_rule *r;

	if (!pkt || !query || !verdict)
		return -CT_DROP_MAP_MISSING;
	active = fw_active(&half);
	if (!active)
		return -CT_DROP_MAP_MISSING;
	fw_walk_init(&w, pkt, query);
	w.base = half * FW_RULES;
	verdict->action = FW_NO_MATCH;
	verdict->rule = 0;
	bpf_loop(active->rules, fw_rule_step, &w, 0);
	r = bpf_map_lookup_elem(&fw_rule_v2, &w.found);
	if (r) {
		verdict->action = r->action;
		verdict->rule = number = r->number;
	}
	if ((r || query->dir == FW_IN) && !query->quiet)
		fw_hit(half, number, pkt->len);
	if (r && r->action != FW_PASS)
		return -CT_DROP_FW_BLOCK;
	if (r)
		return r->limit && !query->quiet && !query->expected ? fw_limit(pkt, w.found) : 0;
	if (query->dir == FW_OUT || query->expected || active->default_pass || fw_is_neighbour(pkt))
		return 0;
	return -CT_DROP_FW_DEFAULT;
}

/*
 * Judges a packet that opens a connection (or belongs to none). Called once
 * for `in` where it arrives, once for `out` where it leaves; a packet of the
 * router's own only for `out`.
 *
 * 0: it may go on. -CT_DROP_FW_BLOCK: a rule blocks it. -CT_DROP_FW_DEFAULT:
 * `in`, no rule matched and the default is deny. -CT_DROP_MAP_MISSING: fault.
 * v says which rule matched (FW_NO_MATCH, 0: none), also when it is a drop.
 * expected: a helper has asked for this connection; a rule can only block it.
 */
static __always_inline int fw_judge_as(const struct ct_pkt *pkt, __u32 in_ifindex,
				       __u32 out_ifindex, __u32 dir, __u32 to_self, __u32 expected,
				       struct fw_verdict *v)
{
	struct fw_query query = {
		.in_ifindex = in_ifindex,
		.out_ifindex = out_ifindex,
		.dir = dir,
		.to_self = to_self,
		.expected = expected,
	};

	v->action = FW_NO_MATCH;
	v->rule = 0;
	if (dir == FW_OUT && !fw_judges_out())
		return 0;
	return fw_walk_rules(pkt, &query, v);
}

static __always_inline int fw_judge(const struct ct_pkt *pkt, __u32 in_ifindex, __u32 out_ifindex,
				    __u32 dir, __u32 to_self, struct fw_verdict *v)
{
	return fw_judge_as(pkt, in_ifindex, out_ifindex, dir, to_self, 0, v);
}

#endif
