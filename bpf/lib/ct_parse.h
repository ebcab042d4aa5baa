/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_PARSE_H
#define BPFCT_LIB_CT_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "ct_gre.h"
#include "ct_pkt.h"
#include "ct_stats.h"

/* ct_parse() found something that is not IP: ARP, LLDP, PPP. */
#define CT_PARSE_OTHER 1

/* Bytes made directly readable: Ethernet, two tags, a full IPv4 header or six
 * IPv6 extension headers of ordinary size, a full TCP header. */
#define CT_PARSE_LINEAR 256

/* Extension headers looked through, as many as hosts are known to send. */
#define CT_PARSE_EXT_MAX 6

/* ICMP types (RFC 792, 950); <linux/icmp.h> drags in libc. */
enum {
	ICMP_ECHOREPLY = 0,
	ICMP_DEST_UNREACH = 3,
	ICMP_SOURCE_QUENCH = 4,
	ICMP_REDIRECT = 5,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETERPROB = 12,
	ICMP_TIMESTAMP = 13,
	ICMP_TIMESTAMPREPLY = 14,
	ICMP_INFO_REQUEST = 15,
	ICMP_INFO_REPLY = 16,
	ICMP_ADDRESS = 17,
	ICMP_ADDRESSREPLY = 18,
	/* RFC 4443, 4620 */
	ICMPV6_ECHO_REQUEST = 128,
	ICMPV6_ECHO_REPLY = 129,
	ICMPV6_NI_QUERY = 139,
	ICMPV6_NI_REPLY = 140,
};

struct ct_icmp_hdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be16 id;
	__be16 seq;
};

struct ct_vlan_hdr {
	__be16 tci;
	__be16 proto;
};

struct ct_sctp_hdr {
	__be16 source;
	__be16 dest;
	__be32 vtag;
	__le32 checksum;
};

/* size bytes at off if they are directly readable. The barrier makes the bound
 * one on the very register that is added, which Linux 6.1 needs to see. */
static __always_inline void *ct_at(struct ct_ctx *ctx, __u32 off, __u32 size)
{
	void *data = ctx_data(ctx), *end = ctx_data_end(ctx);
	__u64 at = off;

	asm volatile("" : "+r"(at));
	if (at > CT_PARSE_LINEAR * 2)
		return NULL;
	data += at;
	if (data + size > end)
		return NULL;
	return data;
}

/* The request type an ICMP type belongs to, 0xff for errors and unknown types;
 * *reply says which half of the pair it is. Types as RFC 792, 950 and 4443. */
static __always_inline __u8 ct_icmp_request(__u8 family, __u8 type, __u8 *reply)
{
	*reply = 0;
	if (family == 4) {
		switch (type) {
		case ICMP_ECHOREPLY:
			*reply = 1;
			return ICMP_ECHO;
		case ICMP_TIMESTAMPREPLY:
		case ICMP_INFO_REPLY:
		case ICMP_ADDRESSREPLY:
			*reply = 1;
			return type - 1;
		case ICMP_ECHO:
		case ICMP_TIMESTAMP:
		case ICMP_INFO_REQUEST:
		case ICMP_ADDRESS:
			return type;
		}
		return 0xff;
	}
	switch (type) {
	case ICMPV6_ECHO_REPLY:
	case ICMPV6_NI_REPLY:
		*reply = 1;
		return type - 1;
	case ICMPV6_ECHO_REQUEST:
	case ICMPV6_NI_QUERY:
		return type;
	}
	return 0xff;
}

/* Errors that quote a packet. Source quench and redirect are among them as the
 * kernel relates them too (REFERENCE 1). */
static __always_inline int ct_icmp_is_error(__u8 family, __u8 type)
{
	if (family == 4)
		return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH ||
		       type == ICMP_REDIRECT || type == ICMP_TIME_EXCEEDED ||
		       type == ICMP_PARAMETERPROB;
	return type < 128;
}

/* Neighbour and router discovery, MLD, multicast router discovery: never tracked
 * (RFC 4861, 3810, 4286). Redirect is not among them, as in netfilter. */
static __always_inline int ct_icmp6_is_link(__u8 type)
{
	return (type >= 130 && type <= 136) || type == 143 || type == 151 || type == 152;
}

