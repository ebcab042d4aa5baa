/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_EXTRACT_H
#define BPFCT_OVS_DP_EXTRACT_H

#include "../../bpf/lib/ct_parse.h"
#include "dp_work.h"

/*
 * Packet to flow key, field for field as lib/flow.c of OVS has it: vswitchd makes a flow of what
 * it reads from the packet itself, so a field that is 0 here and not there would lead another
 * packet to a flow that was not made for it. What is cut short or contradicts itself is no
 * error: the fields that cannot be read are 0, and the flow table says what becomes of it. What
 * is all there, but more than is looked through here, is dropped (ovs_key).
 * Each header is a function of its own, so that the compiler merges no two ways of reaching
 * the context, which the verifier refuses.
 */
#define OVS_ARP_LEN  28
#define OVS_EXTS     8	/* IPv6 extension headers looked through */
#define OVS_ND_OPTS  16 /* options looked through */
#define OVS_ETH_NONE 0x05ff
#define OVS_CUT	     1 /* a chain of headers that does not end within its packet */

static __noinline int ovs_extract_arp(struct __sk_buff *skb, struct ovs_work *w)
{
	const __u8 *h = ct_at(skb, w->l3_off, OVS_ARP_LEN);

	/* Ethernet and IPv4 alone. */
	if (!h || *(__be32 *)h != bpf_htonl(0x00010800) || h[4] != 6 || h[5] != 4)
		return 0;
	w->key.proto = h[6] ? 0 : h[7];
	__builtin_memcpy(w->key.sha, h + 8, 6);
	__builtin_memcpy(&w->key.src[0], h + 14, 4);
	__builtin_memcpy(w->key.tha, h + 18, 6);
	__builtin_memcpy(&w->key.dst[0], h + 24, 4);
	return 0;
}

static __always_inline int ovs_mac_is_zero(const __u8 *mac)
{
	return !(*(const __u16 *)mac | *(const __u16 *)(mac + 2) | *(const __u16 *)(mac + 4));
}

/* Neighbour solicitation (135) and advertisement (136). Two addresses of one kind are none, and no
 * target either: nobody can say which of them a host will believe. */
static __always_inline int ovs_extract_nd(struct __sk_buff *skb, struct ovs_work *w)
{
	const __u8 *h = ct_at(skb, w->l4_off, 24);
	__u32 off = w->l4_off + 24, end = w->l4_off + w->l4_len, i;
	__u8 *mac;

	if (w->l4_len < 24)
		return 0;
	if (!h)
		return -CT_DROP_OVS_KEY;
	__builtin_memcpy(w->key.nd_target, h + 8, 16);
	for (i = 0; i < OVS_ND_OPTS; i++) {
		if (off + 8 > end)
			return 0;
		h = ct_at(skb, off, 8);
		if (!h)
			return -CT_DROP_OVS_KEY;
		if (!h[1] || off + h[1] * 8 > end)
			return 0;
		if (h[1] == 1 && (h[0] == 1 || h[0] == 2)) {
			mac = h[0] == 1 ? w->key.sha : w->key.tha;
			if (!ovs_mac_is_zero(mac)) {
				__builtin_memset(w->key.nd_target, 0, 16);
				__builtin_memset(w->key.sha, 0, 6);
				__builtin_memset(w->key.tha, 0, 6);
				return 0;
			}
			__builtin_memcpy(mac, h + 2, 6);
		}
		off += h[1] * 8;
	}
	return off + 8 > end ? 0 : -CT_DROP_OVS_KEY;
}

static __noinline int ovs_extract_icmp(struct __sk_buff *skb, struct ovs_work *w)
{
	const __u8 *h = ct_at(skb, w->l4_off, 8);
	__u8 type;

	if (w->l4_len < 8)
		return 0;
	if (!h)
		return -CT_DROP_OVS_KEY;
	type = h[0];
	w->key.sport = bpf_htons(type);
	w->key.dport = bpf_htons(h[1]);
	if (w->key.proto == IPPROTO_ICMPV6 && (type == 135 || type == 136) && !h[1])
		return ovs_extract_nd(skb, w);
	return 0;
}

/* Has TCP's data offset, with the byte that it is in, room for a header and does it end within len?
 */
static __always_inline int ovs_tcp_len_holds(__u8 doff, __u32 len)
{
	__u32 hlen = doff >> 4 << 2;

	return hlen >= 20 && hlen <= len;
}

