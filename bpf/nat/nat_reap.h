/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_REAP_H
#define BPFCT_NAT_REAP_H

#include "nat_bind.h"

/*
 * Bindings that are over, found without ctd: a subscriber at `limit ports` would wait
 * for the next ctd otherwise. Who is refused passes a stretch of the pool's ports; one whose
 * only use is a binding is looked at. The next goes on from there, so that a subscriber
 * who goes on trying is served within 63 tries in a pool of 64,512 ports.
 */
#define NAT_REAP_PORTS 1024
#define NAT_REAP_STEP  8
#define NAT_REAP_LOOK  64 /* bindings looked at */

struct nat_reap {
	__u32 port;
	__u32 looks;
	__u32 ended;
	__u32 now;
};

/* Ends the binding of a port of the pool if it is over. */
static __always_inline void nat_reap_port(struct nat_work *w, struct nat_pool *p,
					  struct nat_reap *r)
{
	struct nat_bound *b;
	__u64 word;

	nat_bound_key(&w->bound, p, r->port, w->bind.zone);
	b = bpf_map_lookup_elem(&nat_bound_v1, &w->bound);
	r->looks++;
	if (!b)
		return;
	word = *(volatile __u64 *)&b->word;
	if (nat_bound_over(b, word, r->now))
		r->ended += nat_bound_end(&w->bound, nat_bound_gen(word));
}

/* bpf_loop callback: the next ports. */
static long nat_reap_step(__u32 i, struct nat_reap *r)
{
	struct nat_work *w = nat_work();
	struct nat_pool *p = w ? nat_pool(w->pool) : NULL;
	__u32 k, *use;

	if (!p || r->looks >= NAT_REAP_LOOK)
		return 1;
	for (k = 0; k < NAT_REAP_STEP; k++) {
		r->port = r->port < p->port_max ? r->port + 1 : p->port_min;
		use = nat_use(p, r->port);
		if (use && nat_uses(*(volatile __u32 *)use) == 1)
			nat_reap_port(w, p, r);
	}
	return 0;
}

/* Bindings of the pool in w->pool that have been ended; 0 while ctd lives, whose sweep
 * does it. Two CPUs may pass the same ports: nothing is ended twice. */
__noinline int nat_reap_bound(void)
{
	const struct ct_settings *set = ct_settings();
	struct nat_work *w = nat_work();
	struct nat_reap r = {};
	struct nat_pool *p;

	if (!set || !w || ct_ctd_alive(set))
		return 0;
	p = nat_pool(w->pool);
	if (!p)
		return 0;
	r.now = ct_now(set);
	r.port = *(volatile __u32 *)&p->hand;
	if (r.port < p->port_min || r.port > p->port_max)
		r.port = p->port_max;
	bpf_loop(NAT_REAP_PORTS / NAT_REAP_STEP, nat_reap_step, &r, 0);
	p = nat_pool(w->pool);
	if (p)
		*(volatile __u32 *)&p->hand = r.port;
	return r.ended;
}

#endif
