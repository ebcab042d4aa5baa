/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_CT_KEY_H
#define BPFCT_ABI_CT_KEY_H

#include <linux/types.h>

/*
 * Keys are canonical: one key serves both directions of an untranslated
 * connection. Endpoint 0 is the lower of the two, compared as (address, port)
 * of unsigned big-endian integers in host registers (the order itself means
 * nothing, it only has to be total). Exceptions:
 *
 *  - ICMP(v6) queries: endpoint 0 is the requester, whatever its address, as
 *    two hosts may ping each other with one id. port[0] is the id, port[1] is
 *    (request type << 8 | code), both big-endian.
 *  - protocols without ports: both ports 0.
 *
 * All padding is zero. Addresses and ports are in network byte order, the zone
 * is in host byte order.
 */
struct ct_key4 {
	__be32 addr[2];
	__be16 port[2];
	__u16 zone;
	__u8 proto;
	__u8 pad;
};
_Static_assert(sizeof(struct ct_key4) == 16, "ct_key4");

struct ct_key6 {
	__be32 addr[2][4];
	__be16 port[2];
	__u16 zone;
	__u8 proto;
	__u8 pad;
};
_Static_assert(sizeof(struct ct_key6) == 40, "ct_key6");

/* One direction of a connection, as the packet carries it. IPv4 uses addr[0]
 * of each side, the other words are zero. */
struct ct_tuple {
	__be32 saddr[4];
	__be32 daddr[4];
	__be16 sport; /* ICMP: id */
	__be16 dport; /* ICMP: request type << 8 | code */
	__u16 zone;
	__u8 proto;
	__u8 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct ct_tuple) == 40, "ct_tuple");

#define CT_ORIG	 0
#define CT_REPLY 1

#endif
