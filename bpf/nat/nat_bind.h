/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_BIND_H
#define BPFCT_NAT_BIND_H

#include <linux/errno.h>

#include "nat_port.h"
#include "nat_sub.h"
#include "nat_use.h"

/*
 * Endpoint-independent mappings (RFC 4787 REQ-1). The external endpoint is claimed
 * first (nat_bound_v1: one owner), then the way there from the inside endpoint
 * (nat_bind_v1); both carry one generation. Who finds one half alone, or another
 * generation, treats it as nothing and clears it away.
 */

/* Working area of a choice: map keys and values that are too large for the stack. */
struct nat_work {
	struct nat_bind_key bind;
	struct nat_bound_key bound;
	struct nat_peer_key peer;
	struct nat_bound owner;
	struct nat_bind lead;
	struct nat_peer sent;
	struct nat_sub_key sub;
	__u32 other;	   /* generation of a binding that is in the way */
	union ct_key key;  /* of the record that is being entered */
	__be32 addr[4];	   /* external address being tried */
	__u32 gen;	   /* of the record */
	__u32 count;	   /* addresses of the range */
	__u32 number;	   /* of the one being tried */
	__u32 leases;	   /* how many to try on it */
	__u32 tries;	   /* and how many random ports */
	__u32 limit_ports; /* of the rule; 0: none */
	__u32 pool;	   /* index; 0: none */
	__u32 pool_base;
	__u32 class;
	__u32 lo; /* ports to choose from */
	__u32 hi;
	__u32 keep;  /* the packet's own port */
	__u32 hash;  /* CT_NAT_HASH: of the tuple, says which port is tried first */
	__u32 flags; /* CT_NAT_* */
	__u32 eim;   /* a binding is to be used */
	__u32 local; /* the host's own packet */
};
CT_SCRATCH_FITS(struct nat_work);

static __always_inline struct nat_work *nat_work(void)
{
	return ct_scratch(CT_SCRATCH_NAT);
}

static __always_inline int nat_bound_over(const struct nat_bound *b, __u64 word, __u32 now)
{
	return !(__u32)word && ct_before(*(volatile const __u32 *)&b->expires, now);
}

/*
 * Ends a binding that has no connections and gives its port back. 1 to the winner.
 * Uses nothing per CPU: the sweep runs in process context.
 */
__noinline int nat_bound_end(const struct nat_bound_key *at, __u32 gen)
{
	const struct ct_settings *set = ct_settings();
	struct nat_bind_key inside = {};
	struct nat_bound_key key;
	struct nat_sub_key sub;
	struct nat_bound *b;
	struct nat_bind *lead;
	struct nat_pool *p;
	__u64 w = (__u64)gen << 32;
	int limited;

	if (!at || !set)
		return 0;
	key = *at;
	b = bpf_map_lookup_elem(&nat_bound_v1, &key);
	if (!b || __sync_val_compare_and_swap(&b->word, w, w | NAT_BOUND_DEAD) != w)
		return 0;
	__builtin_memcpy(inside.addr, b->addr, 16);
	inside.port = b->port;
	inside.zone = key.zone;
	inside.pool_base = b->pool_base;
	inside.class = key.class;
	inside.family = key.family;
	p = nat_pool(b->pool);
	limited = b->flags & NAT_BOUND_LIMITED;
	bpf_map_delete_elem(&nat_bound_v1, &key);
	lead = bpf_map_lookup_elem(&nat_bind_v1, &inside);
	if (lead && lead->gen == gen)
		bpf_map_delete_elem(&nat_bind_v1, &inside);
	if (p)
		nat_use_down(p, bpf_ntohs(key.port));
	if (limited) {
		nat_sub_key(&sub, inside.addr, inside.zone, inside.family);
		nat_sub_ports(&sub, -1, 0);
	}
	return 1;
}

/*
 * Looks for the binding of w->bind's inside endpoint: 1, with its endpoint in
 * w->lead and w->bound and its NAT_REF and generation in b; or 0: there is none.
 */
