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
 * one word of the cache, which costs the look-up that it would have saved. */
static __always_inline __u32 ovs_hash_key(const struct ovs_key *key)
{
	const __u64 *k = (const void *)key;
	__u64 a = 0x9e3779b97f4a7c15ULL, b = 0xc2b2ae3d27d4eb4fULL;

#define OVS_MIX(x, y)                                                                              \
	do {                                                                                       \
		a = (a ^ k[x]) * 0x9fb21c651e98df25ULL;                                            \
		b = (b ^ k[y]) * 0xd6e8feb86659fd93ULL;                                            \
		a ^= a >> 29;                                                                      \
		b ^= b >> 31;                                                                      \
	} while (0)
	OVS_MIX(4, 6);	 /* tun.id; in_port, recirc_id */
	OVS_MIX(7, 8);	 /* dp_hash, mark; priority, ct_mark */
	OVS_MIX(9, 11);	 /* label; zone, state */
	OVS_MIX(16, 17); /* Ethernet */
	OVS_MIX(18, 19); /* tags; source */
	OVS_MIX(20, 21);
	OVS_MIX(22, 23); /* label, proto, tos, ttl, frag */
#undef OVS_MIX
	/* Ports, but not the flags: those of one connection change. */
	a = (a ^ (k[24] & 0xffffffff)) * 0x9fb21c651e98df25ULL;
	a ^= b;
	return (a ^ a >> 32) * 0x85ebca6bU;
}

static __always_inline int ovs_matches(const struct ovs_key *key, const struct ovs_key *mask,
				       const struct ovs_key *want)
{
	const __u64 *k = (const void *)key, *m = (const void *)mask, *f = (const void *)want;
	__u64 diff = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < OVS_KEY_WORDS; i++)
		diff |= (k[i] & m[i]) ^ f[i];
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

/* What the cache says, if it is true. */
static __always_inline __u32 ovs_find_cached(struct ovs_work *w)
{
	struct ovs_cache *c = ovs_cache_at(w);
	const struct ovs_key *mask;
	struct ovs_flow *f;
	__u64 word;
	__u32 id;

	if (!c)
		return OVS_NO_FLOW;
	word = *(volatile __u64 *)&c->word[0];
	if (word >> 32 != w->hash)
		word = *(volatile __u64 *)&c->word[1];
	if (!word || word >> 32 != w->hash)
		return OVS_NO_FLOW;
	f = ovs_flow_of(word);
	if (!f || *(volatile __u32 *)&f->live != 1)
		return OVS_NO_FLOW;
	id = f->mask;
	mask = bpf_map_lookup_elem(&ovs_mask_v1, &id);
	return mask && ovs_matches(&w->key, mask, &f->key) ? (__u32)word : OVS_NO_FLOW;
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
	asm volatile("" ::: "memory");
	slot = ovs_find_cached(w);
	if (slot != OVS_NO_FLOW) {
		ovs_stat(OVS_STAT_CACHE_HIT);
		return slot;
	}
	return ovs_find_masked(skb);
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
