/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_CHOOSE_H
#define BPFCT_NAT_CHOOSE_H

#include "../abi/nat_block.h"
#include "nat_claim.h"
#include "nat_need.h"
#include "nat_range.h"
#include "nat_reap.h"
#include "nat_take.h"

/*
 * The reply tuple of a connection, in this order: the port the sender chose, or by a hash
 * of its tuple; a lease of this CPU's ring; one of another's; a few at random. Each candidate has
 * to pass the reserved ports, the host's sockets and the claim (I2), in pools with
 * endpoint-independent mapping the binding as well. The bounds are I7's.
 */
#define NAT_ADDRESSES 4	 /* of a range, when the host's own has no port left */
#define NAT_LEASES    8	 /* whose claim may fail; 2 on further addresses */
#define NAT_TRIES     24 /* at random, when nothing is leased; 2 on further addresses */
#define NAT_BLOCK_MAX 64 /* ports of a block that are tried: unused ones, then others */

static __always_inline __be16 *nat_port_field(struct ct_build *b, __u32 class)
{
	return class == NAT_ICMP ? &b->c.reply_sport : &b->c.reply_dport;
}

/* May this port be used at all, whoever claims it? A port that its sender chose on
 * its own address is no business of ours. */
static __always_inline int nat_usable(struct ct_ctx *ctx, const struct ct_pkt *pkt,
				      const struct nat_work *w, const struct nat_pool *p,
				      __u32 what)
{
	__u32 port = what & 0xffff, path = what >> 24;
	int local = p ? p->flags & NAT_POOL_LOCAL : w->flags & CT_NAT_OWN;

	if (!(w->flags & CT_NAT_SRC) || (w->flags & CT_NAT_GIVEN) || (w->local && port == w->keep))
		return 1;
	if (nat_is_reserved(w->class, local, port))
		return 0;
	if (!local || w->local || path == NAT_PATH_LEASED || path == NAT_PATH_STOLEN)
		return 1;
	return !nat_socket(ctx, pkt->tuple.family, pkt->tuple.proto);
}

/* The claim, and what a failed one leaves to be cleared away: here, as the stack
 * below nat_claim is used up. */
static __always_inline int nat_claim(struct nat_work *w, struct ct_build *b, __u8 family)
{
	__u32 gen = w->gen;
	int v;

	if (family == 4)
		v = nat_claim4(&w->key, gen);
	else
		v = nat_claim6(&w->key, gen);
	if (v == NAT_CLAIM_STALE) {
		if (ct_stub_drop(&b->skey, &b->key, b->stale_gen, family))
			ct_stat(CT_STAT_STUB_REPAIRED);
		return 0;
	}
	if (v == NAT_CLAIM_RECORD) {
		ct_stub_drop(&b->skey, &w->key, gen, family);
		return 0;
	}
	return v;
}

/* Has this port been another's until now? ctd leases none that rests; a port that its
 * sender chose, or chance did, is looked at here (RFC 6888 REQ-8, which exempts TCP).
 * The 12 bits of time come round after an hour or more: then a port may rest again. */
static __always_inline int nat_rests(const struct nat_work *w, const struct nat_pool *p, __u32 what,
				     __u32 now)
{
	__u32 path = what >> 24, *use, word;

	if (!p->hold || w->class == NAT_TCP || path == NAT_PATH_LEASED || path == NAT_PATH_STOLEN)
		return 0;
	use = nat_use(p, what & 0xffff);
	if (!use)
		return 0;
	word = *(volatile __u32 *)use;
	return word && !nat_uses(word) &&
	       ((nat_use_now(now) - nat_use_released(word)) & 0xfff) < p->hold;
}

/*
 * Tries one port (host byte order) | enum nat_path << 24. 1: claimed, 0: not to be
 * had, negative: drop reason.
 */
