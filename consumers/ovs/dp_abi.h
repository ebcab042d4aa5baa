/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_ABI_H
#define BPFCT_OVS_DP_ABI_H

#include "../../bpf/abi/ct_conn.h"
#include "dp_action.h"

/*
 * What the OVS datapath and its dpif class share. Maps, in /sys/fs/bpf/bpfct/<instance>/
 * beside those of bpf/ct, bpf/nat and bpf/frag, which are used as they are: zone limits are
 * ct_zone_v1 (OVS's default limit: written to all zones without one of their own), timeout
 * policies ct_timeout_v1, fragment settings frag_table_v1, drop counters ct_drop_v1.
 *
 *  map            type                    content                              written by
 *  ovs_config_v1  ARRAY[1], mmapable      struct ovs_config                    user
 *  ovs_port_v1    ARRAY[OVS_PORTS], mm.   struct ovs_port by port number       user, but `sent`
 *  ovs_near_v1    ARRAY[OVS_NEAR], mm.    __u64 port number + 1 by ifindex     user
 *  ovs_far_v1     HASH[OVS_PORTS]         the same for ifindexes >= OVS_NEAR   user
 *  ovs_mask_v1    ARRAY[OVS_MASKS], mm.   struct ovs_key                       user
 *  ovs_match_v1   HASH                    struct ovs_match -> __u32 flow slot  user
 *  ovs_flow_v1    ARRAY, mmapable         struct ovs_flow                      user, but stats
 *  ovs_action_v1  ARRAY, mmapable         struct ovs_action                    user
 *  ovs_ufid_v1    HASH                    16 bytes -> __u32 flow slot          user (only its own)
 *  ovs_cookie_v1  HASH                    __u32 -> struct ovs_cookie           user (only its own)
 *  ovs_meter_v1   ARRAY[OVS_METERS], mm.  struct ovs_meter                     user, but stats
 *  ovs_cache_v1   ARRAY, mmapable         exact-match cache                    datapath
 *  ovs_alg_v1     HASH, no prealloc       struct ovs_alg_key -> ovs_alg        datapath
 *  ovs_ring_v2    ARRAY_OF_MAPS[OVS_RINGS] RINGBUFs ovs_ring0_v2 .. ovs_ring7_v2
 *  ovs_stat_v1    PERCPU_ARRAY[OVS_STAT_SLOTS] __u64 by enum ovs_stat          datapath
 *  ovs_prog_v2    PROG_ARRAY              filled by libbpf; must stay pinned (without a
 *                                         reference from user space it is emptied)
 *
 * ovs_match_v1, ovs_flow_v1, ovs_ufid_v1 and ovs_action_v1 may be given other sizes by
 * bpf_map__set_max_entries() before loading. ovs_flow_v1 has OVS_EXECS slots beyond those of
 * flows: the first OVS_EXECS slots are for EXECUTE, flows begin at slot OVS_EXECS.
 *
 * Programs (SEC("tc"), clsact or TCX):
 *  ovs_port     of a port's device: at ingress of a system device, vxlan device or the
 *               datapath's end of a pair; at egress of a tap whose owner is the stack
 *  ovs_execute  at egress of the execute device (a veth, or anything that is up and whose
 *               MTU is 65535). Nobody else sends there; what comes without a pass is dropped.
 *
 * Flows. To put: write the mask (slot of ovs_mask_v1) if it is new; write the actions; write
 * the entry into a free slot of ovs_flow_v1 with live = 0; then live = 1; then
 * ovs_match_v1[{masked key, mask}] = slot; then, if the mask is new to its in_port, append it
 * to ovs_port.mask[] and raise n_masks. Every mask has in_port and recirc_id all ones (EINVAL
 * otherwise): a port pays for the masks of its own flows alone. More than OVS_PORT_MASKS
 * masks of one port: ENOSPC. To change the actions: put a new entry and overwrite the slot in
 * ovs_match_v1, then live = 0 in the old one. To delete: delete from ovs_match_v1, then
 * live = 0. A flow slot, an action slot and a mask slot that were in use may be written again a
 * second after nothing refers to them (packets may still be at work by them); the cache needs
 * no invalidation, as what it finds is compared with the live entry.
 * Later masks of a port cost more: user space may reorder mask[] at any time; a packet that
 * meets a list being reordered may miss, and its upcall finds the flow there.
 *
 * EXECUTE. Take one of the OVS_EXECS slots of ovs_flow_v1 (one a thread is enough, as send()
 * comes back when the packet has been executed): key = the metadata of the packet (tun,
 * in_port, recirc_id, dp_hash, skb_mark, skb_priority, ct_*; the rest is extracted), mru, actions,
 * live = a random 32-bit token whose low OVS_EXEC_BITS bits are the slot's number. Then send
 * the packet on an AF_PACKET socket (SOCK_RAW, PACKET_VNET_HDR for checksum state and GSO)
 * bound to the execute device, with the token as SO_MARK (a control message, or the option). VLAN
 * tags are in the data. The token holds for one packet: live is 0 afterwards.
 */