static __noinline int ovs_extract_l4(struct __sk_buff *skb, struct ovs_work *w)
{
	__u32 need = 8;
	const __u8 *h;

	if (w->key.frag == OVS_FRAG_LATER)
		return 0;
	switch (w->key.proto) {
	case IPPROTO_TCP:
		need = 20;
		break;
	case IPPROTO_SCTP:
		need = 12;
		break;
	case IPPROTO_UDP:
		break;
	case IPPROTO_ICMP:
		if (w->key.eth_type == bpf_htons(ETH_P_IP))
			return ovs_extract_icmp(skb, w);
		return 0;
	case IPPROTO_ICMPV6:
		if (w->key.eth_type == bpf_htons(ETH_P_IPV6))
			return ovs_extract_icmp(skb, w);
		return 0;
	default:
		return 0;
	}
	if (w->l4_len < need)
		return 0;
	if (need == 20) {
		h = ct_at(skb, w->l4_off, 20);
		if (!h)
			return -CT_DROP_OVS_KEY;
		if (!ovs_tcp_len_holds(h[12], w->l4_len))
			return 0;
		w->key.tcp_flags = *(__be16 *)(h + 12) & bpf_htons(0x0fff);
	}
	h = ct_at(skb, w->l4_off, 8);
	if (!h)
		return -CT_DROP_OVS_KEY;
	w->key.sport = *(__be16 *)h;
	w->key.dport = *(__be16 *)(h + 2);
	return 0;
}

static __noinline int ovs_extract_ip4(struct __sk_buff *skb, struct ovs_work *w)
{
	const struct iphdr *ip = ct_at(skb, w->l3_off, sizeof(*ip));
	__u32 hlen, total, avail = skb->len - w->l3_off;
	__u16 frag;

	if (!ip)
		return 0;
	hlen = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (!total && avail > 0xffff) /* BIG TCP */
		total = avail;
	if (hlen < sizeof(*ip) || total < hlen || total > avail)
		return 0;
	w->stale = ip->version != 4; /* OVS does not look at it: for ct() to see */
	w->key.src[0] = ip->saddr;
	w->key.dst[0] = ip->daddr;
	w->key.proto = ip->protocol;
	w->key.tos = ip->tos;
	w->key.ttl = ip->ttl;
	w->l4_off = w->l3_off + hlen;
	w->l4_len = total - hlen;
	frag = bpf_ntohs(ip->frag_off);
	if (frag & 0x1fff)
		w->key.frag = OVS_FRAG_LATER;
	else if (frag & 0x2000)
		w->key.frag = OVS_FRAG_FIRST;
	return ovs_extract_l4(skb, w);
}

/* Past extension headers to the transport's. 0, OVS_CUT, or a drop reason. A fragment header whose
 * reserved bits are set makes a fragment, which it is not to ct(): so has it OVS. */
static __always_inline int ovs_extract_ext(struct __sk_buff *skb, __u32 *off, __u32 end, __u8 *next,
					   __u8 *frag)
{
	const __u8 *h;
	__u32 i, len;

	for (i = 0; i <= OVS_EXTS; i++) {
		if (*next != IPPROTO_HOPOPTS && *next != IPPROTO_ROUTING &&
		    *next != IPPROTO_DSTOPTS && *next != IPPROTO_AH && *next != IPPROTO_FRAGMENT)
			return 0;
		if (*off + 8 > end)
			return OVS_CUT;
		h = ct_at(skb, *off, 8);
		if (!h)
			return -CT_DROP_OVS_KEY;
		len = 8;
		if (*next == IPPROTO_FRAGMENT) {
			if (h[2] | h[3])
				*frag = OVS_FRAG_FIRST;
			if (h[2] | (h[3] & 0xf8)) {
				*frag = OVS_FRAG_LATER;
				return 0;
			}
		} else {
			len = *next == IPPROTO_AH ? (h[1] + 2) << 2 : (h[1] + 1) << 3;
		}
		if (*off + len > end)
			return OVS_CUT;
		*off += len;
		*next = h[0];
	}
	return -CT_DROP_OVS_KEY;
}

