/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_FORWARD_H
#define BPFCT_FW_FORWARD_H

#include "../../bpf/ct/ct_route.h"
#include "../../bpf/lib/ct_csum.h"
#include "../../bpf/lib/ct_parse.h"
#include "fw_maps.h"

/* Where a packet goes. */
#define FW_TO_HOP   0 /* hop is complete: it can be redirected there */
#define FW_TO_STACK 1 /* forwarded, but by the stack: hop->ifindex is where, if known */
#define FW_TO_SELF  2 /* for the router itself */
#define FW_TO_LATE  3 /* opens a connection, and where to only the stack knows */

#define FW_AF_INET  2
#define FW_AF_INET6 10

#define FW_PKT_HOST	 0 /* skb->pkt_type: for our MAC address */
#define FW_PKT_OTHERHOST 3

struct fw_hop {
	struct ct_nexthop nh;
	__u32 route; /* for ct_conn.route; 0: do not remember */
	__u32 where; /* FW_TO_* */
};

static __always_inline int fw_attached(__u32 ifindex)
{
	const struct fw_iface *iface = fw_iface(ifindex);

	return iface && (iface->flags & FW_IF_ATTACHED);
}

/* What routing rules may look at beside addresses. */
static __always_inline void fw_route_ports(struct bpf_fib_lookup *p, const struct ct_pkt *pkt,
					   const struct ct_result *res)
{
	p->l4_protocol = pkt->tuple.proto;
	if (p->l4_protocol != IPPROTO_TCP && p->l4_protocol != IPPROTO_UDP)
		return;
	p->sport = pkt->tuple.sport;
	p->dport = res->translate & CT_XLATE_DST ? res->to.dport : pkt->tuple.dport;
}

/*
 * Does it go by the stack, whatever a look-up says? A connection taken over from
 * nf_conntrack is still translated there while the old chains stand: by the stack it would be
 * translated twice, so chains do not hold it.
 */
static __always_inline int fw_by_stack(__u32 aside, const struct ct_result *res)
{
	if (aside & CT_ASIDE_STACK)
		return 1;
	return (aside & CT_ASIDE_CHAIN) && !(res->word & CT_W_STATUS(CT_S_TAKEN));
}

/* Asks the kernel's FIB for the packet as it is after destination translation. */
__noinline int fw_route(struct __sk_buff *skb, const struct ct_pkt *pkt,
			const struct ct_result *res, struct fw_hop *hop)
{
	const struct ct_settings *set = ct_settings();
	struct bpf_fib_lookup p = {};
	__u32 epoch, aside;
	long v;

	if (!pkt || !res || !hop || !set)
		return -CT_DROP_MAP_MISSING;
	hop->route = 0;
	hop->nh.ifindex = 0;
	hop->where = FW_TO_STACK;
	/* Read before the look-up: a change between the two makes the entry old, not wrong. */
	epoch = ct_epoch(set);
	aside = ct_route_aside(set, pkt->tuple.family);
	if (res->verdict > CT_NEW && fw_by_stack(aside, res))
		return 0;
	p.ifindex = skb->ifindex;
	fw_route_ports(&p, pkt, res);
	p.tot_len = 1; /* makes the kernel report the route's MTU */
	if (pkt->tuple.family == 4) {
		p.family = FW_AF_INET;
		p.tos = pkt->tos;
		p.ipv4_src = pkt->tuple.saddr[0];
		p.ipv4_dst = res->translate & CT_XLATE_DST ? res->to.daddr[0] : pkt->tuple.daddr[0];
	} else {
		p.family = FW_AF_INET6;
		p.flowinfo = bpf_htonl((__u32)pkt->tos << 20);
		__builtin_memcpy(p.ipv6_src, pkt->tuple.saddr, 16);
		if (res->translate & CT_XLATE_DST)
			__builtin_memcpy(p.ipv6_dst, res->to.daddr, 16);
		else
			__builtin_memcpy(p.ipv6_dst, pkt->tuple.daddr, 16);
	}
	v = bpf_fib_lookup(skb, &p, sizeof(p), 0);
	/* Where the kernel does not forward, what arrives is for the host or lost. */
	if (v == BPF_FIB_LKUP_RET_NOT_FWDED || v == BPF_FIB_LKUP_RET_FWD_DISABLED) {
		hop->where = FW_TO_SELF;
		return 0;
	}
	if (res->verdict == CT_NEW && ((aside & CT_ASIDE_LATE) || v == BPF_FIB_LKUP_RET_UNSUPP_LWT))
		hop->where = FW_TO_LATE;
	if (v != BPF_FIB_LKUP_RET_SUCCESS) {
		/* The device is known when only the neighbour is not. */
		if (v == BPF_FIB_LKUP_RET_NO_NEIGH)
			hop->nh.ifindex = p.ifindex;
		return 0;
	}
	hop->nh.ifindex = p.ifindex;
	hop->nh.mtu = p.mtu_result;
	__builtin_memcpy(hop->nh.dmac, p.dmac, 6);
	__builtin_memcpy(hop->nh.smac, p.smac, 6);
	/* A device without link addresses (tun, wireguard): the stack knows how. */
	if (!(p.dmac[0] | p.dmac[1] | p.dmac[2] | p.dmac[3] | p.dmac[4] | p.dmac[5]))
		return 0;
	/* Where our programs are not (yet) nobody would translate or judge; the stack's way
	 * there is closed by ctd's guard. */
	if (fw_by_stack(aside, res) || !fw_attached(p.ifindex))
		return 0;
	hop->where = FW_TO_HOP;
	if (!(aside & CT_ASIDE_LOOK))
		hop->route = ct_route_put(&hop->nh, epoch);
	return 0;
}