#define OVS_ABI_VERSION 1

#define OVS_PORTS      1024 /* port numbers 0 .. OVS_PORTS - 1 */
#define OVS_NEAR       4096
#define OVS_MASKS      4096   /* in all */
#define OVS_PORT_MASKS 128    /* of one in_port: the bound on a packet's look-ups */
#define OVS_FLOWS      200000 /* OVS's own default flow-limit */
#define OVS_ACTIONS    262144
#define OVS_METERS     4096
#define OVS_BANDS      8
#define OVS_RINGS      8
#define OVS_RING_BYTES (8 * 1024 * 1024)
#define OVS_EXEC_BITS  6
#define OVS_EXECS      (1 << OVS_EXEC_BITS)
#define OVS_SIP_PORTS  8
#define OVS_RECIRC_MAX 32 /* recirculations of one packet; beyond: ovs_recirc */

/* The exact-match cache: a region a port (by its number modulo OVS_CACHE_PORTS), two words a
 * line, a word a flow of packets: hash << 32 | slot of ovs_flow_v1; 0: empty. */
#define OVS_CACHE_PORTS 256
#define OVS_CACHE_LINES 4096
struct ovs_cache {
	__u64 word[2]; /* the newer first */
};

struct ovs_config {
	__u32 abi_version;  /* OVS_ABI_VERSION; 0: not set up, every packet is dropped */
	__u32 exec_ifindex; /* of the execute device; 0: none, so no copies and no EXECUTE */
	__u64 netns;	    /* cookie of the namespace in which the ports are; 0: not checked */
	__u32 upcall_quota; /* bytes of a port that may wait in its ring */
	__u32 restore_wait; /* not used by the datapath */
	__u32 life;	    /* changes when flows are flushed: recirc_ids of before mean nothing */
	__be16 sip_port[OVS_SIP_PORTS]; /* a connection to one of these whose ct() names a helper
					   has SIP's; 0: none */
	__u32 sip_fragments; /* 1: so has one whose first message came in fragments, if its ct()
				names none */
	__u32 vlan_limit;    /* tags that are tags; behind them 0x8100 is an Ethernet type. 0: 2 */
	__u32 pad[3];
};
_Static_assert(sizeof(struct ovs_config) == 64, "ovs_config");

/* ovs_port.flags */
#define OVS_PORT_LIVE	0x01 /* this number is in use */
#define OVS_PORT_TUNNEL 0x04 /* a metadata tunnel device: tun is received and to be set */

#define OVS_TYPE_SYSTEM	  0
#define OVS_TYPE_INTERNAL 1
#define OVS_TYPE_VXLAN	  2

/* ovs_port.device: how it was found */
#define OVS_DEVICE_QDISC   0x01 /* its clsact qdisc is of our making, and goes with the port */
#define OVS_DEVICE_PROMISC 0x02 /* it was promiscuous before, and stays so */