static __noinline int ovs_extract_ip6(struct __sk_buff *skb, struct ovs_work *w)
{
	const struct ipv6hdr *ip = ct_at(skb, w->l3_off, sizeof(*ip));
	__u32 off = w->l3_off + sizeof(*ip), total, avail = skb->len - w->l3_off;
	__u8 next, frag = OVS_FRAG_NONE;
	int v;

	if (!ip)
		return 0;
	total = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (!ip->payload_len && avail > 0xffff)
		total = avail;
	if (total > avail)
		return 0;
	w->stale = ip->version != 6;
	__builtin_memcpy(w->key.src, &ip->saddr, 16);
	__builtin_memcpy(w->key.dst, &ip->daddr, 16);
	next = ip->nexthdr;
	v = ovs_extract_ext(skb, &off, w->l3_off + total, &next, &frag);
	if (v)
		return v < 0 ? v : 0;
	ip = ct_at(skb, w->l3_off, sizeof(*ip));
	if (!ip)
		return -CT_DROP_OVS_KEY;
	w->key.label = *(__be32 *)ip & bpf_htonl(0x000fffff);
	w->key.tos = bpf_ntohl(*(__be32 *)ip) >> 20;
	w->key.ttl = ip->hop_limit;
	w->key.proto = next;
	w->key.frag = frag;
	w->l4_off = off;
	w->l4_len = w->l3_off + total - off;
	return ovs_extract_l4(skb, w);
}

/* The tag in skb metadata, then those in the data, as many as vswitchd looks at. The Ethernet type
 * behind them. */
static __noinline __be16 ovs_extract_vlan(struct __sk_buff *skb, struct ovs_work *w, __be16 type)
{
	const struct ovs_config *cfg = ovs_config();
	__u32 n = 0, i, limit = cfg && cfg->vlan_limit == 1 ? 1 : 2;
	const struct ct_vlan_hdr *tag;

	if (skb->vlan_present) {
		w->key.vlan[0].tpid = skb->vlan_proto;
		w->key.vlan[0].tci = bpf_htons(skb->vlan_tci | OVS_VLAN_CFI);
		n = 1;
	}
	for (i = 0; i < 2; i++) {
		if (n == limit ||
		    (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD)))
			break;
		tag = ct_at(skb, w->l3_off, sizeof(*tag));
		if (!tag)
			break;
		if (n) {
			w->key.vlan[1].tpid = type;
			w->key.vlan[1].tci = tag->tci | bpf_htons(OVS_VLAN_CFI);
		} else {
			w->key.vlan[0].tpid = type;
			w->key.vlan[0].tci = tag->tci | bpf_htons(OVS_VLAN_CFI);
		}
		n++;
		type = tag->proto;
		w->l3_off += sizeof(*tag);
	}
	return type;
}

/* An 802.3 frame: its type is in the SNAP header if it has one. */
static __noinline __be16 ovs_extract_snap(struct __sk_buff *skb, struct ovs_work *w)
{
	const __u8 *h = ct_at(skb, w->l3_off, 8);

	if (!h || *(__be32 *)h != bpf_htonl(0xaaaa0300) || h[4] || h[5] || h[6] < 6)
		return bpf_htons(OVS_ETH_NONE);
	w->l3_off += 8;
	return *(__be16 *)(h + 6);
}

/* Fills the packet's part of the key in hand; the metadata stays. 0 or a drop reason. */
__noinline int ovs_extract(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	__u32 len = skb->len, linear = ctx_linear(skb);
	const struct ethhdr *eth;
	__be16 type;

	if (!w)
		return -CT_DROP_MAP_MISSING;
	if (linear < len && linear < CT_PARSE_LINEAR &&
	    ctx_pull(skb, len < CT_PARSE_LINEAR ? len : CT_PARSE_LINEAR))
		return -CT_DROP_PKT_ACCESS;
	__builtin_memset(w->key.eth_dst, 0,
			 sizeof(w->key) - __builtin_offsetof(struct ovs_key, eth_dst));
	w->stale = 0;
	w->l4_len = 0;
	eth = ct_at(skb, 0, sizeof(*eth));
	if (!eth)
		return -CT_DROP_L2_TRUNCATED;
	__builtin_memcpy(w->key.eth_dst, eth->h_dest, 6);
	__builtin_memcpy(w->key.eth_src, eth->h_source, 6);
	w->l3_off = w->l4_off = sizeof(*eth);
	type = ovs_extract_vlan(skb, w, eth->h_proto);
	if (bpf_ntohs(type) < 0x600)
		type = ovs_extract_snap(skb, w);
	w->key.eth_type = type;
	w->l4_off = w->l3_off;
	switch (type) {
	case bpf_htons(ETH_P_IP):
		return ovs_extract_ip4(skb, w);
	case bpf_htons(ETH_P_IPV6):
		return ovs_extract_ip6(skb, w);
	case bpf_htons(ETH_P_ARP):
	case bpf_htons(ETH_P_RARP):
		ovs_extract_arp(skb, w);
		break;
	}
	return 0;
}