__noinline int nat_bind_find(__u32 now)
{
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();
	struct nat_bound *owner;
	struct nat_bind *lead;
	struct nat_pool *p;
	__u64 word;

	if (!w || !b)
		return 0;
	lead = bpf_map_lookup_elem(&nat_bind_v1, &w->bind);
	if (!lead)
		return 0;
	w->lead = *lead;
	p = nat_pool(w->lead.pool);
	if (!p)
		return 0;
	nat_bound_key(&w->bound, p, bpf_ntohs(w->lead.port), w->bind.zone);
	owner = bpf_map_lookup_elem(&nat_bound_v1, &w->bound);
	word = owner ? *(volatile __u64 *)&owner->word : 0;
	if (!owner || nat_bound_gen(word) != w->lead.gen || owner->port != w->bind.port ||
	    owner->addr[0] != w->bind.addr[0] || owner->addr[1] != w->bind.addr[1] ||
	    owner->addr[2] != w->bind.addr[2] || owner->addr[3] != w->bind.addr[3]) {
		bpf_map_delete_elem(&nat_bind_v1, &w->bind);
		return 0;
	}
	if ((__u32)word == NAT_BOUND_DEAD)
		return 0;
	if (nat_bound_over(owner, word, now)) {
		nat_bound_end(&w->bound, w->lead.gen);
		return 0;
	}
	b->nat = NAT_REF(w->lead.pool, bpf_ntohs(w->lead.port));
	b->nat_gen = w->lead.gen;
	return 1;
}

/* Makes the external endpoint ours. 0; -EEXIST: it has an owner; -ESTALE: one whose
 * binding is over (w->other is its generation), -ENOSPC. */
static __always_inline int nat_bound_claim(struct nat_work *w, __u32 now)
{
	struct nat_bound *other;
	__u64 word;
	int v;

	v = bpf_map_update_elem(&nat_bound_v1, &w->bound, &w->owner, BPF_NOEXIST);
	if (v != -EEXIST)
		return v ? -ENOSPC : 0;
	other = bpf_map_lookup_elem(&nat_bound_v1, &w->bound);
	if (!other)
		return v;
	word = *(volatile __u64 *)&other->word;
	w->other = nat_bound_gen(word);
	return nat_bound_over(other, word, now) ? -ESTALE : -EEXIST;
}

#define NAT_BIND_STALE 2 /* an expired binding is in the way: w->bound, w->other */

/*
 * Binds w->bind's inside endpoint to a port of w->pool: 1 ours; 0 the port has an
 * owner; NAT_BIND_STALE; or a drop reason, with COMMIT_BUSY when another CPU has
 * bound the same endpoint at this moment. What is left of ours then (b->nat_gen is
 * set) the caller ends.
 */
__noinline int nat_bind_new(__u32 port, __u32 now)
{
	const struct ct_settings *set = ct_settings();
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();
	struct nat_pool *p;
	__u32 gen;
	int v;

	if (!w || !b || !set)
		return -CT_DROP_MAP_MISSING;
	p = nat_pool(w->pool);
	if (!p)
		return -CT_DROP_MAP_MISSING;
	gen = bpf_get_prandom_u32() | 1;
	nat_bound_key(&w->bound, p, port, w->bind.zone);
	w->owner.word = (__u64)gen << 32;
	__builtin_memcpy(w->owner.addr, w->bind.addr, 16);
	w->owner.port = w->bind.port;
	w->owner.pool = w->pool;
	w->owner.pool_base = w->pool_base;
	w->owner.flags = w->flags & CT_NAT_LIMIT ? NAT_BOUND_LIMITED : 0;
	w->owner.expires = now + ct_ticks(set, p->bind_secs);
	w->owner.born = now;
	if (w->owner.flags && !nat_sub_ports(&w->sub, 1, w->limit_ports))
		return -CT_DROP_SUB_PORTS;
	nat_use_up(p, port);
	v = nat_bound_claim(w, now);
	if (v) {
		nat_use_down(p, port);
		if (w->owner.flags)
			nat_sub_ports(&w->sub, -1, 0);
		if (v == -ESTALE)
			return NAT_BIND_STALE;
		return v == -EEXIST ? 0 : -CT_DROP_BIND_FULL;
	}
	b->nat = NAT_REF(w->pool, port);
	b->nat_gen = gen;
	__builtin_memcpy(w->lead.addr, p->addr, 16);
	w->lead.port = bpf_htons(port);
	w->lead.pool = w->pool;
	w->lead.gen = gen;
	v = bpf_map_update_elem(&nat_bind_v1, &w->bind, &w->lead, BPF_NOEXIST);
	if (v)
		return v == -EEXIST ? -CT_DROP_COMMIT_BUSY : -CT_DROP_BIND_FULL;
	return 1;
}

