/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NAT_ICMP_H
#define BPFCT_CTD_NAT_ICMP_H

#include "nat_pool.h"

/* No port left: a log line now and then, and word to the sender (RFC 5508 REQ-8,
 * RFC 6888 REQ-11). */
int nat_icmp_run(struct ctd *d);
void nat_icmp_stop(struct ctd *d);

/* A packet that was refused. */
void nat_icmp_exhausted(struct ctd *d, const struct nat_need *need);

/* A packet that a `block return` rule blocks: TCP gets a reset, others an ICMP error; at
 * most 10 a second to a source and 100 in all. */
void nat_icmp_blocked(struct ctd *d, const struct nat_need *need);

/* Logs what a pool has refused since the last line about it. */
void nat_icmp_look(struct ctd *d, uint32_t index);

#endif
