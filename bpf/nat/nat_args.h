/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_ARGS_H
#define BPFCT_NAT_ARGS_H

#include <linux/types.h>

/*
 * What ct_commit is asked to translate. OVS's nat():
 *
 *   nat(src=A)            SRC, src.addr_min = addr_max = A
 *   nat(src=A-B:P-Q)      the same with ranges
 *   nat(dst=A:P)          DST
 *   nat(src=..),nat(dst=..) of one connection: SRC | DST, both ranges
 *   nat(src=0.0.0.0)      SRC, src all zero: the packet's own source; its port
 *                         changes only when the tuple belongs to another
 *   nat                   flags 0: what an existing connection has is applied by
 *                         nat_apply in any case
 *   hash|random|persistent  HASH, RANDOM, PERSISTENT
 *
 * A connection whose tuples clash gets another source port, also with flags 0 or
 * DST alone.
 */
#define CT_NAT_SRC    0x0001
#define CT_NAT_DST    0x0002
#define CT_NAT_RANDOM 0x0004 /* address and port at random, the own port is not kept */
#define CT_NAT_HASH   0x0008 /* both by a hash of the tuple, the own port is not kept */
#define CT_NAT_PERSISTENT                                                                          \
	0x0010		     /* address by a hash of the source alone, the same after a restart */
#define CT_NAT_STATIC 0x0020 /* 1:1: the range is a prefix, the host's bits stay (both sides) */
#define CT_NAT_PAIRED 0x0040 /* never another address when a host's own is out of ports */
#define CT_NAT_PARITY 0x0080 /* an even port stays even, an odd one odd (RFC 4787 REQ-4) */
#define CT_NAT_BLOCK  0x0100 /* ports from the source's block (nat_block.h, RFC 7422) */
#define CT_NAT_LIMIT  0x0200 /* limit_* count, by source address */
#define CT_NAT_ICMP   0x0400 /* tell the sender when ports run out (RFC 5508 REQ-8, 6888) */
#define CT_NAT_BOUND  0x0800 /* dst is the inside endpoint of a binding: set by nat_inbound() */
#define CT_NAT_EIM    0x1000 /* refuse rather than map without a binding (pool gone) */
#define CT_NAT_OWN    0x4000 /* src is an address of the host's own, whether it has a pool or not */
#define CT_NAT_GIVEN  0x2000 /* src is one port, set aside for this connection (ct_expect.h) */
#define CT_NAT_TO_ID                                                                               \
	0x8000 /* dst has an id for what goes by call ids, 0 is one too (ct_expect.h) */

/*
 * Addresses in network byte order, IPv4 in word 0 (the other words 0); of an IPv6
 * range only the last word differs. Ports in host byte order. Source: port_min 0
 * means any, of the range the packet's own port is in: 1-1023 or 1024-65535.
 * Destination: port_min 0 means that it stays.
 */
struct ct_nat_range {
	__be32 addr_min[4];
	__be32 addr_max[4];
	__u16 port_min;
	__u16 port_max;
};

struct ct_nat_args {
	__u32 flags; /* CT_NAT_*; 0: none */
	struct ct_nat_range src;
	struct ct_nat_range dst;
	__u16 pool_base;  /* pools of src (nat_abi.h); 0: none, ports are tried at random */
	__u16 block_size; /* BLOCK: ports of a source, at most 4096 */
	__u32 block_base; /* BLOCK: lowest source, the last word of it in host byte order */
	/* LIMIT; 0: no limit of this kind */
	__u32 limit_ports;
	__u32 limit_states;
	__u32 limit_rate; /* new connections a second */
	/* BOUND: by nat_inbound() */
	__u32 in_ref;
	__u32 in_gen;
};

#endif
