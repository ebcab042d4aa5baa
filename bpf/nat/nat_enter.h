/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_ENTER_H
#define BPFCT_NAT_ENTER_H

#include "nat_bind.h"

/*
 * The port of a translated connection that user space enters (import, ctctl -I). Who
 * enters it names the pool; what is named is checked here, then counted as a packet's
 * claim would have been, so that ctd leases the port to nobody else. Runs in process
 * context: nothing per CPU.
 */
#define NAT_ENTER_SECS 300 /* RFC 4787 REQ-5, until its connection is counted */

struct nat_entry {
	struct nat_bound_key bound; /* external */
	__be32 inside[4];
	__be16 port;   /* inside */
	__u16 base;    /* pool_base of the rule; 0: not known, no way from the inside */
	__u32 ref;     /* NAT_REF; 0 afterwards: nothing is held */
	__u32 expires; /* ticks; of a binding that is made */
};

/* The way from the inside endpoint, so that its next connection gets the same port.
 * Has it one already, that stays. */
static __always_inline void nat_enter_lead(const struct nat_entry *e, __u32 gen)
{
	struct nat_bind_key key = {.port = e->port,
				   .zone = e->bound.zone,
				   .pool_base = e->base,
				   .class = e->bound.class,
				   .family = e->bound.family};
	struct nat_bind lead = {.port = e->bound.port, .pool = nat_ref_pool(e->ref), .gen = gen};

	__builtin_memcpy(key.addr, e->inside, 16);
	__builtin_memcpy(lead.addr, e->bound.addr, 16);
	bpf_map_update_elem(&nat_bind_v1, &key, &lead, BPF_NOEXIST);
}

/*
 * A port of a pool with bindings: this connection is counted in the binding of its
 * external endpoint, which is made if there is none. Another host's binding is left
 * alone: the kernel lets two hosts share a port, and the tuple is claimed in any case.
 */
static __noinline int nat_enter_bound(struct nat_entry *e)
{
	struct nat_pool *p = nat_pool(nat_ref_pool(e->ref));
	__u32 gen = bpf_get_prandom_u32() | 1;
	struct nat_bound owner = {.word = (__u64)gen << 32,
				  .port = e->port,
				  .pool = nat_ref_pool(e->ref),
				  .pool_base = e->base,
				  .expires = e->expires};
	struct nat_bound *b;

	if (!p)
		return -EINVAL;
	__builtin_memcpy(owner.addr, e->inside, 16);
	nat_use_up(p, nat_ref_port(e->ref));
	if (!bpf_map_update_elem(&nat_bound_v1, &e->bound, &owner, BPF_NOEXIST)) {
		if (e->base)
			nat_enter_lead(e, gen);
	} else {
		nat_use_down(p, nat_ref_port(e->ref));
		b = bpf_map_lookup_elem(&nat_bound_v1, &e->bound);
		gen = b && b->port == e->port && b->addr[0] == e->inside[0] &&
				      b->addr[1] == e->inside[1] && b->addr[2] == e->inside[2] &&
				      b->addr[3] == e->inside[3]
			      ? nat_bound_gen(*(volatile __u64 *)&b->word)
			      : 0;
	}
	if (!gen || !nat_take_use(e->ref, gen, e->bound.zone))
		e->ref = 0;
	return 0;
}

/* 0: counted, e->ref says what is held; -EINVAL: the pool is not one of this endpoint. */
static __always_inline int nat_enter(struct nat_entry *e)
{
	struct nat_pool *p = nat_pool(nat_ref_pool(e->ref));
	__u32 port = nat_ref_port(e->ref);

	if (!p || !(p->flags & NAT_POOL_LIVE) || p->family != e->bound.family ||
	    p->class != e->bound.class || p->addr[0] != e->bound.addr[0] ||
	    p->addr[1] != e->bound.addr[1] || p->addr[2] != e->bound.addr[2] ||
	    p->addr[3] != e->bound.addr[3] || e->bound.port != bpf_htons(port) ||
	    port < p->port_min || port > p->port_max)
		return -EINVAL;
	if (p->flags & NAT_POOL_EIM)
		return nat_enter_bound(e);
	nat_use_up(p, port);
	return 0;
}

#endif
