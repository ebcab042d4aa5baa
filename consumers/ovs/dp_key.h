/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_KEY_H
#define BPFCT_OVS_DP_KEY_H

#include <linux/types.h>

/*
 * The flow key of the datapath: OVS's, for what this datapath carries, as a fixed
 * struct. A mask is the same struct with a bit set for each bit that counts. Masked
 * keys are compared and hashed byte by byte, so all padding is zero in both.
 *
 * Byte order: __beNN as in the packet, all else host order. An IPv4 address is in
 * word 0 of its four, the other three are 0 (in a mask too).
 */

/* ovs_key_tun.flags */
#define OVS_TUN_DF   0x01
#define OVS_TUN_CSUM 0x02
#define OVS_TUN_KEY  0x04 /* id is valid */

/* The outer header of a packet that a tunnel port received, all 0 of others; also the
 * argument of OVS_ACTION_SET_TUNNEL. Outer ports, GBP and options are not known here. */
struct ovs_key_tun {
	__be32 src[4];
	__be32 dst[4];
	__be64 id;   /* the VNI in the low 24 bits */
	__u8 family; /* 4, 6; 0: not from a tunnel */
	__u8 tos;
	__u8 ttl;
	__u8 flags; /* OVS_TUN_* */
	__u32 pad;
};

/* A tag; cfi of tci (0x1000) is set when there is one, as in OVS's own key. */
struct ovs_vlan {
	__be16 tpid; /* 0x8100 or 0x88a8; 0: no such tag */
	__be16 tci;
};
#define OVS_VLAN_CFI 0x1000

/* ovs_key.frag; OVS_FRAG_TYPE_* have these numbers. Of a later fragment the transport
 * fields are 0. A datagram that ct() has put together keeps what its fragments had. */
#define OVS_FRAG_NONE  0
#define OVS_FRAG_FIRST 1
#define OVS_FRAG_LATER 2

#define OVS_PORT_NONE 0xffffffffU /* in_port of a packet that came by no port */

struct ovs_key {
	struct ovs_key_tun tun;
	/* metadata */
	__u32 in_port;
	__u32 recirc_id;
	__u32 dp_hash;
	__u32 skb_mark;
	__u32 skb_priority;
	__u32 ct_mark;
	__u32 ct_label[4]; /* bit n is bit n % 32 of word n / 32, as struct ct_label */
	__u16 ct_zone;
	__u8 ct_state; /* CT_STATE_* of bpf/ct/ct_result.h: the numbers of OVS_CS_F_* */
	__u8 ct_proto; /* of the original direction's tuple; 0: none */
	__be32 ct_src[4];
	__be32 ct_dst[4];
	__be16 ct_sport; /* ICMP: type, as OVS has it (host value in network order) */
	__be16 ct_dport; /* ICMP: code */
	/* Ethernet */
	__u8 eth_dst[6];
	__u8 eth_src[6];
	__be16 eth_type; /* behind the tags; 0x05ff: an 802.2 frame without SNAP */
	__u16 pad;
	struct ovs_vlan vlan[2]; /* the outer one first */
	/* IPv4, IPv6; ARP and RARP: src = sip, dst = tip, proto = op (0 if above 255) */
	__be32 src[4];
	__be32 dst[4];
	__be32 label; /* IPv6 flow label, 20 bits */
	__u8 proto;
	__u8 tos; /* the whole byte, ECN included */
	__u8 ttl;
	__u8 frag; /* OVS_FRAG_* */
	/* TCP, UDP, SCTP; ICMP and ICMPv6: sport = type, dport = code */
	__be16 sport;
	__be16 dport;
	__be16 tcp_flags; /* 12 bits */
	__u16 pad2;
	/* ARP: sender and target; neighbour solicitation and advertisement: source and target
	 * link-layer address option, 0 if there is none */
	__u8 sha[6];
	__u8 tha[6];
	__u32 pad3;
	__be32 nd_target[4];
};
_Static_assert(sizeof(struct ovs_key_tun) == 48, "ovs_key_tun");
_Static_assert(sizeof(struct ovs_key) == 232, "ovs_key");

#define OVS_KEY_WORDS (sizeof(struct ovs_key) / 8)

#endif