__noinline int nat_candidate(struct ct_ctx *ctx, const struct ct_pkt *pkt, __u32 what)
{
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();
	struct nat_pool *p;
	struct nat_head *h;
	int v;

	if (!w || !b || !pkt)
		return -CT_DROP_MAP_MISSING;
	p = w->pool ? nat_pool(w->pool) : NULL;
	*nat_port_field(b, w->class) = bpf_htons(what);
	b->nat = b->nat_gen = 0;
	if (!nat_usable(ctx, pkt, w, p, what))
		return 0;
	if (p && w->eim && nat_rests(w, p, what, b->found.now))
		return 0;
	if (p && w->eim) {
		v = nat_bind_new(what & 0xffff, b->found.now);
		if (v == NAT_BIND_STALE) {
			v = 0;
			if (nat_bound_end(&w->bound, w->other) &&
			    !nat_rests(w, p, what, b->found.now))
				v = nat_bind_new(what & 0xffff, b->found.now);
		}
		if (v != 1)
			goto out;
	} else if (p && !(p->flags & NAT_POOL_EIM)) {
		b->nat = NAT_REF(w->pool, what);
	} else if (p) {
		/* The host's own packet and a pool of bindings: not a bound port. */
		nat_bound_key(&w->bound, p, what & 0xffff, pkt->tuple.zone);
		if (bpf_map_lookup_elem(&nat_bound_v1, &w->bound))
			return 0;
	}
	v = nat_claim(w, b, pkt->tuple.family);
out:
	if (v != 1 && b->nat_gen)
		nat_bound_end(&w->bound, b->nat_gen);
	if (v == NAT_BIND_STALE)
		v = 0;
	h = p ? nat_head(p) : NULL;
	if (h && v > 0)
		__sync_fetch_and_add(&h->path[what >> 24 & (NAT_PATH_SLOTS - 1)], 1);
	else if (h && !v)
		__sync_fetch_and_add(&h->lost, 1);
	return v;
}

/* Port number n, modulo their number, of w's range; of the sender's parity if that is
 * asked. */
static __always_inline __u32 nat_nth(const struct nat_work *w, __u32 n)
{
	__u32 port = w->lo + n % (w->hi - w->lo + 1);

	if (!(w->flags & CT_NAT_PARITY) || !((port ^ w->keep) & 1))
		return port;
	return port < w->hi ? port + 1 : port > w->lo ? port - 1 : port;
}

/* Bounds of loops are read anew in each turn: what the verifier does not know it
 * does not track. */
#define NAT_READ(field) (*(volatile __u32 *)&(field))

/* The port that is wished for: the sender's own, or by a hash; as nat_candidate() takes
 * it. NAT_NO_WISH: at random, or it is not of the range. */
#define NAT_NO_WISH (~0U)
static __always_inline __u32 nat_wish(const struct nat_work *w)
{
	if (w->flags & CT_NAT_RANDOM)
		return NAT_NO_WISH;
	if (w->flags & CT_NAT_HASH)
		return nat_nth(w, w->hash) | NAT_PATH_HASHED << 24;
	if (w->keep < w->lo || w->keep > w->hi)
		return NAT_NO_WISH;
	return w->keep | NAT_PATH_KEPT << 24;
}

/* All ways to a port of the address in w. As nat_candidate(). */
__noinline int nat_try(struct ct_ctx *ctx, const struct ct_pkt *pkt)
{
	struct nat_work *w = nat_work();
	__u32 i, what;
	int v;

	if (!w || !pkt)
		return -CT_DROP_MAP_MISSING;
	what = nat_wish(w);
	v = what != NAT_NO_WISH ? nat_candidate(ctx, pkt, what) : 0;
	if (v)
		return v;
	for (i = 0; i < NAT_LEASES; i++) {
		if (i >= NAT_READ(w->leases))
			break;
		what = nat_take(w->pool, w->keep & 1);
		if (!what)
			break;
		v = nat_candidate(ctx, pkt, nat_taken_port(what) | nat_taken_path(what) << 24);
		if (v)
			return v;
	}
	for (i = 0; i < NAT_TRIES; i++) {
		if (i >= NAT_READ(w->tries))
			break;
		v = nat_candidate(ctx, pkt,
				  nat_nth(w, bpf_get_prandom_u32()) | NAT_PATH_FALLBACK << 24);
		if (v)
			return v;
	}
	return 0;
}

/* Which of the block's ports is tried next: the at-th from the lowest, or the first after
 * it, round about, that nobody uses, rests or is reserved; size if there is none. Words are
 * read eight a step, so a block of 4,096 with one port left costs some microseconds. */
struct nat_seek {
	__u32 lo;
	__u32 size;
	__u32 at;
	__u32 left;
	__u32 now;
};
#define NAT_SEEK_STEP 8

