/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_FIND_H
#define BPFCT_OVS_DP_FIND_H

#include <bpf/bpf_endian.h>

#include "dp_work.h"

/*
 * Key to flow. First the cache: a word for the hash of the key, which names a flow that the
 * key is then compared with, so that nothing has to be taken out of it when a flow goes.
 * Then the masks of the port, one look-up each.
 */
#define OVS_NO_FLOW 0xffffffffU

/* The words of struct ovs_key that tell packets' flows apart best; others that differ lead to
 * one word of the cache, which costs the look-up that it would have saved. A sum of products,
 * none of which waits for another; what it leaves alike in the low bits the last step mixes. */
static __always_inline __u32 ovs_hash_key(const struct ovs_key *key)
{
	const __u64 *k = (const void *)key;
	__u64 h;

	h = k[4] * 0x9e3779b97f4a7c15ULL +
	    k[6] * 0xc2b2ae3d27d4eb4fULL; /* tun.id; in_port, recirc_id */
	h += k[7] * 0x9fb21c651e98df25ULL +
	     k[8] * 0xd6e8feb86659fd93ULL; /* dp_hash, mark; priority, ct_mark */
	h += k[9] * 0xa0761d6478bd642fULL + k[11] * 0xe7037ed1a0b428dbULL;  /* label; zone, state */
	h += k[16] * 0x8ebc6af09c88c6e3ULL + k[17] * 0x589965cc75374cc3ULL; /* Ethernet */
	h += k[18] * 0x1d8e4e27c47d124fULL + k[19] * 0xeb44accab455d165ULL; /* tags; source */
	h += k[20] * 0x4b33a62ed433d4a3ULL + k[21] * 0x4d5a2da51de1aa47ULL;
	h += k[22] * 0xaaaaaaaaaaaaaaabULL +
	     k[23] * 0x94d049bb133111ebULL; /* label, proto, tos, ttl, frag */
	/* Ports, but not the flags: those of one connection change. */
	h += (k[24] & 0xffffffff) * 0xbf58476d1ce4e5b9ULL;
	h ^= h >> 32;
	return h * 0xff51afd7ed558ccdULL >> 32;
}

static __always_inline int ovs_matches(const struct ovs_key *key, const struct ovs_key *mask,
				       const struct ovs_key *want)
{
	const __u64 *k = (const void *)key, *m = (const void *)mask, *f = (const void *)want;
	__u64 diff = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < OVS_KEY_WORDS; i++) {
		diff |= (k[i] & m[i]) ^ f[i];
		/* One word after the other: the compiler would have them all on the stack. */
		asm volatile("" : "+r"(diff));
	}
	return !diff;
}

static __always_inline struct ovs_cache *ovs_cache_at(const struct ovs_work *w)
{
	__u32 at = (w->key.in_port % OVS_CACHE_PORTS) * OVS_CACHE_LINES + w->hash % OVS_CACHE_LINES;

	return bpf_map_lookup_elem(&ovs_cache_v1, &at);
}

/* The last one that came is the first that is asked; of two CPUs one may be forgotten. */
static __always_inline void ovs_cache_put(const struct ovs_work *w, __u32 flow)
{
	struct ovs_cache *c = ovs_cache_at(w);

	if (!c)
		return;
	*(volatile __u64 *)&c->word[1] = *(volatile __u64 *)&c->word[0];
	*(volatile __u64 *)&c->word[0] = (__u64)w->hash << 32 | flow;
}

/* Is the key the flow's in this slot? */
static __always_inline int ovs_is_flow(const struct ovs_work *w, __u32 slot)
{
	struct ovs_flow *f = ovs_flow_of(slot);
	const struct ovs_key *mask;
	__u32 id;

	if (!f || *(volatile __u32 *)&f->live != 1)
		return 0;
	id = f->mask;
	mask = bpf_map_lookup_elem(&ovs_mask_v1, &id);
	asm volatile("" ::: "memory"); /* nor are the key's words kept there for the next one */
	return mask && ovs_matches(&w->key, mask, &f->key);
}

/* What the cache says, if it is true. */
static __always_inline __u32 ovs_find_cached(struct ovs_work *w)
{
	struct ovs_cache *c = ovs_cache_at(w);
	__u64 word;

	if (!c)
		return OVS_NO_FLOW;
	word = *(volatile __u64 *)&c->word[0];
	if (word >> 32 != w->hash)
		word = *(volatile __u64 *)&c->word[1];
	if (!word || word >> 32 != w->hash)
		return OVS_NO_FLOW;
	return ovs_is_flow(w, word) ? (__u32)word : OVS_NO_FLOW;
}

