/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_NAT_BLOCK_H
#define BPFCT_ABI_NAT_BLOCK_H

#include <linux/types.h>

/*
 * Deterministic blocks (RFC 7422): source number n (from the lowest of the inside
 * prefix, by the last word of the address) has block n % per_address of external
 * address n / per_address. Both directions are arithmetic, so who had a port needs
 * no log; the datapath and ctctl use the same functions.
 */
#define NAT_BLOCK_PORTS 4096 /* a block has no more */

struct nat_blocks {
	__u32 inside;	 /* lowest source: last word, host byte order */
	__u32 outside;	 /* lowest external address: last word, host byte order */
	__u32 addresses; /* external ones */
	__u16 port_min;	 /* of each external address */
	__u16 port_max;
	__u16 size; /* ports of a block */
	__u16 pad;
};

struct nat_block {
	__u32 address;	/* number of the external address, from 0 */
	__u16 port_min; /* inclusive */
	__u16 port_max;
};

/* Blocks of one external address; ports beyond the last whole one stay unused. */
static inline __u32 nat_blocks_per_address(const struct nat_blocks *b)
{
	__u32 ports = (__u32)b->port_max - b->port_min + 1;

	return b->size && b->port_max >= b->port_min ? ports / b->size : 0;
}

/* The block of a source (last word, host byte order). 1, or 0: it has none. */
static inline int nat_block_of(const struct nat_blocks *b, __u32 source, struct nat_block *out)
{
	__u32 per = nat_blocks_per_address(b), n = source - b->inside;

	if (!per || source < b->inside || n / per >= b->addresses)
		return 0;
	out->address = n / per;
	out->port_min = b->port_min + n % per * b->size;
	out->port_max = out->port_min + b->size - 1;
	return 1;
}

/* Whose a port of an external address (last word, host byte order) is. 1, or 0:
 * nobody's. *source as nat_block_of takes it. */
static inline int nat_block_owner(const struct nat_blocks *b, __u32 outside, __u16 port,
				  __u32 *source)
{
	__u32 per = nat_blocks_per_address(b), n;

	if (!per || outside < b->outside || outside - b->outside >= b->addresses ||
	    port < b->port_min || port > b->port_max)
		return 0;
	n = (__u32)(port - b->port_min) / b->size;
	if (n >= per)
		return 0;
	*source = b->inside + (outside - b->outside) * per + n;
	return 1;
}

#endif
