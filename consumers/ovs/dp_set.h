/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_SET_H
#define BPFCT_OVS_DP_SET_H

#include "../../bpf/nat/nat_apply.h"
#include "dp_extract.h"

/*
 * Actions that change headers. Checksums are changed along, by what differs, so that
 * a wrong one stays wrong and one that is left to the device stays so. Each is a global
 * function, verified by itself: 0, or a drop reason for a packet without the header.
 */
static __always_inline __u8 ovs_mix1(__u8 old, __u8 value, __u8 mask)
{
	return (old & ~mask) | (value & mask);
}

static __always_inline __be16 ovs_mix2(__be16 old, __be16 value, __be16 mask)
{
	return (old & ~mask) | (value & mask);
}

static __always_inline __be32 ovs_mix4(__be32 old, __be32 value, __be32 mask)
{
	return (old & ~mask) | (value & mask);
}

static __always_inline void ovs_mix_mac(__u8 *mac, const __u8 *value, const __u8 *mask)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < 6; i++)
		mac[i] = ovs_mix1(mac[i], value[i], mask[i]);
}

/* The one's complement difference of n bytes, n a multiple of 4. */
#define ovs_diff(from, to, n) ((__s64)bpf_csum_diff((__be32 *)(from), n, (__be32 *)(to), n, 0))

/* Begins a change: the key and offsets are those of the packet as it is. */
static __always_inline struct ovs_work *ovs_fresh(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();

	if (!w || (w->stale && ovs_extract(skb) < 0))
		return NULL;
	return w;
}

/* Where the transport checksum is, 0: there is none that covers a pseudo header. */
static __always_inline __u32 ovs_csum_off(const struct ovs_work *w)
{
	if (w->key.frag == OVS_FRAG_LATER)
		return 0;
	switch (w->key.proto) {
	case IPPROTO_TCP:
		return w->l4_len < 20 ? 0 : w->l4_off + 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return w->l4_len < 8 ? 0 : w->l4_off + 6;
	case IPPROTO_ICMPV6:
		return w->key.eth_type != bpf_htons(ETH_P_IPV6) || w->l4_len < 8 ? 0
										 : w->l4_off + 2;
	}
	return 0;
}

/* The transport checksum after a change by diff, of addresses (pseudo) or in the header. */
static __always_inline int ovs_csum(struct __sk_buff *skb, const struct ovs_work *w, __s64 diff,
				    int pseudo)
{
	int udp = w->key.proto == IPPROTO_UDP || w->key.proto == IPPROTO_UDPLITE;
	int six = w->key.eth_type == bpf_htons(ETH_P_IPV6);
	__u32 off = ovs_csum_off(w);
	const __be16 *field;

	if (!diff)
		return 0;
	field = off && udp ? ct_at(skb, off, 2) : NULL;
	if (!off || (field && !*field)) {
		if (six || !pseudo)
			ctx_csum_whole(skb, nat_fold(diff));
		return 0;
	}
	if (ctx_csum_l4(skb, off, nat_fold(diff), pseudo, udp))
		return -CT_DROP_CSUM_UPDATE;
	if (pseudo && six)
		ctx_csum_whole(skb, nat_fold(diff));
	return 0;
}

__noinline int ovs_set_eth(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	struct ethhdr *eth = ct_at(skb, 0, sizeof(*eth));

	if (!a || !eth)
		return -CT_DROP_OVS_SET;
	ovs_mix_mac(eth->h_dest, a->eth.dst, a->eth.dst_mask);
	ovs_mix_mac(eth->h_source, a->eth.src, a->eth.src_mask);
	__builtin_memcpy(w->key.eth_dst, eth->h_dest, 6);
	__builtin_memcpy(w->key.eth_src, eth->h_source, 6);
	return 0;
}

