/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_HASH_H
#define BPFCT_LIB_CT_HASH_H

#include <bpf/bpf_endian.h>

#include "../ct/ct_maps.h"

/*
 * Keyed mixing for marks, prefix counters and the memory of refused SYNs: a
 * multiply-and-fold over secret-dependent words. Not a cryptographic hash; a
 * collision there costs a shared counter or one packet's second look, never a
 * wrong connection.
 */
static __always_inline __u64 ct_mix(__u64 h, __u64 v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 32);
}

static __always_inline __u64 ct_hash_tuple(const struct ct_settings *set, const struct ct_tuple *t)
{
	__u64 h = set->secret[0];

	h = ct_mix(h, ((__u64)t->saddr[0] << 32) | t->daddr[0]);
	if (t->family == 6) {
		h = ct_mix(h, ((__u64)t->saddr[1] << 32) | t->daddr[1]);
		h = ct_mix(h, ((__u64)t->saddr[2] << 32) | t->daddr[2]);
		h = ct_mix(h, ((__u64)t->saddr[3] << 32) | t->daddr[3]);
	}
	h = ct_mix(h, ((__u64)t->sport << 48) | ((__u64)t->dport << 32) | ((__u32)t->zone << 16) |
			      t->proto);
	return ct_mix(h, set->secret[1]);
}

/* A source's prefix: /24 of IPv4, /56 of IPv6. */
static __always_inline __u64 ct_prefix(const __be32 *addr, __u8 family)
{
	if (family == 4)
		return bpf_ntohl(addr[0]) >> 8;
	return ((__u64)bpf_ntohl(addr[0]) << 24) | (bpf_ntohl(addr[1]) >> 8);
}

static __always_inline __u32 ct_prefix_slot(const struct ct_settings *set, __u64 prefix, __u32 side)
{
	return ct_mix(ct_mix(set->secret[1], prefix), set->secret[0] + side) & 16383;
}

#endif