/* Remembers whom the binding has sent to, for pools that let those in (ADF). */
__noinline int nat_peer_note(const struct ct_pkt *pkt)
{
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();
	struct nat_pool *p;

	if (!w || !b || !pkt)
		return 0;
	p = nat_pool(nat_ref_pool(b->nat));
	if (!p || !(p->flags & NAT_POOL_ADF))
		return 0;
	w->peer.bound = w->bound;
	__builtin_memcpy(w->peer.addr, pkt->tuple.daddr, 16);
	w->sent.gen = b->nat_gen;
	w->sent.tick = b->found.now;
	bpf_map_update_elem(&nat_peer_v1, &w->peer, &w->sent, BPF_ANY);
	return 0;
}

/* Does the binding under w->bound let this address in? */
static __always_inline int nat_admits(struct nat_work *w, const struct nat_pool *p, __u32 gen,
				      const __be32 *from)
{
	struct nat_peer *peer;

	if (p->flags & NAT_POOL_EIF)
		return 1;
	if (!(p->flags & NAT_POOL_ADF))
		return 0;
	w->peer.bound = w->bound;
	__builtin_memcpy(w->peer.addr, from, 16);
	peer = bpf_map_lookup_elem(&nat_peer_v1, &w->peer);
	return peer && peer->gen == gen;
}

/*
 * A packet that opens a connection and whose destination may be a bound external
 * endpoint: from outside, or from inside to the host's own external address
 * (hairpin: the caller adds the source translation of its rule).
 * 1: a->dst is the inside endpoint, DST and BOUND are set, ct_commit() will do it.
 * 0: not a bound endpoint. -CT_DROP_NAT_EXPIRED, -CT_DROP_NAT_FILTERED: it is (or
 * was), and the packet may not pass. ICMP queries from outside open nothing.
 */
static __always_inline int nat_inbound_bound(const struct ct_pkt *pkt, struct ct_nat_args *a,
					     __u32 inside)
{
	const struct ct_settings *set = ct_settings();
	struct nat_work *w = nat_work();
	__u32 class = nat_class(&pkt->tuple), gen;
	struct nat_bound *owner;
	struct nat_pool *p;
	__u64 word;

	if (!w || !set)
		return -CT_DROP_MAP_MISSING;
	if (class == NAT_NONE || class == NAT_ICMP)
		return 0;
	__builtin_memset(&w->bound, 0, sizeof(w->bound));
	__builtin_memcpy(w->bound.addr, pkt->tuple.daddr, 16);
	w->bound.port = pkt->tuple.dport;
	w->bound.zone = pkt->tuple.zone;
	w->bound.class = class;
	w->bound.family = pkt->tuple.family;
	owner = bpf_map_lookup_elem(&nat_bound_v1, &w->bound);
	if (!owner)
		return 0;
	word = *(volatile __u64 *)&owner->word;
	gen = nat_bound_gen(word);
	p = nat_pool(owner->pool);
	if (!p)
		return 0;
	if ((__u32)word == NAT_BOUND_DEAD || nat_bound_over(owner, word, ct_now(set)))
		return -CT_DROP_NAT_EXPIRED;
	/* Hairpinned packets come from an external address themselves. */
	if (!nat_admits(w, p, gen, pkt->tuple.saddr) && !(inside && nat_admits(w, p, gen, p->addr)))
		return -CT_DROP_NAT_FILTERED;
	a->flags |= CT_NAT_DST | CT_NAT_BOUND;
	__builtin_memcpy(a->dst.addr_min, owner->addr, 16);
	__builtin_memcpy(a->dst.addr_max, owner->addr, 16);
	a->dst.port_min = a->dst.port_max = bpf_ntohs(owner->port);
	a->in_ref = NAT_REF(owner->pool, bpf_ntohs(w->bound.port));
	a->in_gen = gen;
	return 1;
}

/* See nat_inbound_bound(). Costs one test while no rule has bindings. */
__noinline int nat_inbound(const struct ct_pkt *pkt, struct ct_nat_args *a, __u32 inside)
{
	struct nat_config *config = nat_config();

	if (!pkt || !a || !config)
		return -CT_DROP_MAP_MISSING;
	if (!(config->flags & NAT_HAVE_BINDINGS))
		return 0;
	return nat_inbound_bound(pkt, a, inside);
}

#endif