__noinline int ovs_set_ip4(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_fresh(skb);
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	struct iphdr *ip;
	__be32 src, dst;
	__be16 was, *word;
	__s64 diff;

	if (!a || w->key.eth_type != bpf_htons(ETH_P_IP))
		return -CT_DROP_OVS_SET;
	ip = ct_at(skb, w->l3_off, sizeof(*ip));
	if (!ip)
		return -CT_DROP_OVS_SET;
	src = ovs_mix4(ip->saddr, a->ip4.src, a->ip4.src_mask);
	dst = ovs_mix4(ip->daddr, a->ip4.dst, a->ip4.dst_mask);
	diff = nat_diff4(ip->saddr, src) + nat_diff4(ip->daddr, dst);
	if (src == ip->saddr && dst == ip->daddr)
		diff = 0;
	ip->saddr = w->key.src[0] = src;
	ip->daddr = w->key.dst[0] = dst;
	if (diff)
		ip->check = nat_csum_apply(ip->check, diff);
	word = (__be16 *)ip;
	was = *word;
	ip->tos = w->key.tos = ovs_mix1(ip->tos, a->ip4.tos, a->ip4.tos_mask);
	if (was != *word)
		ip->check = nat_csum_apply(ip->check, nat_diff2(was, *word));
	word = (__be16 *)ip + 4;
	was = *word;
	ip->ttl = w->key.ttl = ovs_mix1(ip->ttl, a->ip4.ttl, a->ip4.ttl_mask);
	if (was != *word)
		ip->check = nat_csum_apply(ip->check, nat_diff2(was, *word));
	return ovs_csum(skb, w, diff, 1);
}

/* Traffic class and flow label: the first word but its version. */
static __always_inline void ovs_set_ip6_word(struct __sk_buff *skb, struct ovs_work *w,
					     const struct ovs_set_ip6 *s, __be32 *word)
{
	__be32 mask = bpf_htonl((__u32)s->tos_mask << 20) | (s->label_mask & bpf_htonl(0xfffff));
	__be32 value = bpf_htonl((__u32)s->tos << 20) | (s->label & bpf_htonl(0xfffff));
	__be32 was = *word;

	*word = ovs_mix4(was, value, mask);
	w->key.label = *word & bpf_htonl(0xfffff);
	w->key.tos = bpf_ntohl(*word) >> 20;
}

__noinline int ovs_set_ip6(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_fresh(skb);
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__be32 *addr, n, whole;
	struct ipv6hdr *ip;
	__s64 diff = 0;
	__be16 *hops, was;
	__u32 i;

	if (!a || w->key.eth_type != bpf_htons(ETH_P_IPV6))
		return -CT_DROP_OVS_SET;
	ip = ct_at(skb, w->l3_off, sizeof(*ip));
	if (!ip)
		return -CT_DROP_OVS_SET;
	/* What of it no transport checksum takes back: for CHECKSUM_COMPLETE. */
	whole = *(__be32 *)ip;
	ovs_set_ip6_word(skb, w, &a->ip6, (__be32 *)ip);
	hops = (__be16 *)ip + 3;
	was = *hops;
	ip->hop_limit = w->key.ttl = ovs_mix1(ip->hop_limit, a->ip6.ttl, a->ip6.ttl_mask);
	addr = (__be32 *)&ip->saddr;
#pragma unroll
	for (i = 0; i < 8; i++) {
		n = i < 4 ? ovs_mix4(addr[i], a->ip6.src[i & 3], a->ip6.src_mask[i & 3])
			  : ovs_mix4(addr[i], a->ip6.dst[i & 3], a->ip6.dst_mask[i & 3]);
		if (n != addr[i])
			diff += nat_diff4(addr[i], n);
		addr[i] = n;
	}
	__builtin_memcpy(w->key.src, addr, 16);
	__builtin_memcpy(w->key.dst, addr + 4, 16);
	whole = whole == *(__be32 *)ip && was == *hops
			? 0
			: nat_fold(nat_diff4(whole, *(__be32 *)ip) + nat_diff2(was, *hops));
	if (whole)
		ctx_csum_whole(skb, whole);
	return ovs_csum(skb, w, diff, 1);
}

/* SCTP: the checksum is over the ports too. */
static __always_inline int ovs_set_sctp(struct __sk_buff *skb, const struct ovs_work *w, __be32 was,
					__be32 is)
{
	__be32 *check = ct_at(skb, w->l4_off + 8, 4), old;
	__u32 diff;

	if (!check)
		return -CT_DROP_OVS_SET;
	old = *check;
	if (!old) /* left to the device */
		return 0;
	diff = nat_crc_diff(was ^ is, w->l4_len);
	check = ct_at(skb, w->l4_off + 8, 4);
	if (!check)
		return -CT_DROP_OVS_SET;
	*check = old ^ diff;
	ctx_csum_whole(skb, nat_fold(nat_diff4(was, is) + nat_diff4(old, old ^ diff)));
	return 0;
}

