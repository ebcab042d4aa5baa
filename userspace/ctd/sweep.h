/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_SWEEP_H
#define BPFCT_CTD_SWEEP_H

#include "ctd.h"
#include "userspace/lib/sweep.h"

/* Expiry (userspace/lib/sweep.h), by a timer of ctd's loop. */
int sweep_start(struct ctd *d);
void sweep_stop(struct ctd *d);
const struct bpfct_sweep_stats *sweep_stats(const struct ctd *d);
const struct bpfct_sweep_stats *sweep_whole_stats(const struct ctd *d);

#endif
