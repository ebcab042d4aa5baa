/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_REVERSE_H
#define BPFCT_FW_REVERSE_H

#include "../../bpf/lib/ct_parse.h"
#include "fw_forward.h"
#include "fw_maps.h"

/*
 * What the kernel's rp_filter and its martian checks do for packets that go up the
 * stack, as a redirect passes those by: RFC 1812 5.3.7 and 5.3.8, RFC 3704. Asked of
 * packets that belong to no connection yet; what an established one carries was
 * asked of its first packet, and must fit its window besides. Link-local addresses
 * need no check here: to the FIB they are never forwarded, and the stack sees to it.
 */

static __always_inline int fw_v4_multicast(__be32 addr)
{
	return (addr & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
}

static __always_inline int fw_v6_prefix(__be32 word, __u32 mask, __u32 prefix)
{
	return (word & bpf_htonl(mask)) == bpf_htonl(prefix);
}

/* ::, ::1, and what else begins with 96 bits of zero */
static __always_inline int fw_v6_low(const __be32 *addr)
{
	return !(addr[0] | addr[1] | addr[2]);
}

/* RFC 1812 5.3.7; 0.0.0.0 may ask for an address, and IGMP queriers send from it. */
static __always_inline int fw_martian4(const struct ct_tuple *t)
{
	__u8 from = bpf_ntohl(t->saddr[0]) >> 24, to = bpf_ntohl(t->daddr[0]) >> 24;

	if (!t->saddr[0])
		return t->daddr[0] != ~0U && !fw_v4_multicast(t->daddr[0]);
	return from == 0 || from == 127 || from >= 224 || to == 0 || to == 127;
}

/* RFC 4291 2.5.2, 2.5.3, 2.7. From :: come duplicate address detection and MLD only,
 * to multicast. Mapped IPv4 addresses are not for a wire. */
static __always_inline int fw_martian6(const struct ct_tuple *t)
{
	if (fw_v6_low(t->daddr) || fw_v6_prefix(t->saddr[0], 0xff000000, 0xff000000))
		return 1;
	if (!(t->saddr[0] | t->saddr[1]) && t->saddr[2] == bpf_htonl(0xffff))
		return 1;
	if (!fw_v6_low(t->saddr))
		return 0;
	return t->saddr[3] || !fw_v6_prefix(t->daddr[0], 0xff000000, 0xff000000);
}

/* What a DHCPv4 server sends to a client that may have neither address nor route yet
 * (RFC 2131 4.1). The kernel's check does not see it: such a client listens by a packet
 * socket, which is ahead of that, but behind us. The rules decide. */
static __always_inline int fw_dhcp_answer(const struct ct_tuple *t)
{
	return t->proto == IPPROTO_UDP && t->sport == bpf_htons(67) && t->dport == bpf_htons(68);
}

/* A source that no route speaks of: nobody's yet, or the link's own, of which each
 * interface has the same network. */
static __always_inline int fw_no_way_back(const struct ct_tuple *t)
{
	if (t->family == 4)
		return !t->saddr[0] || t->daddr[0] == ~0U || fw_dhcp_answer(t);
	return fw_v6_low(t->saddr) || fw_v6_prefix(t->saddr[0], 0xffc00000, 0xfe800000);
}

/* The route to the packet's source, as if we sent there; a drop reason if there is
 * none, if it is our own or a broadcast address, or (strict) if it is elsewhere. */
static __always_inline int fw_way_back(struct __sk_buff *skb, const struct ct_pkt *pkt, int strict)
{
	struct bpf_fib_lookup p = {};
	long v;

	p.ifindex = skb->ifindex;
	p.l4_protocol = pkt->tuple.proto;
	p.tot_len = 1; /* not the packet's: its length is not what is asked */
	if (pkt->tuple.family == 4) {
		p.family = FW_AF_INET;
		p.tos = pkt->tos;
		p.ipv4_src = pkt->tuple.daddr[0];
		p.ipv4_dst = pkt->tuple.saddr[0];
	} else {
		p.family = FW_AF_INET6;
		__builtin_memcpy(p.ipv6_dst, pkt->tuple.saddr, 16);
		/* The kernel answers "not forwarded" to whatever involves an address of one
		 * link or of many hosts. */
		if (!fw_v6_prefix(pkt->tuple.daddr[0], 0xff000000, 0xff000000) &&
		    !fw_v6_prefix(pkt->tuple.daddr[0], 0xffc00000, 0xfe800000))
			__builtin_memcpy(p.ipv6_src, pkt->tuple.daddr, 16);
	}
	v = bpf_fib_lookup(skb, &p, sizeof(p), 0);
	/* Where the kernel does not forward, nor do we: its own check is the one. */
	if (v == BPF_FIB_LKUP_RET_FWD_DISABLED)
		return 0;
	if (v != BPF_FIB_LKUP_RET_SUCCESS && v != BPF_FIB_LKUP_RET_NO_NEIGH &&
	    v != BPF_FIB_LKUP_RET_FRAG_NEEDED && v != BPF_FIB_LKUP_RET_UNSUPP_LWT)
		return -CT_DROP_FW_SPOOF;
	return strict && p.ifindex != skb->ifindex ? -CT_DROP_FW_SPOOF : 0;
}

/* mode is FW_SPOOF_*. 0 or a drop reason. */
__noinline int fw_reverse(struct __sk_buff *skb, const struct ct_pkt *pkt, __u32 mode)
{
	if (!pkt || mode == FW_SPOOF_OFF)
		return 0;
	if (pkt->tuple.family == 4 ? fw_martian4(&pkt->tuple) : fw_martian6(&pkt->tuple))
		return -CT_DROP_FW_MARTIAN;
	if (fw_no_way_back(&pkt->tuple))
		return 0;
	return fw_way_back(skb, pkt, mode == FW_SPOOF_STRICT);
}

#endif