static long nat_seek_step(__u32 i, struct nat_seek *s)
{
	struct nat_work *w = nat_work();
	struct nat_pool *p = w ? nat_pool(w->pool) : NULL;
	__u32 k, *use, port;

	if (!p)
		return 1;
	for (k = 0; k < NAT_SEEK_STEP; k++) {
		if (!s->left)
			return 1;
		port = s->lo + s->at;
		use = nat_use(p, port);
		if (!use || (!nat_uses(*(volatile __u32 *)use) &&
			     !(w->eim && nat_rests(w, p, port | NAT_PATH_BLOCK << 24, s->now)) &&
			     !nat_is_reserved(w->class, !!(p->flags & NAT_POOL_LOCAL), port)))
			return 1;
		s->at = s->at + 1 < s->size ? s->at + 1 : 0;
		s->left--;
	}
	return 0;
}

__noinline int nat_seek(__u32 at, __u32 left)
{
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();
	struct nat_seek s = {.at = at, .left = left};

	if (!w || !b || !w->pool)
		return 0;
	s.lo = w->lo;
	s.size = w->hi - w->lo + 1;
	s.now = b->found.now;
	bpf_loop(NAT_BLOCK_PORTS / NAT_SEEK_STEP + 1, nat_seek_step, &s, 0);
	return left - s.left;
}

/* The source's block (RFC 7422): the port that is wished for; else, from a random one on,
 * those that nobody uses; else some that are used towards others. */
__noinline int nat_try_block(struct ct_ctx *ctx, const struct ct_pkt *pkt)
{
	struct nat_work *w = nat_work();
	__u32 at, i, size, left, what;
	int v;

	if (!w || !pkt)
		return -CT_DROP_MAP_MISSING;
	what = nat_wish(w);
	v = what != NAT_NO_WISH ? nat_candidate(ctx, pkt, what) : 0;
	if (v)
		return v;
	left = size = w->hi - w->lo + 1;
	at = bpf_get_prandom_u32() % size;
	for (i = 0; i < NAT_BLOCK_MAX; i++) {
		what = nat_seek(at, left);
		if (what >= left)
			break;
		at = (at + what) % size;
		v = nat_candidate(ctx, pkt, (w->lo + at) | NAT_PATH_BLOCK << 24);
		if (v)
			return v;
		left -= what + 1;
		at = (at + 1) % size;
	}
	if (w->eim || !NAT_READ(w->pool))
		return 0;
	for (i = 0; i < NAT_BLOCK_MAX; i++) {
		size = NAT_READ(w->hi) - NAT_READ(w->lo) + 1;
		if (i >= size)
			break;
		v = nat_candidate(ctx, pkt, (w->lo + (at + i) % size) | NAT_PATH_BLOCK << 24);
		if (v)
			return v;
	}
	return 0;
}

/* The source's block: the number of its address to w->number, its ports to w->lo and
 * w->hi. 0: the source has none. */
__noinline int nat_block_pick(const struct ct_nat_args *a, __u32 source)
{
	struct nat_work *w = nat_work();
	struct nat_block block = {};
	struct nat_blocks all = {};

	if (!w || !a)
		return 0;
	all.inside = a->block_base;
	all.addresses = w->count;
	all.port_min = w->lo;
	all.port_max = w->hi;
	all.size = a->block_size;
	if (!nat_block_of(&all, source, &block))
		return 0;
	w->number = block.address;
	w->lo = block.port_min;
	w->hi = block.port_max;
	return 1;
}

