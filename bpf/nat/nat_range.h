/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_RANGE_H
#define BPFCT_NAT_RANGE_H

#include "../lib/ct_hash.h"
#include "nat_bind.h"

/* What a rule's ranges say of a packet: its address, the pool of that, the ports that may
 * be chosen; and the destination, of which nothing has to be searched for. */
#define NAT_PORT_LOW 1024

/* Which word of an address counts its range, and the number of addresses. */
static __always_inline __u32 nat_count(const struct ct_nat_range *r, __u8 family)
{
	if (family == 4)
		return bpf_ntohl(r->addr_max[0]) - bpf_ntohl(r->addr_min[0]) + 1;
	return bpf_ntohl(r->addr_max[3]) - bpf_ntohl(r->addr_min[3]) + 1;
}

static __always_inline int nat_is_zero(const __be32 *a)
{
	return !(a[0] | a[1] | a[2] | a[3]);
}

/* Number of the address to use. By the source alone if nothing else is asked, so
 * that a host keeps its external address (RFC 4787 REQ-2). */
static __always_inline __u32 nat_pick(const struct ct_tuple *t, __u32 flags, __u32 count)
{
	__u64 h;

	if (count <= 1) /* one, or all 2^32 */
		return 0;
	if ((flags & CT_NAT_RANDOM) && !(flags & CT_NAT_PAIRED))
		return bpf_get_prandom_u32() % count;
	h = ct_mix(0, ((__u64)t->saddr[1] << 32) | t->saddr[0]);
	/* Twice: by one turn the last byte, which is what hosts of a network differ in, does not
	 * reach the low bits, and all of them would have one address of a range of 2^n. */
	if (t->family == 6)
		h = ct_mix(ct_mix(h, ((__u64)t->saddr[3] << 32) | t->saddr[2]), 0);
	if (flags & CT_NAT_HASH) {
		h = ct_mix(h, ((__u64)t->daddr[3] << 32) | t->daddr[0]);
		h = ct_mix(h, ((__u32)t->sport << 16) | t->dport);
	}
	return (__u32)h % count;
}

/* Address number n of the range; STATIC: the range is a prefix and the host's bits of
 * `own` stay. */
static __always_inline void nat_address(__be32 *out, const struct ct_nat_range *r, __u32 n,
					const __be32 *own, __u32 flags, __u8 family)
{
	__be32 mask;
	int i;

	for (i = 0; i < 4; i++) {
		mask = r->addr_min[i] ^ r->addr_max[i];
		out[i] = flags & CT_NAT_STATIC ? (r->addr_min[i] & ~mask) | (own[i] & mask)
					       : r->addr_min[i];
	}
	if (flags & CT_NAT_STATIC)
		return;
	if (family == 4)
		out[0] = bpf_htonl(bpf_ntohl(out[0]) + n);
	else
		out[3] = bpf_htonl(bpf_ntohl(out[3]) + n);
}

/* Destination side: where replies come from. */
__noinline int nat_set_dst(const struct ct_pkt *pkt, const struct ct_nat_args *a)
{
	struct ct_build *b = ct_build();
	const struct ct_tuple *t;
	__u32 n, ports, at, port;
	__be32 to[4];

	if (!b || !pkt || !a)
		return 0;
	t = &pkt->tuple;
	n = nat_pick(t, a->flags, nat_count(&a->dst, t->family));
	port = bpf_ntohs(t->dport);
	nat_address(to, &a->dst, n, t->daddr, a->flags, t->family);
	if (t->family == 4)
		b->conn4.reply_saddr = to[0];
	else
		__builtin_memcpy(b->conn6.reply_saddr, to, 16);
	if (pkt->flags & CT_PKT_NO_PORTS) {
		if ((a->flags & CT_NAT_TO_ID) && ct_pkt_call(pkt))
			b->c.reply_sport = bpf_htons(a->dst.port_min);
		return 0;
	}
	if (!a->dst.port_min || ct_is_icmp(t) ||
	    (port >= a->dst.port_min && port <= a->dst.port_max))
		return 0;
	ports = a->dst.port_max >= a->dst.port_min ? a->dst.port_max - a->dst.port_min + 1 : 1;
	at = a->flags & CT_NAT_RANDOM
		     ? bpf_get_prandom_u32()
		     : (__u32)ct_mix(t->saddr[0] ^ t->saddr[3], ((__u32)t->sport << 16) | t->dport);
	b->c.reply_sport = bpf_htons(a->dst.port_min + at % ports);
	return 0;
}

/* The pool of the address in w, if it is ready and of that address. */
static __always_inline struct nat_pool *nat_pool_of(struct nat_work *w, __u8 family)
{
	__u32 index = w->pool_base + w->number * NAT_CLASSES + w->class;
	struct nat_pool *p;

	w->pool = 0;
	if (!w->pool_base || w->class == NAT_NONE)
		return NULL;
	p = nat_pool(index);
	if (!p || !(p->flags & NAT_POOL_LIVE) || p->class != w->class || p->family != family ||
	    p->addr[0] != w->addr[0] || p->addr[1] != w->addr[1] || p->addr[2] != w->addr[2] ||
	    p->addr[3] != w->addr[3])
		return NULL;
	w->pool = index;
	return p;
}

/* Which ports may be chosen: what the rule says, else the pool's, else those of the
 * range that the sender's own is in (RFC 4787 REQ-3a). */
static __always_inline void nat_ports(struct nat_work *w, const struct ct_nat_range *r,
				      const struct nat_pool *p)
{
	int low = w->class != NAT_ICMP && w->keep && w->keep < NAT_PORT_LOW;

	if (r->port_min && (w->flags & CT_NAT_SRC)) {
		w->lo = r->port_min;
		w->hi = r->port_max;
	} else if (p && !(low && p->port_min >= NAT_PORT_LOW)) {
		w->lo = p->port_min;
		w->hi = p->port_max;
		if (low && w->hi >= NAT_PORT_LOW)
			w->hi = NAT_PORT_LOW - 1;
		else if (!low && w->class != NAT_ICMP && w->lo < NAT_PORT_LOW)
			w->lo = NAT_PORT_LOW;
	} else if (w->class == NAT_ICMP) {
		w->lo = 0;
		w->hi = 65535;
	} else {
		w->lo = low ? 1 : NAT_PORT_LOW;
		w->hi = low ? NAT_PORT_LOW - 1 : 65535;
	}
	/* A range that has none of the wished ones. */
	if (w->hi < w->lo)
		w->hi = w->lo;
}

#endif
