/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NAT_RECONCILE_H
#define BPFCT_CTD_NAT_RECONCILE_H

#include "nat_pool.h"

/* Holds the counts of uses against what is there, the stubs and the bindings, a
 * slice at a time, and repairs what stays wrong. */
int nat_reconcile_run(struct ctd *d);
void nat_reconcile_stop(struct ctd *d);

#endif