/* What the choice goes by, from the packet and the rule. */
__noinline int nat_prepare(const struct ct_pkt *pkt, const struct ct_commit_args *args,
			   const union ct_key *key, __u32 gen)
{
	const struct ct_settings *set = ct_settings();
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();
	const struct ct_nat_args *a;
	const struct ct_tuple *t;

	if (!pkt || !args || !key || !b || !w)
		return -CT_DROP_MAP_MISSING;
	a = &args->nat;
	t = &pkt->tuple;
	w->key = *key;
	w->gen = gen;
	b->nat = b->nat_gen = 0;
	b->nat_in = a->flags & CT_NAT_BOUND ? a->in_ref : 0;
	b->nat_in_gen = a->in_gen;
	w->class = pkt->flags & CT_PKT_NO_PORTS ? NAT_NONE : nat_class(t);
	w->keep = bpf_ntohs(t->sport); /* ICMP: the id */
	w->pool_base = a->pool_base;
	w->limit_ports = a->limit_ports;
	w->local = args->local;
	w->flags = a->flags;
	w->hash = (a->flags & CT_NAT_HASH) && set ? ct_hash_tuple(set, t) >> 16 : 0;
	w->count = 1;
	w->number = 0;
	/* Destination only, or "on collision": the own address, and its port if possible. */
	if (!(a->flags & CT_NAT_SRC) || nat_is_zero(a->src.addr_min)) {
		w->flags &= ~(CT_NAT_SRC | CT_NAT_RANDOM | CT_NAT_HASH | CT_NAT_BLOCK | CT_NAT_EIM);
		w->pool_base = 0;
	} else if (!(a->flags & CT_NAT_STATIC)) {
		w->count = nat_count(&a->src, t->family);
		w->number = nat_pick(t, a->flags, w->count);
	}
	return a->flags & CT_NAT_DST ? nat_set_dst(pkt, a) : 0;
}

static __always_inline void nat_set_src(struct ct_build *b, const struct ct_tuple *t,
					const __be32 *addr)
{
	if (t->family == 4)
		b->conn4.reply_daddr = addr[0];
	else
		__builtin_memcpy(b->conn6.reply_daddr, addr, 16);
}

/* Endpoint-independent: the binding of the inside endpoint, if it has one. As
 * nat_candidate(). */
__noinline int nat_try_bound(const struct ct_pkt *pkt)
{
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();
	struct nat_pool *p;
	struct nat_head *h;
	int v;

	if (!w || !b || !pkt)
		return -CT_DROP_MAP_MISSING;
	__builtin_memcpy(w->bind.addr, pkt->tuple.saddr, 16);
	w->bind.port = pkt->tuple.sport;
	w->bind.zone = pkt->tuple.zone;
	w->bind.pool_base = w->pool_base;
	w->bind.class = w->class;
	w->bind.family = pkt->tuple.family;
	nat_sub_key(&w->sub, pkt->tuple.saddr, pkt->tuple.zone, pkt->tuple.family);
	if (!nat_bind_find(b->found.now))
		return 0;
	nat_set_src(b, &pkt->tuple, w->lead.addr);
	*nat_port_field(b, w->class) = w->lead.port;
	v = nat_claim(w, b, pkt->tuple.family);
	p = nat_pool(nat_ref_pool(b->nat));
	h = p ? nat_head(p) : NULL;
	if (h && v > 0)
		__sync_fetch_and_add(&h->path[NAT_PATH_BOUND], 1);
	/* Its mapping may not change: no other port for it (RFC 4787 REQ-1). */
	return v ? v : -CT_DROP_NAT_FOREIGN;
}

/* A protocol without ports: one tuple an address. A call's id is given with its expectation, or
 * stays. As nat_candidate(). */
__noinline int nat_try_plain(const struct ct_pkt *pkt)
{
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();

	if (!w || !b || !pkt)
		return -CT_DROP_MAP_MISSING;
	if ((w->flags & CT_NAT_GIVEN) && ct_pkt_call(pkt))
		b->c.reply_dport = bpf_htons(w->lo);
	return nat_claim(w, b, pkt->tuple.family);
}

/* Puts address number w->number into w and the record. 0, or a drop reason. */
__noinline int nat_set_address(const struct ct_pkt *pkt, const struct ct_nat_args *a)
{
	struct nat_work *w = nat_work();
	struct ct_build *b = ct_build();
	struct nat_pool *p;

	if (!w || !b || !pkt || !a)
		return -CT_DROP_MAP_MISSING;
	if (!(w->flags & CT_NAT_SRC))
		__builtin_memcpy(w->addr, pkt->tuple.saddr, 16);
	else
		nat_address(w->addr, &a->src, w->number, pkt->tuple.saddr, w->flags,
			    pkt->tuple.family);
	p = nat_pool_of(w, pkt->tuple.family);
	nat_ports(w, &a->src, p);
	if ((w->flags & CT_NAT_BLOCK) && w->class != NAT_NONE) {
		if (!nat_block_pick(a, bpf_ntohl(pkt->tuple.family == 4 ? pkt->tuple.saddr[0]
									: pkt->tuple.saddr[3])))
			return -CT_DROP_NAT_NO_ADDRESS;
		nat_address(w->addr, &a->src, w->number, pkt->tuple.saddr, w->flags,
			    pkt->tuple.family);
		p = nat_pool_of(w, pkt->tuple.family);
	}
	nat_set_src(b, &pkt->tuple, w->addr);
	w->leases = w->pool && (w->lo >= NAT_PORT_LOW || w->class == NAT_ICMP) ? NAT_LEASES : 0;
	w->tries = NAT_TRIES;
	w->eim = p && (p->flags & NAT_POOL_EIM) && !w->local;
	/* Without its pool the rule's promise could not be kept. */
	if ((w->flags & CT_NAT_EIM) && !w->eim && !w->local && w->class != NAT_NONE)
		return -CT_DROP_NAT_NO_ADDRESS;
	return 0;
}