/* The bulk: a whole IPv4 packet without tags and options, with TCP or UDP. As ovs_extract(),
 * into a key that is all zero, but without a call, as a return is dear where it goes through a
 * thunk. 0: it is none of those, and nothing is written. */
static __always_inline int ovs_extract_bulk(struct __sk_buff *skb, struct ovs_work *w)
{
	const __u8 *data = ctx_data(skb), *end = ctx_data_end(skb);
	const struct iphdr *ip = (const void *)(data + sizeof(struct ethhdr));
	const __be16 *l4 = (const void *)(ip + 1);
	__u32 total, need, linear = ctx_linear(skb);

	if (data + sizeof(struct ethhdr) + sizeof(*ip) + 8 > end || skb->vlan_present)
		return 0;
	if (linear < skb->len && linear < CT_PARSE_LINEAR)
		return 0;
	if (*(__be16 *)(data + 12) != bpf_htons(ETH_P_IP) || *(__u8 *)ip != 0x45 ||
	    (ip->frag_off & bpf_htons(0x3fff)))
		return 0;
	total = bpf_ntohs(ip->tot_len);
	need = sizeof(*ip) + (ip->protocol == IPPROTO_TCP ? 20 : 8);
	if (total < need || total + sizeof(struct ethhdr) > skb->len)
		return 0;
	if (ip->protocol == IPPROTO_TCP) {
		if (data + sizeof(struct ethhdr) + sizeof(*ip) + 20 > end ||
		    !ovs_tcp_len_holds(((const __u8 *)l4)[12], total - sizeof(*ip)))
			return 0;
		w->key.tcp_flags = l4[6] & bpf_htons(0x0fff);
	} else if (ip->protocol != IPPROTO_UDP) {
		return 0;
	}
	/* Both addresses and the type, as they lie in the packet. */
	*(__u64 *)w->key.eth_dst = *(const __u64 *)data;
	*(__u32 *)(w->key.eth_src + 2) = *(const __u32 *)(data + 8);
	w->key.eth_type = bpf_htons(ETH_P_IP);
	w->key.src[0] = ip->saddr;
	w->key.dst[0] = ip->daddr;
	w->key.proto = ip->protocol;
	w->key.tos = ip->tos;
	w->key.ttl = ip->ttl;
	w->key.sport = l4[0];
	w->key.dport = l4[1];
	w->l3_off = sizeof(struct ethhdr);
	w->l4_off = sizeof(struct ethhdr) + sizeof(*ip);
	w->l4_len = total - sizeof(*ip);
	return 1;
}

/* The outer header of a packet that came by a tunnel device. */
__noinline int ovs_extract_tunnel(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct bpf_tunnel_key t = {};
	int v6 = 0;

	if (!w)
		return -CT_DROP_MAP_MISSING;
	if (bpf_skb_get_tunnel_key(skb, &t, sizeof(t), BPF_F_TUNINFO_FLAGS)) {
		v6 = 1;
		if (bpf_skb_get_tunnel_key(skb, &t, sizeof(t),
					   BPF_F_TUNINFO_FLAGS | BPF_F_TUNINFO_IPV6))
			return 0;
	}
	w->key.tun.family = v6 ? 6 : 4;
	if (v6) {
		__builtin_memcpy(w->key.tun.src, t.remote_ipv6, 16);
		__builtin_memcpy(w->key.tun.dst, t.local_ipv6, 16);
	} else {
		w->key.tun.src[0] = bpf_htonl(t.remote_ipv4);
		w->key.tun.dst[0] = bpf_htonl(t.local_ipv4);
	}
	w->key.tun.id = bpf_cpu_to_be64((__u64)t.tunnel_id);
	w->key.tun.tos = t.tunnel_tos;
	w->key.tun.ttl = t.tunnel_ttl;
	/* TUNNEL_CSUM, TUNNEL_KEY, TUNNEL_DONT_FRAGMENT of <linux/if_tunnel.h> */
	w->key.tun.flags = (t.tunnel_flags & bpf_htons(0x0001) ? OVS_TUN_CSUM : 0) |
			   (t.tunnel_flags & bpf_htons(0x0004) ? OVS_TUN_KEY : 0) |
			   (t.tunnel_flags & bpf_htons(0x0100) ? OVS_TUN_DF : 0);
	return 0;
}

#endif
