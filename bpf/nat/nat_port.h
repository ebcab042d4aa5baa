/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_PORT_H
#define BPFCT_NAT_PORT_H

#include "../ct/ct_result.h"
#include "nat_maps.h"

/* Which port space a protocol's ports are of. */
static __always_inline __u32 nat_class(const struct ct_tuple *t)
{
	if (ct_is_icmp(t))
		return NAT_ICMP;
	switch (t->proto) {
	case IPPROTO_TCP:
		return NAT_TCP;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return NAT_UDP;
	case IPPROTO_SCTP:
		return NAT_SCTP;
	}
	return NAT_NONE;
}

/* Ports that ctd has set aside: those of the configuration and, on an address of
 * the host's own, those that its sockets use (port shadowing, CVE-2021-3773). */
static __always_inline int nat_is_reserved(__u32 class, int local, __u32 port)
{
	__u32 index = class + (local ? NAT_CLASSES : 0);
	struct nat_reserved *r = bpf_map_lookup_elem(&nat_reserved_v1, &index);
	__u64 at = port >> 6;

	if (!r)
		return 0;
	asm volatile("" : "+r"(at));
	return r->word[at & 1023] >> (port & 63) & 1;
}

/* Would a socket of the host take what the reply tuple being built names? The
 * bitmap lags behind a socket by ctd's round; this does not. */
__noinline int nat_socket(struct ct_ctx *ctx, __u8 family, __u8 proto)
{
	struct ct_build *b = ct_build();
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 size;

	if (!b)
		return 0;
	if (family == 4) {
		t.ipv4.saddr = b->conn4.reply_saddr;
		t.ipv4.daddr = b->conn4.reply_daddr;
		t.ipv4.sport = b->c.reply_sport;
		t.ipv4.dport = b->c.reply_dport;
		size = sizeof(t.ipv4);
	} else {
		__builtin_memcpy(t.ipv6.saddr, b->conn6.reply_saddr, 16);
		__builtin_memcpy(t.ipv6.daddr, b->conn6.reply_daddr, 16);
		t.ipv6.sport = b->c.reply_sport;
		t.ipv6.dport = b->c.reply_dport;
		size = sizeof(t.ipv6);
	}
	if (proto == IPPROTO_TCP)
		sk = bpf_skc_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	else if (proto == IPPROTO_UDP)
		sk = bpf_sk_lookup_udp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	else
		return 0;
	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

#endif