struct ovs_port {
	__u32 ifindex;
	__u32 flags; /* OVS_PORT_*; 0: no such port. Written last, and first to 0 */
	__u64 netns; /* cookie of its device's namespace; 0: as ovs_config.netns */
	__u32 type;  /* OVS_TYPE_*: user space's, not looked at here */
	__u32 ring;  /* of ovs_ring_v2, to which its upcalls go */
	__u32 n_masks;
	__u32 device; /* OVS_DEVICE_*: user space's */
	char name[16];
	__u16 mask[OVS_PORT_MASKS]; /* slots of ovs_mask_v1, those that hit most first */
	__u64 pad2[2];
	/* Bytes of records that its upcalls took in the ring (ovs_upcall.size), and that user
	 * space has read and done with. At most upcall_quota between them: a port that floods
	 * is refused (ovs_upcall_share), and the ring has room for the others. Entry 0 is no
	 * port's: it counts what came by none, the controller's own packets. */
	__u64 sent;    /* datapath */
	__u64 refused; /* datapath: upcalls that were not sent, of whatever reason */
	__u64 pad3[6];
	__u64 done; /* user space */
	__u64 pad4[7];
};
_Static_assert(sizeof(struct ovs_port) == 448, "ovs_port");

struct ovs_match {
	struct ovs_key key; /* masked */
	__u32 mask;	    /* slot of ovs_mask_v1 */
	__u32 pad;
};
_Static_assert(sizeof(struct ovs_match) == 240, "ovs_match");

struct ovs_flow {
	__u32 live;	 /* 0: no flow, 1: a flow; of EXECUTE slots the token */
	__u32 mask;	 /* slot of ovs_mask_v1 */
	__u32 n_actions; /* 0: packets are dropped (ovs_drop) */
	__u32 mru;	 /* of EXECUTE slots: as ovs_upcall.mru; else 0 */
	__u8 ufid[16];
	struct ovs_key key;		/* masked; of EXECUTE slots the metadata */
	__u32 action[OVS_FLOW_ACTIONS]; /* slots of ovs_action_v1 */
	/* datapath: atomic adds; used and tcp_flags are plain, a lost race is a tick's or one
	 * packet's difference */
	__u64 packets;
	__u64 bytes; /* from the Ethernet header on */
	__u64 used; /* jiffies64 of the last packet (CT_CONTROL_CLOCK tells both clocks); 0: none */
	__u16 tcp_flags; /* host order, ORed */
	__u16 pad2;
	__u32 next; /* slot of the flow that the last packet went on to by recirculation: a guess */
};
_Static_assert(sizeof(struct ovs_flow) == 424, "ovs_flow");

/*
 * Payload of a helped connection leaves at the ct() that finds it (bpf/ct/ct_alg_take.h). What
 * it would have met there is kept for each direction, from its last packet: metadata as they
 * were before that ct(), and the actions from it on. Who has read the payload EXECUTEs what he
 * sends with these, the first of them an OVS_CT_RESUME. Where they do not lead anywhere any more he
 * may send a packet for which that ct() was the first action from the start: with a RECIRC to 0 and
 * the mark in ct_algexec_v1 as skb_mark, by which the connection's ct() knows it.
 */
struct ovs_alg_key {
	struct ct_label_key conn;
	__u32 dir;
};

struct ovs_alg {
	__u32 life; /* ovs_config.life at that time */
	__u32 n_actions;
	__be16 vlan_tpid; /* a tag that is not in the data; 0: none */
	__be16 vlan_tci;
	__u32 first; /* the ct() was what the packet met first: nothing had been done to it */
	struct ovs_key key; /* metadata only */
	struct ovs_action action[OVS_FLOW_ACTIONS];
};
_Static_assert(sizeof(struct ovs_alg) == 4344, "ovs_alg");
#define OVS_ALGS 16384 /* two a connection, as many as are read at a time */

/* What user space wants to have back with a USERSPACE action's upcall. */
struct ovs_cookie {
	__u32 len;
	__u32 pid; /* OVS_USERSPACE_ATTR_PID */
	__u8 data[120];
};
_Static_assert(sizeof(struct ovs_cookie) == 128, "ovs_cookie");

struct ovs_band {
	__u32 rate;    /* kbit/s or packets/s; 0: no band */
	__u32 burst;   /* kbit or packets */
	__u64 due;     /* datapath: ktime ns at which what has passed is paid for */
	__u64 packets; /* datapath: dropped */
	__u64 bytes;
};