static __always_inline int ct_parse_tcp(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	struct tcphdr *th = ct_at(ctx, pkt->l4_off, sizeof(*th));
	__u32 hlen;

	if (!th)
		return -CT_DROP_L4_TRUNCATED;
	hlen = ((__u8 *)th)[12] >> 4 << 2;
	if (hlen < sizeof(*th) || hlen > pkt->l4_len)
		return -CT_DROP_L4_LENGTH;
	pkt->tuple.sport = th->source;
	pkt->tuple.dport = th->dest;
	pkt->tcp_seq = bpf_ntohl(th->seq);
	pkt->tcp_ack = bpf_ntohl(th->ack_seq);
	pkt->tcp_win = bpf_ntohs(th->window);
	pkt->tcp_flags = ((__u8 *)th)[13];
	pkt->tcp_optlen = hlen - sizeof(*th);
	pkt->payload_len = pkt->l4_len - hlen;
	return 0;
}

static __always_inline int ct_parse_udp(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	struct udphdr *uh = ct_at(ctx, pkt->l4_off, sizeof(*uh));
	__u16 len;

	if (!uh || pkt->l4_len < sizeof(*uh))
		return -CT_DROP_L4_TRUNCATED;
	len = bpf_ntohs(uh->len);
	if (pkt->tuple.proto == IPPROTO_UDPLITE) {
		/* RFC 3828: coverage 0 is all, else at least the header; no zero checksum. */
		if (len &&
		    (len < sizeof(*uh) || (len > pkt->l4_len && !(pkt->flags & CT_PKT_FRAGMENT))))
			return -CT_DROP_L4_LENGTH;
		if (!uh->check)
			return -CT_DROP_L4_CHECKSUM;
	} else if (len < sizeof(*uh) || (len > pkt->l4_len && !(pkt->flags & CT_PKT_FRAGMENT))) {
		return -CT_DROP_L4_LENGTH;
	}
	pkt->tuple.sport = uh->source;
	pkt->tuple.dport = uh->dest;
	pkt->payload_len = pkt->l4_len - sizeof(*uh);
	return 0;
}

static __always_inline int ct_parse_icmp(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	struct ct_icmp_hdr *ih = ct_at(ctx, pkt->l4_off, sizeof(*ih));
	__u8 reply, request;

	if (!ih || pkt->l4_len < sizeof(*ih))
		return -CT_DROP_L4_TRUNCATED;
	pkt->icmp_type = ih->type;
	pkt->icmp_code = ih->code;
	pkt->payload_len = pkt->l4_len - sizeof(*ih);
	if (pkt->tuple.family == 6 && ct_icmp6_is_link(ih->type)) {
		pkt->flags |= CT_PKT_UNTRACKED;
		return 0;
	}
	if (ct_icmp_is_error(pkt->tuple.family, ih->type)) {
		pkt->flags |= CT_PKT_ICMP_ERROR;
		return 0;
	}
	request = ct_icmp_request(pkt->tuple.family, ih->type, &reply);
	if (request == 0xff) {
		pkt->flags |= CT_PKT_ICMP_OTHER;
		return 0;
	}
	if (reply)
		pkt->flags |= CT_PKT_ICMP_REPLY;
	pkt->tuple.sport = ih->id;
	pkt->tuple.dport = bpf_htons(request << 8 | ih->code);
	return 0;
}

static __always_inline int ct_parse_sctp(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	struct ct_sctp_hdr *sh = ct_at(ctx, pkt->l4_off, sizeof(*sh));

	if (!sh || pkt->l4_len < sizeof(*sh))
		return -CT_DROP_L4_TRUNCATED;
	pkt->tuple.sport = sh->source;
	pkt->tuple.dport = sh->dest;
	pkt->payload_len = pkt->l4_len - sizeof(*sh);
	return 0;
}

/* By address; by its ids, if ctd knows the call (ct_gre.h). */
static __always_inline int ct_parse_gre(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	const __u8 *g = pkt->l4_len < CT_GRE_HDR ? NULL : ct_at(ctx, pkt->l4_off, CT_GRE_HDR);

	if (!g || !ct_gre_enhanced(g))
		return 0;
	pkt->tuple.dport = *(const __be16 *)(g + CT_GRE_ID);
	return ct_gre_call(&pkt->tuple);
}

