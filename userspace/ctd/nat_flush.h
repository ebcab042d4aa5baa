/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NAT_FLUSH_H
#define BPFCT_CTD_NAT_FLUSH_H

#include "nat_pool.h"

/* Masquerade: connections translated to an address that the host has lost end with
 * it, as netfilter's do: nothing could answer them. */
int nat_flush_run(struct ctd *d);
void nat_flush_stop(struct ctd *d);

/* After a change of rules or addresses: looks for such addresses. */
void nat_flush_gone(struct ctd *d);

#endif
