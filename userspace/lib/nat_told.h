/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_NAT_TOLD_H
#define BPFCT_LIB_NAT_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "../../bpf/abi/nat_abi.h"

/* Which senders may be told that there is no port left, and how often. Pure. */

#define NAT_TOLD_SOURCE	 10  /* a second to one source */
#define NAT_TOLD_ALL	 100 /* a second in all */
#define NAT_TOLD_SOURCES 256 /* remembered; more in one second than NAT_TOLD_ALL cannot be */

struct nat_told_source {
	__be32 addr[4];
	uint64_t at[NAT_TOLD_SOURCE]; /* ms; the last times, a ring */
	uint32_t next;
};

struct nat_told {
	uint64_t at[NAT_TOLD_ALL];
	uint32_t next;
	struct nat_told_source source[NAT_TOLD_SOURCES];
};

/*
 * May the sender of this packet be sent an ICMP error at all (RFC 1122 3.2.2, RFC
 * 4443 2.4)? Not about ICMP errors, to or from multicast, broadcast or nobody, nor
 * when the packet did not begin inside and is not one that a rule blocks. Fills the source.
 */
bool nat_told_askable(const struct nat_need *need, __be32 source[4]);

/* No more than the rates above in any second that ends now; counts this one if so. */
bool nat_told_may(struct nat_told *t, const __be32 source[4], uint64_t now_ms);

#endif