/* A first fragment must hold the whole transport header (RFC 1858, RFC 7112). */
static __always_inline int ct_parse_tiny(const struct ct_pkt *pkt, int v)
{
	if ((pkt->flags & CT_PKT_FRAGMENT) &&
	    (v == -CT_DROP_L4_TRUNCATED || v == -CT_DROP_L4_LENGTH || v == -CT_DROP_IP6_EXT_CHAIN))
		return -CT_DROP_FRAG_TINY;
	return v;
}

/* Transport header; pkt->l4_off and l4_len are set. */
static __always_inline int ct_parse_l4(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	int v = 0;

	if (pkt->flags & CT_PKT_LATER_FRAG)
		return 0;
	switch (pkt->tuple.proto) {
	case IPPROTO_TCP:
		return ct_parse_tcp(ctx, pkt);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return ct_parse_udp(ctx, pkt);
	case IPPROTO_ICMP:
		if (pkt->tuple.family == 4)
			return ct_parse_icmp(ctx, pkt);
		break;
	case IPPROTO_ICMPV6:
		if (pkt->tuple.family == 6)
			return ct_parse_icmp(ctx, pkt);
		break;
	case IPPROTO_SCTP:
		return ct_parse_sctp(ctx, pkt);
	case IPPROTO_GRE:
		v = ct_parse_gre(ctx, pkt);
		break;
	}
	pkt->flags |= CT_PKT_NO_PORTS;
	pkt->payload_len = pkt->l4_len;
	return v < 0 ? v : 0;
}

static __always_inline int ct_parse_ip4(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	struct iphdr *ip = ct_at(ctx, pkt->l3_off, sizeof(*ip));
	__u32 avail = ctx_len(ctx) - pkt->l3_off, hlen, total;
	__u16 frag;

	if (!ip)
		return -CT_DROP_IP_TRUNCATED;
	if (ip->version != 4)
		return -CT_DROP_IP_VERSION;
	hlen = ip->ihl * 4;
	if (hlen < sizeof(*ip) || hlen > avail)
		return -CT_DROP_IP_HEADER_LEN;
	total = bpf_ntohs(ip->tot_len);
	/* BIG TCP: length 0 in a packet that the field cannot express. */
	if (!total && avail > 0xffff)
		total = avail;
	if (total < hlen || total > avail)
		return -CT_DROP_IP_TOTAL_LEN;
	pkt->tuple.saddr[0] = ip->saddr;
	pkt->tuple.daddr[0] = ip->daddr;
	pkt->tuple.proto = ip->protocol;
	pkt->ttl = ip->ttl;
	pkt->tos = ip->tos;
	pkt->len = total;
	pkt->l4_off = pkt->l3_off + hlen;
	pkt->l4_len = total - hlen;
	frag = bpf_ntohs(ip->frag_off);
	if (frag & 0x3fff)
		pkt->flags |= CT_PKT_FRAGMENT;
	if (frag & 0x1fff)
		pkt->flags |= CT_PKT_LATER_FRAG;
	return ct_parse_tiny(pkt, ct_parse_l4(ctx, pkt));
}

/* Walks extension headers from *off (header type *next). Ends at the first that
 * is none of hop-by-hop, routing, destination, authentication or fragment. */
static __always_inline int ct_parse_ext(struct ct_ctx *ctx, __u32 *off, __u8 *next, __u8 *flags)
{
	int i;

	for (i = 0; i <= CT_PARSE_EXT_MAX; i++) {
		__u8 *h;

		if (*next != IPPROTO_HOPOPTS && *next != IPPROTO_ROUTING &&
		    *next != IPPROTO_DSTOPTS && *next != IPPROTO_AH && *next != IPPROTO_FRAGMENT)
			return 0;
		h = ct_at(ctx, *off, 8);
		if (!h)
			return -CT_DROP_IP6_EXT_CHAIN;
		if (*next == IPPROTO_FRAGMENT) {
			__u16 frag = h[2] << 8 | h[3];

			/* An atomic fragment (RFC 6946) is a whole packet. */
			if (frag & 0xfff9)
				*flags |= CT_PKT_FRAGMENT;
			*next = h[0];
			*off += 8;
			if (frag & 0xfff8) {
				*flags |= CT_PKT_LATER_FRAG;
				return 0;
			}
			continue;
		}
		*off += *next == IPPROTO_AH ? (h[1] + 2) << 2 : (h[1] + 1) << 3;
		*next = h[0];
	}
	return -CT_DROP_IP6_EXT_CHAIN;
}

