/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_CRC_H
#define BPFCT_NAT_CRC_H

#include "../lib/ct_pkt.h"

/*
 * SCTP's checksum after other ports. A CRC is linear: of two packets that differ in
 * their first word only, the CRCs differ by that difference times x^(8 * length)
 * modulo the polynomial. So the payload need not be read, the cost grows with the
 * logarithm of the length (at most 17 multiplications, I7), and a packet that was
 * damaged stays so.
 */
#define NAT_CRC_POLY 0x82f63b78U /* CRC32c, reflected */

/* x^(8 * 2^k) modulo the polynomial */
static const __u32 nat_crc_power[17] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a,
	0xb82be955, 0xb8fdb1e7, 0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a,
	0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc, 0xfe7740e6,
};

/* a * b modulo the polynomial; both reflected: bit 31 is x^0. A global function:
 * its loop is verified once. */
__noinline __u32 nat_crc_mul(__u32 a, __u32 b)
{
	__u32 p = 0, i;

	for (i = 0; i < 32; i++) {
		p ^= b & -(a >> 31);
		a <<= 1;
		b = (b >> 1) ^ (NAT_CRC_POLY & -(b & 1));
	}
	return p;
}

/* What to exclusive-or the checksum field with, when the first word of a packet of
 * len bytes changes by diff; both as they lie in the packet. */
__noinline __u32 nat_crc_diff(__u32 diff, __u32 len)
{
	__u32 k;

	for (k = 0; k < 17; k++)
		if (len >> k & 1)
			diff = nat_crc_mul(diff, nat_crc_power[k]);
	return diff;
}

#endif
