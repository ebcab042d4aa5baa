/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NAT_RESERVE_H
#define BPFCT_CTD_NAT_RESERVE_H

#include "nat_pool.h"

/* Ports that are never handed out: those of the configuration, and those on which
 * the host's own sockets listen or are bound (port shadowing, CVE-2021-3773). */

/* Before any pool: reads the sockets once. 0 or -errno. */
int nat_reserve_start(struct ctd *d);
int nat_reserve_run(struct ctd *d);
void nat_reserve_stop(struct ctd *d);

/* `set nat reserved`. */
void nat_reserve_config(struct ctd *d, const struct fw_settings *set);

/* The ports that are set aside for expectations have changed. */
void nat_reserve_again(struct ctd *d);

/* Tells a pool's allocator what is reserved. */
void nat_reserve_pool(struct ctd *d, uint32_t index);

/* Is this an address of the host? */
bool nat_is_local(const struct ctd *d, int family, const __be32 addr[4]);

#endif