static __always_inline int ct_parse_ip6(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	struct ipv6hdr *ip = ct_at(ctx, pkt->l3_off, sizeof(*ip));
	__u32 avail = ctx_len(ctx) - pkt->l3_off, total, off;
	__u8 next;
	int v;

	if (!ip)
		return -CT_DROP_IP_TRUNCATED;
	if (ip->version != 6)
		return -CT_DROP_IP_VERSION;
	total = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (!ip->payload_len && avail > 0xffff)
		total = avail;
	if (total > avail)
		return -CT_DROP_IP_TOTAL_LEN;
	__builtin_memcpy(pkt->tuple.saddr, &ip->saddr, 16);
	__builtin_memcpy(pkt->tuple.daddr, &ip->daddr, 16);
	pkt->ttl = ip->hop_limit;
	pkt->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	pkt->len = total;
	next = ip->nexthdr;
	off = pkt->l3_off + sizeof(*ip);
	v = ct_parse_ext(ctx, &off, &next, &pkt->flags);
	if (v >= 0 && off > pkt->l3_off + total)
		v = -CT_DROP_IP6_EXT_CHAIN;
	if (v < 0)
		return ct_parse_tiny(pkt, v);
	pkt->tuple.proto = next;
	pkt->l4_off = off;
	pkt->l4_len = pkt->l3_off + total - off;
	return ct_parse_tiny(pkt, ct_parse_l4(ctx, pkt));
}

/*
 * Packet to descriptor. l2 is 1 when the packet starts with an Ethernet header
 * (0 to 2 VLAN tags in the data; tags in skb metadata need nothing), 0 on
 * devices without a link header (tun). zone in host byte order.
 * Returns 0, CT_PARSE_OTHER for anything but IP, or a negative drop reason
 * (counted by the caller). Data pointers are invalid afterwards.
 */
static __always_inline int ct_parse(struct ct_ctx *ctx, struct ct_pkt *pkt, __u16 zone, int l2)
{
	__u32 len = ctx_len(ctx), linear = ctx_linear(ctx), off = 0;
	__be16 proto;
	int i;

	__builtin_memset(pkt, 0, sizeof(*pkt));
	pkt->tuple.zone = zone;
	if (linear < len && linear < CT_PARSE_LINEAR &&
	    ctx_pull(ctx, len < CT_PARSE_LINEAR ? len : CT_PARSE_LINEAR))
		return -CT_DROP_PKT_ACCESS;
	if (l2) {
		struct ethhdr *eth = ct_at(ctx, 0, sizeof(*eth));

		if (!eth)
			return -CT_DROP_L2_TRUNCATED;
		proto = eth->h_proto;
		off = sizeof(*eth);
		for (i = 0; i < 2; i++) {
			struct ct_vlan_hdr *tag;

			if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
				break;
			tag = ct_at(ctx, off, sizeof(*tag));
			if (!tag)
				return -CT_DROP_L2_TRUNCATED;
			proto = tag->proto;
			off += sizeof(*tag);
		}
	} else {
		__u8 *first = ct_at(ctx, 0, 1);

		if (!first)
			return -CT_DROP_L2_TRUNCATED;
		proto = *first >> 4 == 6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	}
	pkt->l3_off = off;
	if (proto == bpf_htons(ETH_P_IP)) {
		pkt->tuple.family = 4;
		return ct_parse_ip4(ctx, pkt);
	}
	if (proto == bpf_htons(ETH_P_IPV6)) {
		pkt->tuple.family = 6;
		return ct_parse_ip6(ctx, pkt);
	}
	return CT_PARSE_OTHER;
}

#endif
