/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_CT_DROP_H
#define BPFCT_ABI_CT_DROP_H

#include <linux/types.h>

/*
 * Every reason for which bpfct drops a packet, calls one INVALID or refuses a
 * connection. This list is the only one: the enum, the per-CPU counters, the
 * text of ctctl, the metrics and docs/packet-path.md are generated from it.
 *
 * X(NAME, text, class, meaning). Numbers are positions: append only.
 * Classes: CT_DROP_INVALID  the packet cannot belong to any connection; a
 *                           consumer may still pass it (OVS: +inv)
 *          CT_DROP_REFUSED  a limit said no; the packet is dropped
 *          CT_DROP_POLICY   a consumer's rule said no
 *          CT_DROP_FAULT    we could not do our work; should stay zero
 */
#define CT_DROP_REASONS(X)                                                                         \
	X(NONE, "none", FAULT, "not a drop; counter 0 is never used")                              \
	X(L2_TRUNCATED, "l2_truncated", INVALID, "frame ends inside the Ethernet or VLAN header")  \
	X(IP_TRUNCATED, "ip_truncated", INVALID, "packet ends inside the IP header")               \
	X(IP_VERSION, "ip_version", INVALID, "version field contradicts the EtherType")            \
	X(IP_HEADER_LEN, "ip_header_len", INVALID, "IHL below 5, or header beyond the packet")     \
	X(IP_TOTAL_LEN, "ip_total_len", INVALID, "length field beyond the packet or below header") \
	X(IP6_EXT_CHAIN, "ip6_ext_chain", INVALID, "extension headers: too many, too long or cut") \
	X(L4_TRUNCATED, "l4_truncated", INVALID, "packet ends inside the transport header")        \
	X(L4_LENGTH, "l4_length", INVALID, "UDP length or TCP data offset contradicts the packet") \
	X(L4_CHECKSUM, "l4_checksum", INVALID, "wrong ICMP or SCTP checksum")                      \
	X(SCTP_CHUNK_LEN, "sctp_chunk_len", INVALID, "SCTP chunk of length 0")                     \
	X(FRAGMENT, "fragment", POLICY, "IP fragment while `set fragments drop` is in force")      \
	X(TCP_FLAGS, "tcp_flags", INVALID, "impossible TCP flag combination")                      \
	X(TCP_STATE, "tcp_state", INVALID, "TCP packet that the state table does not allow")       \
	X(TCP_SEQ, "tcp_seq", INVALID, "sequence number too far beyond the receiver's window")     \
	X(TCP_ACK, "tcp_ack", INVALID, "acknowledges data that was never sent")                    \
	X(TCP_RST, "tcp_rst", INVALID, "RST below what the peer has acknowledged")                 \
	X(TCP_PICKUP, "tcp_pickup", INVALID, "mid-stream packet of an unknown connection")         \
	X(ICMP_TYPE, "icmp_type", INVALID, "ICMP type that opens no connection")                   \
	X(ICMP_INNER, "icmp_inner", INVALID, "ICMP error quotes a cut or broken packet")           \
	X(ICMP_INNER_CSUM, "icmp_inner_csum", INVALID,                                             \
	  "IP header quoted in an ICMP error: wrong checksum")                                     \
	X(ICMP_UNRELATED, "icmp_unrelated", INVALID, "ICMP error quotes no known connection")      \
	X(ICMP_ADDRESS, "icmp_address", INVALID,                                                   \
	  "ICMP error not sent to the quoted packet's source")                                     \
	X(SCTP_CHUNK, "sctp_chunk", INVALID, "SCTP chunk combination not allowed")                 \
	X(SCTP_STATE, "sctp_state", INVALID, "SCTP chunk that the state table does not allow")     \
	X(SCTP_VTAG, "sctp_vtag", INVALID, "SCTP verification tag is not the association's")       \
	X(TABLE_FULL, "table_full", REFUSED, "limit of confirmed connections reached")             \
	X(HALF_FULL, "half_full", REFUSED, "half-open ring holds nothing old enough to give way")  \
	X(PREFIX_SHARE, "prefix_share", REFUSED,                                                   \
	  "source prefix holds its share of half-open ones")                                       \
	X(NODES_FULL, "nodes_full", REFUSED,                                                       \
	  "map nodes used up (dying ones wait for their second)")                                  \
	X(ZONE_LIMIT, "zone_limit", REFUSED, "quota of the zone reached")                          \
	X(TUPLE_CLASH, "tuple_clash", REFUSED, "tuple already belongs to another connection")      \
	X(NAT_EXHAUSTED, "nat_exhausted", REFUSED,                                                 \
	  "no free port or address after the bounded tries")                                       \
	X(NAT_NO_ADDRESS, "nat_no_address", REFUSED,                                               \
	  "masquerade on an interface without an address")                                         \
	X(COMMIT_BUSY, "commit_busy", REFUSED, "another CPU was setting up the same record")       \
	X(MAP_UPDATE, "map_update", FAULT, "map refused an insert")                                \
	X(MAP_MISSING, "map_missing", FAULT, "an array map had no such slot")                      \
	X(PKT_ACCESS, "pkt_access", FAULT, "packet bytes could not be read or written")            \
	X(CSUM_UPDATE, "csum_update", FAULT, "checksum could not be updated")                      \
	X(FW_BLOCK, "fw_block", POLICY, "a block rule matched")                                    \
	X(FW_DEFAULT, "fw_default", POLICY, "no rule matched and the default is deny")             \
	X(FW_INVALID, "fw_invalid", POLICY, "packet was INVALID (its own reason is counted too)")  \
	X(FW_UNTRACKED_IF, "fw_untracked_if", POLICY,                                              \
	  "forwarded from an interface without our program")                                       \
	X(EVENT_LOST, "event_lost", FAULT, "event ring was full (no packet was dropped)")          \
	X(NAT_LOST, "nat_lost", REFUSED, "its connection ended while the packet was in the stack") \
	X(FRAG_LENGTH, "frag_length", INVALID,                                                     \
	  "fragment without data, or not the last and no multiple of 8 bytes")                     \
	X(FRAG_OVERFLOW, "frag_overflow", INVALID,                                                 \
	  "fragment ends beyond 65,535 bytes or beyond the last one, or is above 16,000")          \
	X(FRAG_TINY, "frag_tiny", INVALID, "first fragment without the whole transport header")    \
	X(FRAG_HEADER, "frag_header", INVALID, "fragment's IP header checksum is wrong")           \
	X(FRAG_SMALL, "frag_small", POLICY, "fragment below `set fragments min-size`")             \
	X(FRAG_OVERLAP, "frag_overlap", INVALID,                                                   \
	  "fragment of a datagram in which two overlap, or came after that")                       \
	X(FRAG_DUPLICATE, "frag_duplicate", INVALID, "fragment that is held already")              \
	X(FRAG_PIECES, "frag_pieces", REFUSED, "datagram of more than 64 fragments")               \
	X(FRAG_TOTAL, "frag_total", REFUSED, "gave way: limit on all held fragments reached")      \
	X(FRAG_ZONE, "frag_zone", REFUSED, "zone holds its share of fragments")                    \
	X(FRAG_SOURCE, "frag_source", REFUSED, "source holds its share of fragments")              \
	X(FRAG_TIMEOUT, "frag_timeout", INVALID, "fragment of a datagram not whole in time")       \
	X(FRAG_BUSY, "frag_busy", REFUSED, "its datagram was set up or ended on another CPU")      \
	X(NAT_EXPIRED, "nat_expired", REFUSED, "external endpoint whose binding has expired")      \
	X(NAT_FILTERED, "nat_filtered", REFUSED, "binding does not admit this sender")             \
	X(NAT_FOREIGN, "nat_foreign", REFUSED,                                                     \
	  "tuple of its binding belongs to another connection")                                    \
	X(BIND_FULL, "bind_full", REFUSED, "table of bindings is full")                            \
	X(SUB_PORTS, "sub_ports", REFUSED, "subscriber holds all its external ports")              \
	X(SUB_STATES, "sub_states", REFUSED, "subscriber holds all its connections")               \
	X(SUB_RATE, "sub_rate", REFUSED, "subscriber opens connections too fast")                  \
	X(SUB_FULL, "sub_full", REFUSED, "table of subscribers is full")                           \
	X(FW_LIMIT, "fw_limit", POLICY, "source over the limit of the rule that would admit it")   \
	X(FW_MARTIAN, "fw_martian", POLICY, "from or to an address that cannot be on a wire")      \
	X(FW_SPOOF, "fw_spoof", POLICY, "no way back to its source, or by another interface")      \
	X(OVS_DROP, "ovs_drop", POLICY, "OVS flow without actions, or a drop action")              \
	X(OVS_DEVICE, "ovs_device", FAULT, "received by a device that is no port, or not here")    \
	X(OVS_PORT, "ovs_port", REFUSED, "output to a port that is not there")                     \
	X(OVS_NETNS, "ovs_netns", FAULT, "output to a port of another namespace")                  \
	X(OVS_UPCALL_FULL, "ovs_upcall_full", REFUSED, "upcall found no room in its ring")         \
	X(OVS_UPCALL_SHARE, "ovs_upcall_share", REFUSED, "port has its share of upcalls waiting")  \
	X(OVS_RECIRC, "ovs_recirc", REFUSED, "recirculated too often")                             \
	X(OVS_DEPTH, "ovs_depth", REFUSED, "copies of copies, nested too deep")                    \
	X(OVS_METER, "ovs_meter", POLICY, "over the rate of a meter")                              \
	X(OVS_ACTION, "ovs_action", FAULT, "OVS action unknown or malformed")                      \
	X(OVS_SET, "ovs_set", INVALID, "header that an action sets is not there")                  \
	X(OVS_EXECUTE, "ovs_execute", FAULT, "came to the execute device without a pass")          \
	X(OVS_COPY, "ovs_copy", FAULT, "packet could not be copied for a part of its actions")     \
	X(OVS_PROGRAM, "ovs_program", FAULT, "datapath is not set up, or a program is missing")    \
	X(EXPECT_LOST, "expect_lost", REFUSED,                                                     \
	  "its expectation went to another connection meanwhile")                                  \
	X(ALG_WAIT, "alg_wait", REFUSED, "payload for a helper while ctd is away: sent again")     \
	X(ALG_RING, "alg_ring", REFUSED, "payload for a helper: the ring to ctd is full")          \
	X(ALG_FULL, "alg_full", REFUSED, "table of helped connections is full")                    \
	X(ALG_LOST, "alg_lost", REFUSED, "of a helped connection of which nothing is known")       \
	X(ALG_SHAPE, "alg_shape", POLICY,                                                          \
	  "payload for a helper in a SYN, above 64 KiB, or committed at egress")                   \
	X(ALG_STRAY, "alg_stray", POLICY, "on the execute device, and not sent by ctd")            \
	X(FW_LATE, "fw_late", REFUSED,                                                             \
	  "rules wait to be compiled: a network that they name changed")                           \
	X(GRE_EARLY, "gre_early", REFUSED,                                                         \
	  "of a PPTP call that is not agreed upon yet, or over: PPP sends it again")               \
	X(OVS_KEY, "ovs_key", REFUSED, "more headers or options than the OVS key is read through")

#define CT_DROP_INVALID 0
#define CT_DROP_REFUSED 1
#define CT_DROP_POLICY	2
#define CT_DROP_FAULT	3

enum ct_drop {
#define X(name, text, cls, meaning) CT_DROP_##name,
	CT_DROP_REASONS(X)
#undef X
		CT_DROP_MAX
};

/* Room for reasons to come without a new map layout. */
#define CT_DROP_SLOTS 128
_Static_assert(CT_DROP_MAX <= CT_DROP_SLOTS, "counter map is too small for the reasons");

#endif
