/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_SYNFLOOD_H
#define BPFCT_TESTS_SYNFLOOD_H

#include <linux/types.h>

#define SYNFLOOD_FRAME 80 /* IPv6; of IPv4 64 */

struct synflood_conf {
	__u32 ifindex;	 /* the device that sends */
	__be32 daddr[4]; /* IPv4 in word 0 */
	__be16 dport;
	__u8 mac[6]; /* of the router */
};

#endif
