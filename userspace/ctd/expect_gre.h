/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_EXPECT_GRE_H
#define BPFCT_CTD_EXPECT_GRE_H

#include "../../alg/alg.h"
#include "../../bpf/abi/expect_abi.h"
#include "ctd.h"

/*
 * The calls in ct_gre_v1 (expect_abi.h). They stand for as long as their group: their expectations
 * may be used up or deleted by hand, a connection that goes on needs them all the same.
 */

/* Reads what a former ctd has left. 0 or -errno. */
int expect_gre_start(struct ctd *d);
void expect_gre_stop(struct ctd *d);

/* Before GRE is expected: its ids, as its packets look before and behind translation. 0; -EBUSY: a
 * packet of another call looks the same; -ENOSPC, -ENOMEM. Nothing for other protocols. */
int expect_gre_put(struct ctd *d, const struct ct_label_key *master, const struct alg_expect *x);

/* The ids of a call that was taken over with its record, a moment ago: for as long as that lives,
 * as no helper watches over it. Nothing for what goes by address. As expect_gre_put(). */
int expect_gre_adopt(struct ctd *d, const struct ct_flow *flow);

/* Those of a group of this master, or (NULL) all of its. */
void expect_gre_let(struct ctd *d, const struct ct_label_key *master, const uint32_t *group);

/* A stretch of them: what has no live master goes. */
void expect_gre_sweep(struct ctd *d);

#endif
