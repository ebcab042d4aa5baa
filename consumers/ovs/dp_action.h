/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_ACTION_H
#define BPFCT_OVS_DP_ACTION_H

#include "dp_key.h"

/*
 * An action: a type and arguments of fixed size. A flow has up to OVS_FLOW_ACTIONS of them,
 * by number in ovs_action_v1, so that flows may share them.
 *
 * Nested lists lie flat: the `body` actions behind a SAMPLE or CLONE belong to it, and so do
 * the `body` and then `body2` behind a CHECK_PKT_LEN. They count as actions of the flow and
 * may nest up to OVS_NEST_MAX deep. What a body does to the packet (and RECIRC, TRUNC in it)
 * is not seen behind it.
 *
 * Everything else that OVS knows is to be refused at put with EINVAL: PUSH_ETH, POP_ETH,
 * PUSH_MPLS, POP_MPLS, ADD_MPLS, PUSH_NSH, POP_NSH, DEC_TTL, LB_OUTPUT, TUNNEL_PUSH,
 * TUNNEL_POP; SET of MPLS, NSH, VLAN, CT_*, DP_HASH, RECIRC_ID,
 * ND_EXTENSIONS; tunnel options, GBP, OAM and outer ports other than the device's own.
 */
#define OVS_FLOW_ACTIONS 32
#define OVS_NEST_MAX	 4

enum ovs_action_type {
	OVS_ACT_NONE = 0,     /* an empty slot; run as a DROP and counted as ovs_action */
	OVS_ACT_OUTPUT,	      /* out */
	OVS_ACT_USERSPACE,    /* user: an upcall with reason OVS_UPCALL_ACTION */
	OVS_ACT_SET_ETH,      /* eth */
	OVS_ACT_SET_IPV4,     /* ip4 */
	OVS_ACT_SET_IPV6,     /* ip6 */
	OVS_ACT_SET_PORTS,    /* ports: TCP, UDP, SCTP */
	OVS_ACT_SET_ICMP,     /* ports: type and code, in network order as in struct ovs_key */
	OVS_ACT_SET_ARP,      /* arp */
	OVS_ACT_SET_ND,	      /* nd: a field that the packet does not have is not set */
	OVS_ACT_SET_MARK,     /* word: skb mark */
	OVS_ACT_SET_PRIORITY, /* word: skb priority */
	OVS_ACT_SET_TUNNEL,   /* tun: whole, for the outputs that follow */
	OVS_ACT_PUSH_VLAN,    /* vlan */
	OVS_ACT_POP_VLAN,
	OVS_ACT_CT, /* ct */
	OVS_ACT_CT_CLEAR,
	OVS_ACT_RECIRC,	   /* id; not the last action: on a copy */
	OVS_ACT_HASH,	   /* hash: sets dp_hash */
	OVS_ACT_SAMPLE,	   /* sample */
	OVS_ACT_CLONE,	   /* clone */
	OVS_ACT_TRUNC,	   /* len: bytes, at least 14; for the next OUTPUT or USERSPACE */
	OVS_ACT_CHECK_LEN, /* check */
	OVS_ACT_METER,	   /* id */
	OVS_ACT_DROP,	   /* an explicit drop, counted as ovs_drop */
	OVS_ACT_MAX
};

/* Arguments of what sets a header: value and mask, the value within its mask. An unmasked
 * SET is one whose mask is all ones. Checksums are kept right. */
struct ovs_set_eth {
	__u8 dst[6], src[6];
	__u8 dst_mask[6], src_mask[6];
};

struct ovs_set_ip4 { /* proto and frag cannot be set */
	__be32 src, dst, src_mask, dst_mask;
	__u8 tos, ttl, tos_mask, ttl_mask;
};

struct ovs_set_ip6 {
	__be32 src[4], dst[4], src_mask[4], dst_mask[4];
	__be32 label, label_mask;
	__u8 tos, ttl, tos_mask, ttl_mask;
};

struct ovs_set_ports {
	__be16 sport, dport, sport_mask, dport_mask;
};

struct ovs_set_arp {
	__be32 sip, tip, sip_mask, tip_mask;
	__be16 op, op_mask;
	__u8 sha[6], tha[6], sha_mask[6], tha_mask[6];
};

