/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NAT_BLOCK_H
#define BPFCT_CTD_NAT_BLOCK_H

#include "nat_pool.h"

/* Deterministic blocks (RFC 7422): who has which is arithmetic (nat_block.h of the
 * ABI). A block's begin and end of use are one log line each, not its connections. */

/* Writes what `ctctl nat whois` needs into the pool. */
void nat_block_set(struct ctd *d, uint32_t index, const struct fw_pool *f);

/* Logs blocks that came into use or are used no more. */
void nat_block_look(struct ctd *d, uint32_t index);

#endif
