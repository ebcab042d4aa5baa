/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NAT_H
#define BPFCT_CTD_NAT_H

#include "ctd.h"

/*
 * ctd's side of NAT: it owns the port space. Pools come from the rules
 * (nat_pool.c), ports are leased ahead into rings (nat_lease.c), those of the
 * host's sockets and of the configuration are kept out (nat_reserve.c), the counts
 * of uses are held against the live tuples (nat_reconcile.c), and senders are told
 * when there is no port left (nat_icmp.c). Nothing here is on a packet's way.
 */

/* Maps the arrays; takes over the pools that a former ctd has left. 0 or -errno, logged. */
int nat_start(struct ctd *d);
void nat_stop(struct ctd *d);

/* The timers and the request ring; after the instance is published. */
int nat_run(struct ctd *d);

/*
 * Pools for these rules: those that are there already are kept, with rings and
 * uses, the others are made and filled; the rules get their pool_base. Then the
 * caller installs the rules and passes them to nat_settle(), or NULL if that failed:
 * the pools that nobody names any more, or those just made, go. -ENOSPC: they do not
 * fit, with a line on err (`name:line: ...`); nothing has changed then.
 */
int nat_plan(struct ctd *d, struct fw_rules *rules, const struct fw_settings *set, const char *name,
	     FILE *err);
void nat_settle(struct ctd *d, const struct fw_rules *installed);

/* How many pools the rules need. */
uint32_t nat_pools_needed(const struct fw_rules *rules);

#endif