/* Tuple-space search, by the masks of the packet's port alone: a tenant that makes many
 * pays for them with its own packets. */
__noinline int ovs_find_masked(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ovs_port *p;
	__u32 i, n, id, *slot;

	if (!w || !skb)
		return -1;
	p = ovs_port_of(w->key.in_port);
	if (!p)
		return -1;
	n = *(volatile __u32 *)&p->n_masks;
	for (i = 0; i < OVS_PORT_MASKS; i++) {
		const __u64 *k, *m;
		__u64 *to;
		__u32 j;

		if (i >= n)
			break;
		/* The compiler is not to keep the key's words on the stack from turn to turn. */
		asm volatile("" : "+r"(w)::"memory");
		k = (const void *)&w->key;
		to = (void *)&w->match.key;
		id = *(volatile __u16 *)&p->mask[i];
		m = bpf_map_lookup_elem(&ovs_mask_v1, &id);
		if (!m)
			continue;
#pragma unroll
		for (j = 0; j < OVS_KEY_WORDS; j++)
			to[j] = k[j] & m[j];
		w->match.mask = id;
		w->match.pad = 0;
		ovs_stat(OVS_STAT_MASK_HIT);
		slot = bpf_map_lookup_elem(&ovs_match_v1, &w->match);
		if (!slot)
			continue;
		id = *(volatile __u32 *)slot;
		ovs_cache_put(w, id);
		return id;
	}
	return -1;
}

/* The slot of the flow, whose live word and actions are still to be looked at. */
static __always_inline __u32 ovs_find(struct __sk_buff *skb, struct ovs_work *w)
{
	__u32 slot;

	w->hash = ovs_hash_key(&w->key);
	slot = ovs_find_cached(w);
	if (slot != OVS_NO_FLOW) {
		ovs_stat(OVS_STAT_CACHE_HIT);
		return slot;
	}
	return ovs_find_masked(skb);
}

/* As ovs_find(), of a packet that came by a port: if the last two by that port were of one flow,
 * that is compared before anything is hashed. A thousand connections of one flow then need not
 * a thousand words of the cache. (Flows of one datapath do not overlap; vswitchd sees to it.) */
static __always_inline __u32 ovs_find_first(struct __sk_buff *skb, struct ovs_cpu *cpu,
					    struct ovs_work *w)
{
	__u64 at = w->key.in_port;
	__u32 *guess, was, slot;

	asm volatile("" : "+r"(at));
	at &= OVS_GUESSES - 1;
	guess = &cpu->guess[at];
	was = *guess;
	slot = was & ~OVS_GUESS_SURE;
	if (slot != was && ovs_is_flow(w, slot)) {
		ovs_stat(OVS_STAT_CACHE_HIT);
		return slot;
	}
	slot = ovs_find(skb, w);
	*guess = slot == (was & ~OVS_GUESS_SURE) ? slot | OVS_GUESS_SURE : slot;
	return slot;
}

/* As ovs_find(), of a recirculated packet: most often what the last packet of the flow before
 * went on to, whichever connection it was of. One comparison, without the hash. */
static __always_inline __u32 ovs_find_next(struct __sk_buff *skb, struct ovs_work *w)
{
	struct ovs_flow *from = ovs_flow_of(w->flow);
	__u32 slot;

	if (!from)
		return OVS_NO_FLOW;
	slot = *(volatile __u32 *)&from->next;
	if (slot >= OVS_EXECS && ovs_is_flow(w, slot)) {
		ovs_stat(OVS_STAT_CACHE_HIT);
		return slot;
	}
	slot = ovs_find(skb, w);
	if (slot != OVS_NO_FLOW)
		*(volatile __u32 *)&from->next = slot;
	return slot;
}

/* Counts a packet at its flow. */
static __always_inline void ovs_count(struct __sk_buff *skb, const struct ovs_work *w,
				      struct ovs_flow *f)
{
	__u16 flags = bpf_ntohs(w->key.tcp_flags);
	__u64 now = bpf_jiffies64();

	__sync_fetch_and_add(&f->packets, 1);
	__sync_fetch_and_add(&f->bytes, skb->len + (skb->vlan_present ? 4 : 0));
	/* Two CPUs may both write the tick, or one's flags: it comes again. */
	if (f->used != now)
		*(volatile __u64 *)&f->used = now;
	if (flags & ~f->tcp_flags)
		f->tcp_flags |= flags;
}

#endif