/* Is the checksum of an IPv4 header without options right (RFC 1812 5.2.2)? */
static __always_inline int fw_ip4_csum_ok(struct __sk_buff *skb, __u32 off)
{
	const __u32 *w = ct_at(skb, off, sizeof(struct iphdr));
	__u64 sum;

	if (!w)
		return 0;
	sum = (__u64)w[0] + w[1] + w[2] + w[3] + w[4];
	return ct_csum_fold(sum) == 0xffff;
}

/* 0/8, 127/8, multicast and reserved; ::, ::1, link-local, multicast. */
static __always_inline int fw_odd_source(const struct ct_tuple *t)
{
	__u8 first = bpf_ntohl(t->saddr[0]) >> 24;

	if (t->family == 4)
		return first == 0 || first == 127 || first >= 224;
	return first == 0xff || first == 0xfe || !(t->saddr[0] | t->saddr[1] | t->saddr[2]);
}

/* May this packet be redirected to the hop as it is? What the stack has to
 * answer (TTL, too big), to look at (options), to cut, or to drop for its
 * header's checksum goes up. */
static __always_inline int fw_can_redirect(struct __sk_buff *skb, const struct ct_pkt *pkt,
					   const struct fw_hop *hop)
{
	__u32 size = pkt->flags & CT_PKT_GATHERED ? pkt->frag_max : pkt->len;

	/* Tagged in the data, or from an address that nobody may send from: the
	 * stack's own checks come first. */
	if (pkt->l3_off != sizeof(struct ethhdr) || fw_odd_source(&pkt->tuple))
		return 0;
	if (skb->pkt_type != FW_PKT_HOST || pkt->ttl <= 1)
		return 0;
	if (pkt->tuple.family == 4 && (pkt->l4_off - pkt->l3_off != sizeof(struct iphdr) ||
				       !fw_ip4_csum_ok(skb, pkt->l3_off)))
		return 0;
	if (skb->gso_size)
		size = skb->gso_size + pkt->l4_off - pkt->l3_off +
		       (pkt->tuple.proto == IPPROTO_TCP ? 20 + pkt->tcp_optlen : 8);
	return size <= hop->nh.mtu;
}

/* TTL, link addresses. The caller has translated and redirects. 0 or a reason. */
static __always_inline int fw_rewrite_link(struct __sk_buff *skb, const struct ct_pkt *pkt,
					   const struct fw_hop *hop)
{
	struct ethhdr *eth;

	if (pkt->tuple.family == 4) {
		struct iphdr *ip = ct_at(skb, pkt->l3_off, sizeof(*ip));
		__u32 sum;

		if (!ip)
			return -CT_DROP_PKT_ACCESS;
		ip->ttl--;
		/* RFC 1141: the word that holds the TTL fell by 0x0100. */
		sum = ip->check + bpf_htons(0x0100);
		ip->check = sum + (sum >= 0xffff);
	} else {
		struct ipv6hdr *ip = ct_at(skb, pkt->l3_off, sizeof(*ip));

		if (!ip)
			return -CT_DROP_PKT_ACCESS;
		ip->hop_limit--;
		ctx_csum_whole(skb, (__u16)~bpf_htons(1));
	}
	eth = ct_at(skb, 0, sizeof(*eth));
	if (!eth)
		return -CT_DROP_PKT_ACCESS;
	__builtin_memcpy(eth->h_dest, hop->nh.dmac, 6);
	__builtin_memcpy(eth->h_source, hop->nh.smac, 6);
	return 0;
}

#endif
