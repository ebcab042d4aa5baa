/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_NAT_H
#define BPFCT_FW_NAT_H

#include "../../bpf/lib/ct_hash.h"
#include "../../bpf/nat/nat_args.h"
#include "fw_policy.h"

/*
 * From nat rules to the arguments of ct_commit. A destination is asked for where
 * the connection arrives, and chosen to the last bit here: route, rules and source
 * translation look at the packet as it will be. A source is asked for when it is
 * known where the connection leaves.
 */

/* fe80::/10 is never forwarded: translating the router's own link-local
 * traffic (DHCPv6) would break it. */
static __always_inline int fw_link_local(const struct ct_tuple *t)
{
	return t->family == 6 && ((t->saddr[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000) ||
				  (t->daddr[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000));
}

/* The same for each source whatever it does: RFC 4787 REQ-2. */
static __always_inline __u32 fw_source_hash(const struct ct_tuple *t)
{
	__u64 h = ct_mix(0, t->saddr[0]);

	if (t->family == 6)
		h = ct_mix(ct_mix(ct_mix(h, t->saddr[1]), t->saddr[2]), t->saddr[3]);
	/* once more: the low bits of one product know little of an address's last octet */
	return ct_mix(h, 0);
}

static long fw_nat_step(__u32 i, struct fw_walk *w)
{
	__u32 slot = w->base + i;
	const struct fw_nat_rule *r = bpf_map_lookup_elem(&fw_nat_v2, &slot);
	const struct fw_query *q = w->query;
	__u32 at;

	if (!r)
		return 1;
	if (r->kind != q->kind || ((r->flags & FW_N_INSIDE) && !q->inside))
		return 0;
	if (q->hairpin && !(r->flags & FW_N_HAIRPIN))
		return 0;
	if (!fw_match(&r->match, w))
		return 0;
	if (r->addrs_all != r->addrs) {
		at = fw_source_hash(&w->pkt->tuple) % (r->addrs_all ? r->addrs_all : 1);
		if (at - r->addr_from >= r->addrs)
			return 0;
	}
	w->found = slot;
	return 1;
}

/* Slot of the rule that matches, ~0: none. */
__attribute__((noinline)) __u32 fw_walk_nat(const struct ct_pkt *pkt, const struct fw_query *query)
{
	struct fw_walk w;
	__u32 half = 0;
	const struct fw_half *active;
	const struct fw_nat_rule *r;

	if (!pkt || !query)
		return ~0U;
	active = fw_active(&half);
	if (!active || (query->kind == FW_NAT_DST && !active->nats_dst))
		return ~0U;
	fw_walk_init(&w, pkt, query);
	w.base = half * FW_NATS;
	bpf_loop(active->nats, fw_nat_step, &w, 0);
	r = bpf_map_lookup_elem(&fw_nat_v2, &w.found);
	if (!r)
		return ~0U;
	if (!query->quiet)
		fw_hit(half, r->number, pkt->len);
	return w.found;
}

/* Address of an interface, for masquerading and redirects. */
static __always_inline int fw_own_addr(__u32 ifindex, __u8 family, __be32 out[4])
{
	const struct fw_iface *iface = fw_iface_now(ifindex, family);
	__u8 valid = family == 4 ? FW_IF_MASQ4 : FW_IF_MASQ6;

	if (!iface || !(iface->flags & valid) || (family == 4 && !iface->masq4))
		return -CT_DROP_NAT_NO_ADDRESS;
	if (family == 4) {
		out[0] = iface->masq4;
		out[1] = out[2] = out[3] = 0;
	} else {
		__builtin_memcpy(out, iface->masq6, 16);
	}
	return 0;
}

/* The first plen bits of *to, the others of *host, into out: 1:1 translation. */
static __always_inline void fw_prefix_addr(__be32 out[4], const __be32 *to, const __be32 *host,
					   __u32 plen)
{
	__u32 i, bits;
	__be32 mask;

	for (i = 0; i < 4; i++) {
		bits = plen > 32 * i ? plen - 32 * i : 0;
		mask = bits >= 32 ? ~0U : bits ? bpf_htonl(~0U << (32 - bits)) : 0;
		out[i] = (to[i] & mask) | (host[i] & ~mask);
	}
}

/* IPv4 has one word; the others of a packet's tuple are zero, as are ours. */
static __always_inline void fw_one_addr(struct ct_nat_range *range)
{
	__builtin_memcpy(range->addr_max, range->addr_min, sizeof(range->addr_max));
}

static __always_inline __u32 fw_nat_flags(const struct fw_nat_rule *r)
{
	__u32 f = r->flags, out = 0;

	out |= f & FW_N_EIM ? CT_NAT_EIM : 0;
	out |= f & FW_N_RANDOM ? CT_NAT_RANDOM : 0;
	out |= f & FW_N_HASH ? CT_NAT_HASH : 0;
	out |= f & FW_N_PERSISTENT ? CT_NAT_PERSISTENT : 0;
	out |= f & FW_N_PAIRED ? CT_NAT_PAIRED : 0;
	out |= f & FW_N_PARITY ? CT_NAT_PARITY : 0;
	out |= f & FW_N_NO_ICMP ? 0 : CT_NAT_ICMP;
	out |= r->block ? CT_NAT_BLOCK : 0;
	out |= r->max_ports | r->max_states | r->max_rate ? CT_NAT_LIMIT : 0;
	return out;
}

static __always_inline void fw_fill_source(const struct fw_nat_rule *r, const struct ct_tuple *t,
					   struct ct_nat_args *out)
{
	out->flags |= CT_NAT_SRC | fw_nat_flags(r);
	out->src.port_min = r->port_min;
	out->src.port_max = r->port_max;
	out->pool_base = r->pool_base;
	out->block_size = r->block;
	out->block_base = bpf_ntohl(t->family == 4 ? r->match.saddr[0] : r->match.saddr[3]);
	out->limit_ports = r->max_ports;
	out->limit_states = r->max_states;
	out->limit_rate = r->max_rate;
	if (r->flags & FW_N_STATIC) {
		out->flags |= CT_NAT_STATIC;
		fw_prefix_addr(out->src.addr_min, r->to_min, t->saddr, r->plen);
		fw_one_addr(&out->src);
		return;
	}
	__builtin_memcpy(out->src.addr_min, r->to_min, sizeof(out->src.addr_min));
	__builtin_memcpy(out->src.addr_max, r->to_max, sizeof(out->src.addr_max));
}

/* What the walk found, into *out. 1: translated, 0: no rule, or a drop reason. */
__attribute__((noinline)) int fw_nat_source(const struct ct_pkt *pkt, __u32 slot,
					    struct ct_nat_args *out)
{
	const struct fw_nat_rule *r;

	if (!pkt || !out)
		return -CT_DROP_MAP_MISSING;
	r = bpf_map_lookup_elem(&fw_nat_v2, &slot);
	if (!r || (r->flags & FW_N_NONE))
		return 0;
	fw_fill_source(r, &pkt->tuple, out);
	if (!r->to_ifindex)
		return 1;
	out->flags |= CT_NAT_OWN;
	if (fw_own_addr(r->to_ifindex, pkt->tuple.family, out->src.addr_min))
		return -CT_DROP_NAT_NO_ADDRESS;
	fw_one_addr(&out->src);
	return 1;
}

static __always_inline __u16 fw_to_port(const struct fw_nat_rule *r, __be16 dport)
{
	__u32 off = bpf_ntohs(dport) - r->match.dport_min;

	if (r->port_max <= r->port_min || off > (__u32)(r->port_max - r->port_min))
		return r->port_min;
	return r->port_min + off;
}

/* One of to_min to to_max, by the source: a client stays with its server. */
static __always_inline void fw_pick_addr(const struct fw_nat_rule *r, const struct ct_tuple *t,
					 __be32 out[4])
{
	__u32 lo, n;

	__builtin_memcpy(out, r->to_min, 16);
	if (t->family == 4) {
		lo = bpf_ntohl(r->to_min[0]);
		n = bpf_ntohl(r->to_max[0]) - lo + 1;
		out[0] = bpf_htonl(lo + (n > 1 ? fw_source_hash(t) % n : 0));
	} else {
		lo = bpf_ntohl(r->to_min[3]);
		n = bpf_ntohl(r->to_max[3]) - lo + 1;
		out[3] = bpf_htonl(lo + (n > 1 ? fw_source_hash(t) % n : 0));
	}
}

/* Hairpin of a forward: the answer has to come back through us, so the source
 * becomes external too. A static prefix's host has an address of its own there. */
static __always_inline int fw_hairpin_source(const struct fw_nat_rule *r, const struct ct_tuple *t,
					     struct ct_nat_args *out)
{
	__be32 inside[4];

	out->flags |= CT_NAT_SRC;
	if (!(r->flags & FW_N_STATIC) || r->to_ifindex) {
		if (fw_own_addr(r->to_ifindex, t->family, out->src.addr_min))
			return -CT_DROP_NAT_NO_ADDRESS;
		fw_one_addr(&out->src);
		return 0;
	}
	fw_prefix_addr(inside, r->to_min, t->saddr, r->plen);
	if (inside[0] != t->saddr[0] || inside[1] != t->saddr[1] || inside[2] != t->saddr[2] ||
	    inside[3] != t->saddr[3]) {
		out->flags &= ~CT_NAT_SRC; /* not of the prefix: it keeps its own */
		return 0;
	}
	fw_prefix_addr(out->src.addr_min, r->match.daddr, t->saddr, r->plen);
	fw_one_addr(&out->src);
	return 0;
}

__attribute__((noinline)) int fw_nat_destination(const struct ct_pkt *pkt, __u32 in_ifindex,
						 __u32 slot, struct ct_nat_args *out)
{
	const struct fw_nat_rule *r;
	const struct ct_tuple *t;

	if (!pkt || !out)
		return -CT_DROP_MAP_MISSING;
	r = bpf_map_lookup_elem(&fw_nat_v2, &slot);
	if (!r)
		return 0;
	t = &pkt->tuple;
	out->flags |= CT_NAT_DST;
	if (r->port_min)
		out->dst.port_min = out->dst.port_max = fw_to_port(r, t->dport);
	if (r->flags & FW_N_SELF) {
		if (fw_own_addr(in_ifindex, t->family, out->dst.addr_min))
			return -CT_DROP_NAT_NO_ADDRESS;
	} else if (r->flags & FW_N_STATIC) {
		fw_prefix_addr(out->dst.addr_min, r->to_min, t->daddr, r->plen);
	} else {
		fw_pick_addr(r, t, out->dst.addr_min);
	}
	fw_one_addr(&out->dst);
	if (r->flags & FW_N_HAIRPIN && fw_hairpin_source(r, t, out))
		return -CT_DROP_NAT_NO_ADDRESS;
	return 1;
}

/*
 * Destination translation of a connection that arrives by in_ifindex; to_self: it is
 * addressed to the router. 1: *out says how, 0: none is asked for, or a reason.
 */
static __always_inline int fw_nat_dst(const struct ct_pkt *pkt, __u32 in_ifindex, __u32 inside,
				      __u32 to_self, struct ct_nat_args *out)
{
	struct fw_query query = {
		.in_ifindex = in_ifindex,
		.dir = FW_IN,
		.to_self = to_self,
		.kind = FW_NAT_DST,
		.inside = inside,
	};
	__u32 slot;

	if (fw_link_local(&pkt->tuple))
		return 0;
	slot = fw_walk_nat(pkt, &query);
	return slot == ~0U ? 0 : fw_nat_destination(pkt, in_ifindex, slot, out);
}

/*
 * Source translation of a connection that leaves by out_ifindex. 1: out says
 * how. 0: none is asked for, out is as it was. -CT_DROP_NAT_NO_ADDRESS: masquerade
 * on an interface without an address of the packet's family. hairpin: it goes back
 * inside to an external address, so the rule with that option is asked, wherever
 * its connections leave.
 */
static __always_inline int fw_nat(const struct ct_pkt *pkt, __u32 in_ifindex, __u32 out_ifindex,
				  __u32 hairpin, struct ct_nat_args *out)
{
	struct fw_query query = {
		.in_ifindex = in_ifindex,
		.out_ifindex = out_ifindex,
		.dir = FW_OUT,
		.kind = FW_NAT_SRC,
		.hairpin = hairpin,
	};
	__u32 slot;

	if (fw_link_local(&pkt->tuple))
		return 0;
	slot = fw_walk_nat(pkt, &query);
	return slot == ~0U ? 0 : fw_nat_source(pkt, slot, out);
}

#endif