/* ovs_meter.flags */
#define OVS_METER_LIVE	0x01
#define OVS_METER_PKTPS 0x02 /* rates are packets/s, else kbit/s */

/* Every band drops. Of the bands that a packet exceeds, the one of the highest rate counts it. */
struct ovs_meter {
	__u32 flags; /* OVS_METER_*; 0: no such meter, packets pass (as OVS has it) */
	__u32 n_bands;
	__u64 packets; /* datapath: all that came */
	__u64 bytes;
	__u64 used; /* jiffies64 */
	struct ovs_band band[OVS_BANDS];
};
_Static_assert(sizeof(struct ovs_meter) == 288, "ovs_meter");

enum ovs_upcall_reason {
	OVS_UPCALL_MISS = 0,
	OVS_UPCALL_ACTION = 1,
};

/* ovs_upcall.csum */
#define OVS_CSUM_NONE	     0 /* to be verified */
#define OVS_CSUM_UNNECESSARY 1 /* the device has verified it */
#define OVS_CSUM_COMPLETE    2 /* the same to user space */
#define OVS_CSUM_PARTIAL     3 /* to be completed at csum_start + csum_offset */

/*
 * A record of an upcall ring. Sizes are of few classes (OVS_UPCALL_*), so that it may be
 * longer than header and packet; `size` is what counts for ovs_port.done.
 */
struct ovs_upcall {
	__u32 size;   /* of the record */
	__u32 reason; /* enum ovs_upcall_reason */
	__u32 cookie; /* of the USERSPACE action, else 0 */
	__u32 flags;  /* OVS_USER_* of it */
	__u32 len;    /* of the whole packet, without a tag in vlan_tci */
	__u32 caplen; /* bytes of it that are in data (TRUNC, or more than OVS_UPCALL_MAX) */
	__u32 hash;   /* skb hash, 0: none */
	__u32 mru;    /* the largest fragment of a datagram put together by ct(), from the IP
			 header on; 0: none */
	__u32 flow;   /* ACTION: slot of the flow */
	__u16 gso_size;
	__u16 gso_segs;
	__u32 gso_type;	  /* SKB_GSO_* of the kernel */
	__u16 csum_start; /* PARTIAL: from the start of data */
	__u16 csum_offset;
	__be16 vlan_tpid; /* a tag that is not in the data, behind the addresses; 0: none */
	__be16 vlan_tci;
	__u8 csum; /* OVS_CSUM_* */
	__u8 pad[7];
	struct ovs_key key;
	__u8 data[];
};
_Static_assert(sizeof(struct ovs_upcall) == 296, "ovs_upcall");

#define OVS_UPCALL_SMALL  256 /* bytes of packet in each class of records */
#define OVS_UPCALL_MEDIUM 2048
#define OVS_UPCALL_LARGE  16384
#define OVS_UPCALL_MAX	  65792 /* a datagram of 65,535 bytes behind a link header */

/* X(NAME, text): plain counters, per CPU. Append only. Drops are in ct_drop_v1. */
#define OVS_STATS(X)                                                                               \
	X(HIT, "hit")		  /* found a flow (dpif_dp_stats.n_hit) */                         \
	X(MISSED, "missed")	  /* found none */                                                 \
	X(LOST, "lost")		  /* upcalls that found no room */                                 \
	X(MASK_HIT, "mask_hit")	  /* masks looked at */                                            \
	X(CACHE_HIT, "cache_hit") /* found through the exact-match cache */                        \
	X(UPCALL, "upcall")	  /* upcalls sent */                                               \
	X(EXECUTE, "execute")	  /* packets executed for user space */                            \
	X(RECIRC, "recirc")                                                                        \
	X(COPY, "copy") /* packets copied for clone, sample, recirc, trunc */

enum ovs_stat {
#define X(name, text) OVS_STAT_##name,
	OVS_STATS(X)
#undef X
		OVS_STAT_MAX
};
#define OVS_STAT_SLOTS 32

#endif