__noinline int ovs_set_ports(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_fresh(skb);
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__be16 *port;
	__be32 was, is;

	if (!a || w->key.frag == OVS_FRAG_LATER || w->l4_len < 8 ||
	    (w->key.proto != IPPROTO_TCP && w->key.proto != IPPROTO_UDP &&
	     w->key.proto != IPPROTO_SCTP))
		return -CT_DROP_OVS_SET;
	port = ct_at(skb, w->l4_off, 20);
	if (w->key.proto == IPPROTO_TCP &&
	    (!port || !ovs_tcp_len_holds(((__u8 *)port)[12], w->l4_len)))
		return -CT_DROP_OVS_SET;
	port = ct_at(skb, w->l4_off, 4);
	if (!port)
		return -CT_DROP_OVS_SET;
	was = *(__be32 *)port;
	port[0] = w->key.sport = ovs_mix2(port[0], a->ports.sport, a->ports.sport_mask);
	port[1] = w->key.dport = ovs_mix2(port[1], a->ports.dport, a->ports.dport_mask);
	is = *(__be32 *)port;
	if (was == is)
		return 0;
	if (w->key.proto == IPPROTO_SCTP)
		return ovs_set_sctp(skb, w, was, is);
	return ovs_csum(skb, w, nat_diff4(was, is), 0);
}

/* Type and code. Of ICMP over IPv4 the checksum has no pseudo header. */
__noinline int ovs_set_icmp(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_fresh(skb);
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__be16 was, *word;
	__u8 *h;

	if (!a || w->key.frag == OVS_FRAG_LATER || w->l4_len < 8 ||
	    (w->key.proto != IPPROTO_ICMP && w->key.proto != IPPROTO_ICMPV6))
		return -CT_DROP_OVS_SET;
	h = ct_at(skb, w->l4_off, 8);
	if (!h)
		return -CT_DROP_OVS_SET;
	word = (__be16 *)h;
	was = *word;
	h[0] = ovs_mix1(h[0], bpf_ntohs(a->ports.sport), bpf_ntohs(a->ports.sport_mask));
	h[1] = ovs_mix1(h[1], bpf_ntohs(a->ports.dport), bpf_ntohs(a->ports.dport_mask));
	w->key.sport = bpf_htons(h[0]);
	w->key.dport = bpf_htons(h[1]);
	if (was == *word)
		return 0;
	if (ctx_csum_l4(skb, w->l4_off + 2, nat_fold(nat_diff2(was, *word)), 0, 0))
		return -CT_DROP_CSUM_UPDATE;
	return 0;
}

__noinline int ovs_set_arp(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_fresh(skb);
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__be32 n;
	__be16 op;
	__u8 *h;

	if (!a ||
	    (w->key.eth_type != bpf_htons(ETH_P_ARP) && w->key.eth_type != bpf_htons(ETH_P_RARP)))
		return -CT_DROP_OVS_SET;
	h = ct_at(skb, w->l3_off, OVS_ARP_LEN);
	if (!h)
		return -CT_DROP_OVS_SET;
	__builtin_memcpy(&op, h + 6, 2);
	op = ovs_mix2(op, a->arp.op, a->arp.op_mask);
	__builtin_memcpy(h + 6, &op, 2);
	ovs_mix_mac(h + 8, a->arp.sha, a->arp.sha_mask);
	__builtin_memcpy(&n, h + 14, 4);
	n = ovs_mix4(n, a->arp.sip, a->arp.sip_mask);
	__builtin_memcpy(h + 14, &n, 4);
	ovs_mix_mac(h + 18, a->arp.tha, a->arp.tha_mask);
	__builtin_memcpy(&n, h + 24, 4);
	n = ovs_mix4(n, a->arp.tip, a->arp.tip_mask);
	__builtin_memcpy(h + 24, &n, 4);
	w->stale = 1;
	return 0;
}