/* The source side: address by address until one has a port. 1, 0: exhausted, or a
 * drop reason. */
static __always_inline int nat_source(struct ct_ctx *ctx, const struct ct_pkt *pkt,
				      const struct ct_nat_args *a, struct nat_work *w)
{
	__u32 i;
	int v;

	for (i = 0; i < NAT_ADDRESSES; i++) {
		v = nat_set_address(pkt, a);
		if (!v && !i && w->eim) {
			v = nat_try_bound(pkt);
			if (!v)
				v = nat_set_address(pkt, a);
		}
		if (v)
			return v;
		if (i) {
			w->leases = w->leases ? 2 : 0;
			w->tries = 2;
		}
		if (w->class == NAT_NONE)
			v = nat_try_plain(pkt);
		else if (w->flags & CT_NAT_BLOCK)
			v = nat_try_block(ctx, pkt);
		else
			v = nat_try(ctx, pkt);
		/* Another CPU has bound the same endpoint meanwhile: to that, then. */
		if (v == -CT_DROP_COMMIT_BUSY && w->eim) {
			v = nat_try_bound(pkt);
			if (!v)
				v = -CT_DROP_COMMIT_BUSY;
		}
		if (v || (w->flags & (CT_NAT_PAIRED | CT_NAT_BLOCK)) || i + 1 >= NAT_READ(w->count))
			return v;
		w->number = w->number + 1 < w->count ? w->number + 1 : 0;
	}
	return 0;
}

/* No port for this packet: counted, and told to ctd. */
__noinline int nat_refuse(struct ct_ctx *ctx, const struct ct_pkt *pkt,
			  const struct ct_commit_args *args, __u32 reason)
{
	struct nat_work *w = nat_work();
	struct nat_pool *p;
	struct nat_head *h;

	if (!w)
		return 0;
	p = w->pool ? nat_pool(w->pool) : NULL;
	h = p ? nat_head(p) : NULL;
	if (h)
		__sync_fetch_and_add(&h->refused, 1);
	return nat_tell(ctx, pkt, args, w->pool, reason);
}

/*
 * Chooses and claims the reply tuple for the record in ct_build (which holds
 * the untranslated one). 0, or a negative drop reason: nothing claimed then.
 */
__noinline int nat_choose(struct ct_ctx *ctx, const struct ct_pkt *pkt,
			  const struct ct_commit_args *args, const union ct_key *key, __u32 gen)
{
	struct nat_work *w = nat_work();
	int v, i;

	if (!pkt || !args || !key || !w)
		return -CT_DROP_MAP_MISSING;
	v = nat_prepare(pkt, args, key, gen);
	if (v < 0)
		return v;
	for (i = 0; i < 2; i++) {
		v = nat_source(ctx, pkt, &args->nat, w);
		/* What is over of this one's may be counted still: nobody sweeps. */
		if (v != -CT_DROP_SUB_PORTS || i || !nat_reap_bound())
			break;
	}
	if (v > 0)
		return w->eim ? nat_peer_note(pkt) : 0;
	if (!v) {
		ct_stat(CT_STAT_SEARCH_RESTART);
		v = -CT_DROP_NAT_EXHAUSTED;
	}
	if (v == -CT_DROP_NAT_EXHAUSTED || v == -CT_DROP_SUB_PORTS)
		nat_refuse(ctx, pkt, args, -v);
	return v;
}

#endif
