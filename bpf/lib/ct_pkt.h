/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_PKT_H
#define BPFCT_LIB_CT_PKT_H

#include "../abi/ct_key.h"

/* ct_pkt.flags */
#define CT_PKT_FRAGMENT	  0x01 /* a fragment, first or later */
#define CT_PKT_LATER_FRAG 0x02 /* not the first: no transport header here */
#define CT_PKT_ICMP_ERROR 0x04 /* `inner` is the quoted packet's tuple */
#define CT_PKT_ICMP_REPLY 0x08 /* answer to an ICMP query */
#define CT_PKT_UNTRACKED  0x10 /* ND, RS/RA, MLD, multicast router discovery: left alone */
#define CT_PKT_NO_PORTS	  0x20 /* protocol tracked by address alone */
#define CT_PKT_ICMP_OTHER 0x40 /* ICMP type that is neither query nor tracked error */
#define CT_PKT_GATHERED	  0x80 /* stands for a whole datagram, its checksum was right */

/*
 * What parsing found out; every later stage works on this and not on headers.
 * Offsets are bytes from the start of the packet data. Host byte order where
 * the type does not say otherwise.
 */
struct ct_pkt {
	struct ct_tuple tuple; /* as the packet carries it now */
	struct ct_tuple inner; /* ICMP errors: the quoted packet as quoted */
	__u32 l3_off;
	__u32 l4_off;
	__u32 len;	   /* from the IP header to the packet's end, GSO included */
	__u32 l4_len;	   /* from the transport header to the IP packet's end */
	__u32 payload_len; /* TCP: bytes of data; others: after the fixed header */
	__u32 inner_l3_off;
	__u32 inner_l4_off;
	__u32 inner_l4_len; /* bytes of the quoted transport header that are there */
	__u32 tcp_seq;
	__u32 tcp_ack;
	__u16 tcp_win;
	__u16 tcp_optlen;
	__u8 tcp_flags; /* the flag byte of the header */
	__u8 ttl;
	__u8 tos;
	__u8 flags; /* CT_PKT_* */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 inner_icmp_reply; /* the quoted packet is an answer to an ICMP query */
	__u8 pad;
	/* CT_PKT_GATHERED only; see frag/frag_hold.h */
	__u32 frag_slot;
	__u32 frag_max;	 /* largest fragment, IP header included */
	__u32 frag_note; /* the consumer's, kept for fragments that go up the stack */
};

/* GRE of a call that ctd knows (ct_gre_v1): ids in the place of ports, of which the packet carries
 * one, dport, and not where others have their ports. One of the two may be 0. */
static inline int ct_pkt_call(const struct ct_pkt *pkt)
{
	return (pkt->flags & CT_PKT_NO_PORTS) && (pkt->tuple.sport || pkt->tuple.dport);
}

#endif