/* One link-layer address option, 8 bytes at off. */
static __always_inline int ovs_set_nd_opt(struct __sk_buff *skb, const struct ovs_work *w,
					  __u32 off, const __u8 *mac, const __u8 *mask)
{
	__u8 old[8], new[8];

	if (ctx_load(skb, off, old, 8))
		return -CT_DROP_OVS_SET;
	__builtin_memcpy(new, old, 8);
	ovs_mix_mac(new + 2, mac, mask);
	if (ctx_store(skb, off, new, 8) ||
	    ctx_csum_l4(skb, w->l4_off + 2, ovs_diff(old, new, 8), 0, 0))
		return -CT_DROP_CSUM_UPDATE;
	return 0;
}

__noinline int ovs_set_nd_opts(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__u32 off, end, i;
	__u8 opt[2];
	int v;

	if (!a)
		return -CT_DROP_OVS_SET;
	off = w->l4_off + 24;
	end = w->l4_off + w->l4_len;
	for (i = 0; i < OVS_ND_OPTS && off + 8 <= end; i++) {
		if (ctx_load(skb, off, opt, 2) || !opt[1])
			break;
		v = 0;
		if (opt[0] == 1 && opt[1] == 1)
			v = ovs_set_nd_opt(skb, w, off, a->nd.sll, a->nd.sll_mask);
		else if (opt[0] == 2 && opt[1] == 1)
			v = ovs_set_nd_opt(skb, w, off, a->nd.tll, a->nd.tll_mask);
		if (v < 0)
			return v;
		off += opt[1] * 8;
	}
	return 0;
}

__noinline int ovs_set_nd(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_fresh(skb);
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__be32 old[4], new[4];
	__u32 i;

	if (!a || w->key.proto != IPPROTO_ICMPV6 || w->l4_len < 24 ||
	    (w->key.sport != bpf_htons(135) && w->key.sport != bpf_htons(136)))
		return -CT_DROP_OVS_SET;
	if (ctx_load(skb, w->l4_off + 8, old, 16))
		return -CT_DROP_OVS_SET;
#pragma unroll
	for (i = 0; i < 4; i++)
		new[i] = ovs_mix4(old[i], a->nd.target[i], a->nd.target_mask[i]);
	if (ctx_store(skb, w->l4_off + 8, new, 16) ||
	    ctx_csum_l4(skb, w->l4_off + 2, ovs_diff(old, new, 16), 0, 0))
		return -CT_DROP_CSUM_UPDATE;
	w->stale = 1;
	return ovs_set_nd_opts(skb);
}

__noinline int ovs_set_tunnel(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	struct bpf_tunnel_key t = {};
	__u64 flags = 0;

	if (!a)
		return -CT_DROP_OVS_ACTION;
	t.tunnel_id = bpf_be64_to_cpu(a->tun.id);
	t.tunnel_tos = a->tun.tos;
	t.tunnel_ttl = a->tun.ttl;
	if (a->tun.family == 6) {
		flags = BPF_F_TUNINFO_IPV6;
		__builtin_memcpy(t.remote_ipv6, a->tun.dst, 16);
		__builtin_memcpy(t.local_ipv6, a->tun.src, 16);
	} else {
		t.remote_ipv4 = bpf_ntohl(a->tun.dst[0]);
		t.local_ipv4 = bpf_ntohl(a->tun.src[0]);
	}
	if (!(a->tun.flags & OVS_TUN_CSUM))
		flags |= BPF_F_ZERO_CSUM_TX;
	if (a->tun.flags & OVS_TUN_DF)
		flags |= BPF_F_DONT_FRAGMENT;
	return bpf_skb_set_tunnel_key(skb, &t, sizeof(t), flags) ? -CT_DROP_OVS_SET : 0;
}

__noinline int ovs_push_vlan(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;

	if (!a)
		return -CT_DROP_OVS_ACTION;
	w->stale = 1;
	if (bpf_skb_vlan_push(skb, a->vlan.tpid, bpf_ntohs(a->vlan.tci) & ~OVS_VLAN_CFI))
		return -CT_DROP_OVS_SET;
	return 0;
}

__noinline int ovs_pop_vlan(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();

	if (!w)
		return -CT_DROP_OVS_ACTION;
	w->stale = 1;
	return bpf_skb_vlan_pop(skb) ? -CT_DROP_OVS_SET : 0;
}

#endif
