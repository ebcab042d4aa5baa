/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_KEY_H
#define BPFCT_CT_KEY_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>

#include "../abi/ct_conn.h"

union ct_key {
	struct ct_key4 k4;
	struct ct_key6 k6;
};

static __always_inline int ct_is_icmp(const struct ct_tuple *t)
{
	return t->proto == (t->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* Ports, and zone and protocol, each in one store: a key is hashed by words of four
 * bytes, and a load of those would wait for narrower stores. */
static __always_inline void ct_key4_ports(struct ct_key4 *k, __be16 first, __be16 second)
{
	__u32 word = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? first | (__u32)second << 16
							       : (__u32)first << 16 | second;

	__builtin_memcpy(k->port, &word, sizeof(word));
}

static __always_inline void ct_key4_proto(struct ct_key4 *k, __u16 zone, __u8 proto)
{
	__u32 word = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			     ? zone | (__u32)proto << 16
			     : (__u32)zone << 16 | (__u32)proto << 8;

	__builtin_memcpy(&k->zone, &word, sizeof(word));
}
_Static_assert(__builtin_offsetof(struct ct_key4, pad) ==
		       __builtin_offsetof(struct ct_key4, zone) + 3,
	       "zone, protocol and padding are written as one");

/* The canonical key (ct_key.h of the ABI) of a packet's tuple. Returns which
 * endpoint of the key is the packet's source: 0 or 1. */
static __always_inline __u32 ct_key4_make(struct ct_key4 *k, const struct ct_tuple *t,
					  int icmp_reply)
{
	__u64 s = ((__u64)t->saddr[0] << 16) | t->sport;
	__u64 d = ((__u64)t->daddr[0] << 16) | t->dport;
	__u32 src;

	ct_key4_proto(k, t->zone, t->proto);
	if (t->proto == IPPROTO_ICMP) {
		src = !!icmp_reply;
		k->addr[0] = src ? t->daddr[0] : t->saddr[0];
		k->addr[1] = src ? t->saddr[0] : t->daddr[0];
		ct_key4_ports(k, t->sport, t->dport);
		return src;
	}
	if (s <= d) {
		k->addr[0] = t->saddr[0];
		k->addr[1] = t->daddr[0];
		ct_key4_ports(k, t->sport, t->dport);
		return 0;
	}
	k->addr[0] = t->daddr[0];
	k->addr[1] = t->saddr[0];
	ct_key4_ports(k, t->dport, t->sport);
	return 1;
}

static __always_inline int ct_addr6_cmp(const __be32 *a, const __be32 *b)
{
	int i;

#pragma unroll
	for (i = 0; i < 4; i++) {
		if (a[i] < b[i])
			return -1;
		if (a[i] > b[i])
			return 1;
	}
	return 0;
}

/* A global function: inlined it would cost the verifier each of its many paths
 * at every call. */
__noinline int ct_key6_make(struct ct_key6 *k, const struct ct_tuple *t, int icmp_reply)
{
	__u32 src;
	int c;

	if (!k || !t)
		return 0;
	k->zone = t->zone;
	k->proto = t->proto;
	k->pad = 0;
	if (t->proto == IPPROTO_ICMPV6) {
		src = !!icmp_reply;
		k->port[0] = t->sport;
		k->port[1] = t->dport;
	} else {
		c = ct_addr6_cmp(t->saddr, t->daddr);
		src = c > 0 || (c == 0 && t->sport > t->dport);
		k->port[0] = src ? t->dport : t->sport;
		k->port[1] = src ? t->sport : t->dport;
	}
	if (src) {
		__builtin_memcpy(k->addr[0], t->daddr, 16);
		__builtin_memcpy(k->addr[1], t->saddr, 16);
	} else {
		__builtin_memcpy(k->addr[0], t->saddr, 16);
		__builtin_memcpy(k->addr[1], t->daddr, 16);
	}
	return src;
}

/* The original direction's tuple of a record, from its key and word. */
static __always_inline void ct_tuple_orig(struct ct_tuple *t, const union ct_key *key, __u64 word,
					  __u8 family)
{
	int hi = !!(word & CT_W_ORIG_HI);

	__builtin_memset(t, 0, sizeof(*t));
	t->family = family;
	if (family == 4) {
		const struct ct_key4 *k = &key->k4;

		t->zone = k->zone;
		t->proto = k->proto;
		t->saddr[0] = hi ? k->addr[1] : k->addr[0];
		t->daddr[0] = hi ? k->addr[0] : k->addr[1];
		t->sport = hi ? k->port[1] : k->port[0];
		t->dport = hi ? k->port[0] : k->port[1];
	} else {
		const struct ct_key6 *k = &key->k6;

		t->zone = k->zone;
		t->proto = k->proto;
		__builtin_memcpy(t->saddr, hi ? k->addr[1] : k->addr[0], 16);
		__builtin_memcpy(t->daddr, hi ? k->addr[0] : k->addr[1], 16);
		t->sport = hi ? k->port[1] : k->port[0];
		t->dport = hi ? k->port[0] : k->port[1];
	}
}

/* A tuple seen from the other end. ICMP keeps id and type where they are. */
static __always_inline void ct_tuple_invert(struct ct_tuple *out, const struct ct_tuple *t)
{
	__builtin_memcpy(out->saddr, t->daddr, 16);
	__builtin_memcpy(out->daddr, t->saddr, 16);
	out->zone = t->zone;
	out->proto = t->proto;
	out->family = t->family;
	if (ct_is_icmp(t)) {
		out->sport = t->sport;
		out->dport = t->dport;
	} else {
		out->sport = t->dport;
		out->dport = t->sport;
	}
}

#endif