struct ovs_set_nd {
	__be32 target[4], target_mask[4];
	__u8 sll[6], tll[6], sll_mask[6], tll_mask[6];
};

struct ovs_set_word {
	__u32 value, mask;
};

/* ovs_ct.flags */
#define OVS_CT_COMMIT	  0x001
#define OVS_CT_FORCE	  0x002 /* with COMMIT */
#define OVS_CT_MARK	  0x004
#define OVS_CT_LABEL	  0x008
#define OVS_CT_NAT	  0x010 /* a nat() is there; without SRC or DST: the bare one */
#define OVS_CT_NAT_SRC	  0x020 /* these with COMMIT */
#define OVS_CT_NAT_DST	  0x040
#define OVS_CT_PERSISTENT 0x080
#define OVS_CT_HASH	  0x100
#define OVS_CT_RANDOM	  0x200
/* Not a flow's: a packet that its connection's helper has read goes on here, behind tracking and
 * commit; its skb mark is a key of ct_algexec_v1. */
#define OVS_CT_RESUME 0x400

/* ovs_ct.alg, with COMMIT: the numbers of enum alg_helper (alg/alg.h). */
#define OVS_ALG_NONE 0
#define OVS_ALG_FTP  1
#define OVS_ALG_TFTP 2
#define OVS_ALG_SIP  3

struct ovs_ct {
	__u16 flags; /* OVS_CT_* */
	__u16 zone;
	__u8 timeout; /* policy: index of ct_timeout_v1, 0: the default */
	__u8 alg;     /* OVS_ALG_* */
	__u8 family;  /* of the NAT addresses: 4, 6; 0: none given */
	__u8 pad;
	__u32 mark, mark_mask;
	__u32 label[4], label_mask[4];
	__be32 addr_min[4], addr_max[4];
	__u16 port_min, port_max; /* host order; 0: not given */
};

struct ovs_sample {
	__u32 probability; /* of 2^32 - 1 */
	__u16 body;
	__u16 pad;
};

struct ovs_check_len {
	__u32 len;   /* bytes from the Ethernet header, tags included */
	__u16 body;  /* actions if the packet is longer */
	__u16 body2; /* actions if it is not; they follow those of `body` */
};

/* ovs_user.flags */
#define OVS_USER_TUNNEL 0x01	   /* OVS_USERSPACE_ATTR_EGRESS_TUN_PORT was there */
#define OVS_USER_REST	0x02	   /* the cookie is the rest of the list: user space does it */
#define OVS_USER_OUTPUT 0x04	   /* with REST: the rest is an output; the cookie is its port */
#define OVS_USER_HASH	0xffffff00 /* of the cookie's bytes, with REST */

struct ovs_user {
	__u32 cookie; /* index of ovs_cookie_v1, 0: none; comes back in the upcall */
	__u32 flags;  /* OVS_USER_* */
};

/* ovs_hash.alg; OVS_HASH_ALG_* have these numbers. */
#define OVS_HASH_L4	0
#define OVS_HASH_SYM_L4 1

struct ovs_hash {
	__u32 alg;
	__u32 basis;
};

struct ovs_action {
	__u16 type; /* enum ovs_action_type */
	__u16 note; /* user space's own: which attribute a SET was, the outer port of SET_TUNNEL */
	__u32 pad;
	union {
		__u32 port; /* OUTPUT */
		__u32 id;   /* RECIRC, METER */
		__u32 len;  /* TRUNC */
		__u16 body; /* CLONE */
		struct ovs_user user;
		struct ovs_set_eth eth;
		struct ovs_set_ip4 ip4;
		struct ovs_set_ip6 ip6;
		struct ovs_set_ports ports;
		struct ovs_set_arp arp;
		struct ovs_set_nd nd;
		struct ovs_set_word word;
		struct ovs_key_tun tun;
		struct ovs_vlan vlan;
		struct ovs_ct ct;
		struct ovs_hash hash;
		struct ovs_sample sample;
		struct ovs_check_len check;
		__u32 room[30];
	};
};
_Static_assert(sizeof(struct ovs_action) == 128, "ovs_action");

#endif
